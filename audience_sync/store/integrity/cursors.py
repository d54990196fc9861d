"""Check that the delivery cursors and ranges of each destination are possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from audience_sync.store.integrity.result import RESYNC, CheckResult, check_result
from audience_sync.store.tables import delivered_ranges, delivery_cursors, delivery_destinations, runs
from audience_sync.text import pluralize


def check_positions(connection: Connection) -> CheckResult:
    """Positions lie within the runs, a destination has one cursor (and one a seed), and ranges don't overlap."""
    last = connection.execute(select(func.max(runs.c.id))).scalar() or 0
    names = {row.id: row.name for row in connection.execute(select(delivery_destinations))}
    problems = [*_cursor_problems(connection, names, last), *_range_problems(connection, names, last)]
    consistent = "position is consistent" if len(names) == 1 else "positions are consistent"
    return check_result("positions", problems, f"{pluralize(len(names), 'destination')}: {consistent}", RESYNC)


def _cursor_problems(connection: Connection, names: dict[int, str], last: int) -> Iterator[str]:
    found = connection.execute(select(delivery_cursors)).all()
    for row in found:
        if not 0 <= row.position <= last or not 0 <= (row.attempted_run or 0) <= last:
            yield f"{names.get(row.destination_id)} has a position outside the runs 1 to {last}"
    counts = Counter((row.destination_id, row.seeded_property_id) for row in found)
    for destination, name in names.items():
        if counts[destination, None] != 1:
            yield f"{name} has {pluralize(counts[destination, None], 'position')} instead of one"
    for (destination, seeding), count in counts.items():
        if seeding is not None and count > 1:
            yield f"{names.get(destination)} has {count:,} positions of one seed"


def _range_problems(connection: Connection, names: dict[int, str], last: int) -> Iterator[str]:
    """Ranges of a cursor must not overlap, and each must lead to a later run than the cursor's position."""
    query = select(delivered_ranges, delivery_cursors.c.position, delivery_cursors.c.destination_id).join_from(
        delivered_ranges, delivery_cursors
    )
    cursor, after = None, ""
    for row in connection.execute(query.order_by(delivered_ranges.c.cursor_id, delivered_ranges.c.after_user)):
        after = after if row.cursor_id == cursor else ""
        if row.after_user < after or row.through_user <= row.after_user or not row.position < row.run_id <= last:
            yield f"{names.get(row.destination_id)} has an impossible range of users"
        cursor, after = row.cursor_id, row.through_user
