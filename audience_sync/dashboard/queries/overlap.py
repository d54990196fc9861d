"""Count the users that audiences share: exactly for small ones, from an even sample of a large one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from audience_sync.history.view_rows import read

#: Up to so many members an audience is compared whole; of a larger one about so many members are.
SAMPLE = 20_000
#: Multiplied by the golden ratio's part of the range, numbers spread evenly over it and repeat no pattern.
_SPREAD, _RANGE = 2_654_435_761, 4_294_967_296


@dataclass(frozen=True, slots=True)
class SharedUsers:
    """The users that two audiences share. ``compared``: of how many members of the smaller audience, 0 for all."""

    count: int
    compared: int = 0

    @property
    def is_estimate(self) -> bool:
        return self.compared > 0


def read_sizes(connection: Connection, most: int) -> Mapping[str, int]:
    """Read the members of the largest audiences that are not retired, the largest first."""
    query = """
        select key, members from {views}audiences
        where retired_at is null and members > 0 order by members desc, key limit :most
    """
    return {row["key"]: row["members"] for row in read(connection, query, most=most)}


def has_members(connection: Connection) -> bool:
    """Return whether the store keeps the members as rows (`members_table`)."""
    return bool(read(connection, "select 1 as found from {views}audience_members limit 1"))


def count_shared(connection: Connection, key: str, size: int, others: Collection[str]) -> Mapping[str, SharedUsers]:
    """Count, for each of the others, the members of ``key`` who are in it too. ``key`` is the smaller audience.

    A sample takes members by a hash of their number in the order of the index: every n-th one would depend on how ids
    are given out. Each of them is looked up in the other audiences.
    """
    step = max(size // SAMPLE, 1)
    sample = "select user_id from {views}audience_members where audience_key = :key"
    if step > 1:
        numbered = sample.replace("user_id", "user_id, row_number() over () as number")
        sample = f"select user_id from ({numbered}) numbered where number * {_SPREAD} % {_RANGE} < {_RANGE} / {step}"
    # SQLite keeps the order of a cross join: a look-up for each user, never a scan of all members.
    query = f"""
        select m.audience_key, count(*) as shared
        from ({sample}) chosen cross join {{views}}audience_members m
        where m.user_id = chosen.user_id and m.audience_key in :others
        group by m.audience_key
    """
    found = {row["audience_key"]: row["shared"] for row in read(connection, query, key=key, others=sorted(others))}
    if step == 1:
        return {other: SharedUsers(found.get(other, 0)) for other in others}
    compared = size // step
    return {
        other: SharedUsers(min(round(found.get(other, 0) * size / compared), size), compared=compared)
        for other in others
    }
