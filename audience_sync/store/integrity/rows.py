"""Check that every row can be read and has its parent row, and that the positions of destinations are possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, select

from audience_sync.store.integrity.result import RESTORE, RESYNC, CheckResult, check_result
from audience_sync.store.tables import (
    changes,
    delivered_ranges,
    delivery_cursors,
    delivery_destinations,
    installation,
    lease,
    members,
    metadata,
    open_refusals,
    properties,
    refused_values,
    runs,
    snapshot_chains,
    snapshot_file_chunks,
    snapshot_files,
    subscription_history,
    subscriptions,
    user_traits,
    withheld_values,
)
from audience_sync.text import pluralize

#: Tables with too many rows to read each; their column types accept every value.
_LARGE_TABLES = (snapshot_file_chunks, members, changes, user_traits)


def check_rows(connection: Connection) -> CheckResult:
    problems = [*_unreadable_rows(connection), *_single_row_problems(connection), *_orphans(connection)]
    return check_result("rows", problems, "all rows can be read; no row lacks its parent", RESTORE)


def _unreadable_rows(connection: Connection) -> Iterator[str]:
    """SQLite accepts any text as a time."""
    for table in metadata.sorted_tables:
        if table not in _LARGE_TABLES:
            try:
                for _ in connection.execute(select(table).execution_options(yield_per=1_000)):
                    pass
            except (ValueError, TypeError) as error:
                yield f"a value of {table.name} can't be read ({type(error).__name__})"


def _single_row_problems(connection: Connection) -> Iterator[str]:
    for table in (installation, lease):
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if count != 1:
            yield f"{table.name} has {pluralize(count, 'row')} instead of one"


def _orphans(connection: Connection) -> Iterator[str]:
    """Rows without their parent row, also where no foreign key requires one."""
    values, terms = refused_values.c, subscription_history.c
    refused = and_(values.destination_id == open_refusals.c.destination_id, values.user_id == open_refusals.c.user_id)
    subscribed = and_(
        terms.destination_id == subscriptions.c.destination_id, terms.property_id == subscriptions.c.property_id
    )
    of_file = snapshot_file_chunks.c.file_id == snapshot_files.c.id
    at_destination = delivery_cursors.c.destination_id == delivery_destinations.c.id
    pairs: list[tuple[Table, ColumnElement[bool], Table, str]] = [
        (snapshot_file_chunks, of_file, snapshot_files, "piece without snapshot file"),
        (refused_values, refused, open_refusals, "refused value without refused call"),
        (subscription_history, subscribed, subscriptions, "subscription history row without subscription"),
        (changes, changes.c.run_id == runs.c.id, runs, "row in changes without run"),
        (delivery_cursors, at_destination, delivery_destinations, "delivery cursor without destination"),
        (user_traits, user_traits.c.chain_id == snapshot_chains.c.id, snapshot_chains, "trait values without snapshot"),
    ]
    for table in (members, changes, refused_values, withheld_values):
        belongs = table.c.property_id == properties.c.id
        pairs.append((table, belongs, properties, f"row in {table.name} without audience or trait"))
    for table, belongs, other, text in pairs:
        query = select(func.count()).select_from(table).where(~exists(select(1).select_from(other).where(belongs)))
        if count := int(connection.execute(query).scalar_one()):
            yield f"{count:,} x {text}"


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
        if any(not 0 <= (run or 0) <= last for run in (row.position, row.attempted_run, row.pending_run)):
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
