"""Drop users in hash buckets that are equal on both sides, so that a large join sees the others only.

A hash puts each user into a bucket. Two buckets with the same number of users and the same exclusive or of their hashes
have the same users; the chance of an error is 1 in 2^64 a bucket. This reads both sides twice and keeps some megabytes,
while a join keeps every user.
"""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.workspace import Workspace

#: Fewer users in a bucket take more buckets to count; more leave more users to join for one that changed.
USERS_A_BUCKET = 8
MOST_BITS = 21


def drop_unchanged_buckets(workspace: Workspace, new: str, old: str, by: Sequence[str], users: int) -> tuple[str, str]:
    """Both queries without the rows of equal buckets. ``by``: the columns that identify a row."""
    bits = min(max((users // USERS_A_BUCKET).bit_length() - 1, 1), MOST_BITS)
    # DuckDB puts the hashes of two columns together by exclusive or: only hashed again they can't cancel each other.
    hashed = f"hash(hash({', '.join(by)}))"
    bucket = f"({hashed} >> {64 - bits})::uinteger"
    sides = [_counted(workspace, query, hashed, bits) for query in (new, old)]
    differing = workspace.name("differing")
    workspace.run(
        f"create table {differing} as select bucket from {sides[0]} n full join {sides[1]} o using (bucket) "
        "where n.users is distinct from o.users or n.hashes is distinct from o.hashes"
    )
    for side in sides:
        workspace.run(f"drop table {side}")
    kept = f"where {bucket} in (select bucket from {differing})"
    return f"select * from ({new}) {kept}", f"select * from ({old}) {kept}"


def _counted(workspace: Workspace, query: str, hashed: str, bits: int) -> str:
    table = workspace.name("buckets")
    workspace.run(
        f"create table {table} as select (hashed >> {64 - bits})::uinteger as bucket, count(*) as users, "
        f"bit_xor(hashed) as hashes from (select {hashed} as hashed from ({query})) group by bucket"
    )
    return table
