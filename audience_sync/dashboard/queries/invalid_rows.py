"""Read the rows of a run that can't be used, by reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from audience_sync.history.view_rows import Row, read

#: The most reasons of a list, and rows that each names.
MOST_REASONS, MOST_ROWS = 50, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidReason:
    """Rows that can't be used for one reason. ``audience_key``: None for computed traits. ``rows``: some numbers."""

    audience_key: str | None
    file: str | None
    reason: str
    count: int
    rows: Sequence[int]


def read_invalid_reasons(connection: Connection, run: int, key: str | None = None) -> list[InvalidReason]:
    """Read the invalid rows of a run, or of one audience in it, by audience, file and reason, the most first."""
    which, values = ("", {}) if key is None else ("and audience_key = :key", {"key": key})
    query = f"""
        select audience_key, file, reason, count(*) as count from {{views}}invalid_rows where run = :run {which}
        group by audience_key, file, reason order by count(*) desc, audience_key, file, reason limit {MOST_REASONS}
    """
    groups = read(connection, query, run=run, **values)
    return [InvalidReason(**each, rows=_row_numbers(connection, run, each)) for each in groups]


def read_reading_run(connection: Connection, key: str, before: int) -> int | None:
    """Read which earlier run read the rows that an audience with an unchanged source still leaves out.

    None if they are no longer stored.
    """
    query = """
        select a.run from {views}audience_syncs a where a.audience_key = :key and a.run < :run and a.invalid > 0
        and exists (select 1 from {views}invalid_rows i where i.run = a.run and i.audience_key = a.audience_key)
        order by a.run desc limit 1
    """
    found = read(connection, query, key=key, run=before)
    return found[0]["run"] if found else None


def _row_numbers(connection: Connection, run: int, group: Row) -> list[int]:
    values = {name: group[name] for name in ("audience_key", "file", "reason")}
    same = " and ".join(f"{name} is null" if value is None else f"{name} = :{name}" for name, value in values.items())
    query = f'select "row" from {{views}}invalid_rows where run = :run and {same} order by "row" limit {MOST_ROWS}'
    given = {name: value for name, value in values.items() if value is not None}
    return [each["row"] for each in read(connection, query, run=run, **given)]
