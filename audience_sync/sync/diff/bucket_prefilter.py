"""Which users need no closer look? Those in buckets that are the same on both sides.

Each user falls into a bucket by a hash, and of each bucket the users are counted and their hashes put together by
exclusive or. Where both are equal the same users are in it, but for a chance of 1 in 2^64 a bucket; only the others
are joined. That reads both sides twice and keeps some megabytes, where a join keeps every user.
"""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.workspace import Workspace

#: Fewer users in a bucket take more buckets to count; more leave more users to join for one that changed.
USERS_A_BUCKET = 8
MOST_BITS = 21


def drop_unchanged_buckets(workspace: Workspace, new: str, old: str, by: Sequence[str], users: int) -> tuple[str, str]:
    """Both queries without what is surely the same in both. ``by``: the columns that tell their rows apart."""
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
