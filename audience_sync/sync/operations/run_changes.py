"""Read the changes of one run, and which of them a newer run has changed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from audience_sync.errors import HistoryPrunedError, UnknownNameError
from audience_sync.model import ALIAS_KEY, HistoryKind, PropertyKind, RunStatus
from audience_sync.store.audiences.properties import Property
from audience_sync.store.connection.process_identity import current_process
from audience_sync.store.runs.pruning import pruned_through
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.store.tables import changes, properties, runs
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.workspace import Workspace, quote_literal

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "before": "varchar", "run_id": "integer"}


@dataclass(frozen=True, slots=True)
class RevertibleChange:
    """The changes that a run made to one property.

    ``table``: ``user_id``, the new ``value``, the value ``before`` (JSON; NULL = none) and ``newer``, the last run that
    changed it again (NULL if none did). ``unknown``: the number of users whose value before is not stored.
    """

    of: Property
    table: str
    unknown: int = 0

    @property
    def rows(self) -> str:
        """A query for the changes that can be undone: ``user_id``, ``value``, ``before``."""
        return f"select user_id, value, before from {self.table} where newer is null"

    @property
    def superseded(self) -> str:
        """A query for users with a newer change: ``user_id`` and ``newer``."""
        return f"select user_id, newer from {self.table} where newer is not null"


def changes_of_run(detector: ChangeDetector, run: int) -> list[RevertibleChange]:
    """The run's changes, one value a property. Raises UnknownNameError and HistoryPrunedError."""
    with detector.store.reading() as connection:
        _refuse_run(connection, run)
        touched = _touched(connection, run, list(detector.stored.properties.values()))
        log = _log(connection, detector.workspace, run, touched)
    return [_change(detector, run, log, each) for each in touched]


def _refuse_run(connection: Connection, run: int) -> None:
    query = select(runs.c.status, runs.c.committed_at, runs.c.holder).where(runs.c.id == run)
    row = connection.execute(query).one_or_none()
    if row is None or (row.status == RunStatus.RUNNING and row.holder == current_process()):  # the undo itself
        raise UnknownNameError(f"There is no run {run}. See them: audience-sync history")
    if run <= pruned_through(connection)[HistoryKind.CHANGES]:
        raise HistoryPrunedError(
            f"Run {run} can't be undone: its changes are no longer stored (`retention` in the config)."
        )
    if row.committed_at is None:
        unfinished = "is still in progress" if row.status == RunStatus.RUNNING else "ended before it changed anything"
        raise UnknownNameError(f"Run {run} {unfinished}: there is nothing to undo.")


def _touched(connection: Connection, run: int, known: Sequence[Property]) -> list[Property]:
    changed = set(connection.execute(select(changes.c.property_id).where(changes.c.run_id == run).distinct()).scalars())
    mine = [each for each in known if each.created_run == run or each.id in changed]
    return [each for each in mine if each.key != ALIAS_KEY]


def _log(connection: Connection, workspace: Workspace, run: int, touched: Sequence[Property]) -> str:
    """A table of all changes of these properties since the run, its own included."""
    mine = changes.c.property_id.in_([each.id for each in touched]) & (changes.c.run_id >= run)
    query = select(changes.c.user_id, properties.c.key, changes.c.value, changes.c.previous_value, changes.c.run_id)
    return workspace.load(_COLUMNS, _batches(connection, query.join_from(changes, properties).where(mine)))


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Sequence[Any]]]:
    yield from connection.execution_options(yield_per=10_000).execute(query).partitions()


def _change(detector: ChangeDetector, run: int, log: str, each: Property) -> RevertibleChange:
    workspace, table = detector.workspace, detector.workspace.name("changed")
    mine = f"from {log} where key = {quote_literal(each.key)}"
    made = f"select user_id, value, before {mine} and run_id = {run}"
    if each.created_run == run:
        made = f"{made} union all {_created(detector.stored_chain(each.chain_id), each.key, run, mine)}"
    later = f"select user_id, max(run_id) as newer {mine} and run_id > {run} group by user_id"
    workspace.run(f"create table {table} as select * from ({made}) left join ({later}) using (user_id)")
    unknown = workspace.one(f"select count(*) from {table} where before is null and newer is null")[0]
    if each.kind is PropertyKind.AUDIENCE:  # a membership was the opposite before
        workspace.run(f"update {table} set before = case value when 'true' then 'false' else 'true' end")
        unknown = 0
    told = detector.aliases.sent
    if told is not None:  # values of users with a new id stay
        now = f"select user_id from {told} where previous_id in (select user_id from {table})"
        ids = f"select previous_id from {told} union all {now}"
        workspace.run(f"update {table} set newer = {run} where newer is null and user_id in ({ids})")
    workspace.run(f"delete from {table} where before is null and newer is null")
    workspace.run(f"update {table} set before = nullif(before, 'null')")
    return RevertibleChange(each, table, unknown)


def _created(chain: Chain, key: str, run: int, mine: str) -> str:
    """Users who had the property since its creation.

    They have it and were never changed, or their first change since has a value before. Users who had it under an
    earlier key are left out.
    """
    value = "'true'" if chain.kind is PropertyKind.AUDIENCE else trait_column(key)
    never = (
        f"select user_id, {value} as value from ({current_rows_query(chain)}) "
        f"where {value} is not null and run_id >= {run} and user_id not in (select user_id {mine})"
    )
    lost = (
        f"select user_id, arg_min(before, run_id) as value {mine} and run_id > {run} "
        "group by user_id having arg_min(coalesce(before, 'null'), run_id) not in ('null', 'false')"
    )
    return f"select user_id, value, 'null' as before from ({never} union all {lost})"
