"""Is the store whole? Nothing is changed; a damage is said with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, exists, func, select

from audience_sync.errors import AudienceSyncError
from audience_sync.model import PropertyKind
from audience_sync.store import migrate
from audience_sync.store.catalog import Property, read_chains, read_properties
from audience_sync.store.chains import Chain, current, fetch
from audience_sync.store.engine import Store
from audience_sync.store.tables import (
    destinations,
    feeds,
    installation,
    members,
    properties,
    refusals,
    refused_values,
    runs,
    segment_parts,
    segments,
    told_ranges,
    withheld_values,
)
from audience_sync.wording import plural
from audience_sync.workspace import Workspace

#: Problems of a kind that are named; of more the number is said.
MOST_NAMED = 5
_RESYNC = "Restore a backup, or: audience-sync resync"


class Examined(NamedTuple):
    """One part of the store. ``part``: database, snapshots, members, rows or positions."""

    part: str
    good: bool
    message: str


def examine(store: Store, *, memory_limit: int) -> Iterator[Examined]:
    """Each part in turn. Raises StoreError, StoreOutdatedError or StoreNewerError where it can't be read at all."""
    migrate.refuse_other(store)
    with Workspace(memory_limit) as workspace, store.reading() as connection:
        yield _database(store, connection)
        known = read_properties(connection)
        chains = read_chains(connection, known.values())
        fetched, damaged = _fetched(connection, workspace, chains)
        yield _snapshots(workspace, fetched, damaged)
        yield _members(connection, workspace, known, fetched)
        yield _rows(connection)
        yield _positions(connection)


def _said(part: str, problems: list[str], otherwise: str, remedy: str) -> Examined:
    if not problems:
        return Examined(part, True, otherwise)
    more = f" and {len(problems) - MOST_NAMED:,} more" if len(problems) > MOST_NAMED else ""
    return Examined(part, False, f"{'; '.join(problems[:MOST_NAMED])}{more}. {remedy}")


def _database(store: Store, connection: Connection) -> Examined:
    """SQLite's own checks; PostgreSQL makes its own as it goes."""
    if not store.is_sqlite:
        return Examined("database", True, "PostgreSQL")
    problems = [text for (text,) in connection.exec_driver_sql("PRAGMA integrity_check") if text != "ok"]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    problems += [f"a row of {table} refers to a row of {other} that is not there" for table, _, other, _ in orphans]
    return _said("database", problems, "SQLite finds it whole", "Restore a backup of the store")


def _fetched(
    connection: Connection, workspace: Workspace, chains: Mapping[int, Chain]
) -> tuple[dict[int, Chain], list[str]]:
    found, damaged = {}, []
    for chain_id, chain in chains.items():
        try:
            found[chain_id] = fetch(connection, workspace, chain)
        except AudienceSyncError:
            damaged.append(f"the snapshot of {', '.join(chain.keys)} is not what was written (its checksum differs)")
    return found, damaged


def _snapshots(workspace: Workspace, fetched: Mapping[int, Chain], problems: list[str]) -> Examined:
    count = 0
    for chain in fetched.values():
        users = workspace.one(f"select count(*) from ({current(chain)})")[0]
        count += len(chain.segments)
        if users != chain.users:
            problems.append(f"the snapshot of {', '.join(chain.keys)} has {users:,} users instead of {chain.users:,}")
    good = f"{plural(count, 'segment')} of {plural(len(fetched), 'snapshot')} are what was written"
    return _said("snapshots", problems, good, _RESYNC)


def _members(
    connection: Connection, workspace: Workspace, known: Mapping[str, Property], fetched: Mapping[int, Chain]
) -> Examined:
    """The plain table against the snapshots, which are the truth."""
    if not connection.execute(select(installation.c.members_table)).scalar_one():
        return Examined("members", True, "the table of members is not kept")
    problems, rows = [], 0
    for each in known.values():
        if each.kind is not PropertyKind.AUDIENCE or each.chain_id not in fetched:
            continue
        query = select(members.c.user_id).where(members.c.property_id == each.id).execution_options(yield_per=10_000)
        table = workspace.load({"user_id": "varchar"}, connection.execute(query).partitions())
        snapshot = f"select user_id from ({current(fetched[each.chain_id])})"
        extra = workspace.one(f"select count(*) from {table} anti join ({snapshot}) using (user_id)")[0]
        missing = workspace.one(f"select count(*) from ({snapshot}) anti join {table} using (user_id)")[0]
        rows += workspace.one(f"select count(*) from {table}")[0]
        if extra or missing:
            problems.append(f"of {each.key} the table has {extra:,} too many and lacks {missing:,}")
        workspace.run(f"drop table {table}")
    remedy = "One run with `members_table: false` and another with `true` make it anew"
    return _said("members", problems, f"{plural(rows, 'row')} agree with the snapshots", remedy)


def _rows(connection: Connection) -> Examined:
    """Rows that belong to nothing."""
    problems = []
    lost = _orphans(connection, segment_parts, segment_parts.c.segment_id == segments.c.id, segments)
    problems += [f"{plural(lost, 'part')} of no segment"] if lost else []
    values = refused_values.c
    refused = (values.destination_id == refusals.c.destination_id) & (values.user_id == refusals.c.user_id)
    lost = _orphans(connection, refused_values, refused, refusals)
    problems += [f"{plural(lost, 'value')} of no refused call"] if lost else []
    for table in (members, refused_values, withheld_values):
        lost = _orphans(connection, table, table.c.property_id == properties.c.id, properties)
        problems += [f"{plural(lost, 'row')} of {table.name} of no audience or trait"] if lost else []
    lost = _orphans(connection, feeds, feeds.c.destination_id == destinations.c.id, destinations)
    problems += [f"{plural(lost, 'feed')} of no destination"] if lost else []
    return _said("rows", problems, "none belongs to nothing", "Please report this, with the version")


def _orphans(connection: Connection, table: Table, condition: ColumnElement[bool], other: Table) -> int:
    belongs = exists(select(1).select_from(other).where(condition))
    return int(connection.execute(select(func.count()).select_from(table).where(~belongs)).scalar_one())


def _positions(connection: Connection) -> Examined:
    """No destination was told of a run that there never was, and nobody twice at once."""
    last = connection.execute(select(func.max(runs.c.id))).scalar() or 0
    names = {row.id: row.name for row in connection.execute(select(feeds.c.id, destinations.c.name).join(destinations))}
    problems = [
        f"{names[row.id]} has a position after the last run, {last}"
        for row in connection.execute(select(feeds))
        if max(row.position, row.attempted_run or 0) > last
    ]
    after = ""
    feed = None
    for row in connection.execute(select(told_ranges).order_by(told_ranges.c.feed_id, told_ranges.c.after_user)):
        after = after if row.feed_id == feed else ""
        if row.after_user < after or row.through_user <= row.after_user or row.run_id > last:
            problems.append(f"{names.get(row.feed_id)} has a range of users that can't be")
        feed, after = row.feed_id, row.through_user
    good = f"those of {plural(len(set(names.values())), 'destination')} are possible"
    return _said("positions", problems, good, _RESYNC)
