"""Undo one run: make the inverse of its changes, except where a newer run has changed the value again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select

from audience_sync.errors import FrozenError, HistoryPrunedError, UnknownNameError
from audience_sync.model import (
    ALIAS_KEY,
    AudienceStatus,
    ChangeCounts,
    HistoryKind,
    HoldKind,
    PropertyKind,
    RunId,
    RunStatus,
)
from audience_sync.sql import Query, TableName, quote_identifier, quote_literal
from audience_sync.store.audiences.properties import Property
from audience_sync.store.connection.process_identity import current_process
from audience_sync.store.maintenance.pruning import pruned_through
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.store.tables import changes, properties, runs
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.diff.snapshot_files import members_change, traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.guard.holds import Difference, hold_undone
from audience_sync.sync.guard.messages import freeze_text
from audience_sync.sync.values.change_set import ChangeSet, PropertyChange, SourceState
from audience_sync.sync.values.findings import AudienceResult, Detection, RunFindings, SkippedUser, TraitsResult
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import form, listed, pluralize
from audience_sync.workspace import Workspace

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "before": "varchar", "run_id": "integer"}
#: Users of an audience or computed trait who are named in a message on unchanged users. All are counted.
MAX_LISTED_USERS = 1000


class RevertibleChange(Struct, frozen=True):
    """The changes that a run made to one property.

    ``table``: ``user_id``, the new ``value``, the value ``before`` (JSON; NULL = none) and ``newer``, the last run that
    changed it again (NULL if none did). ``unknown``: the number of users whose value before is not stored.
    """

    of: Property
    table: TableName
    unknown: int = 0

    @property
    def rows(self) -> Query:
        """A query for the changes that can be undone: ``user_id``, ``value``, ``before``."""
        return Query(f"select user_id, value, before from {self.table} where newer is null")

    @property
    def superseded(self) -> Query:
        """A query for users with a newer change: ``user_id`` and ``newer``."""
        return Query(f"select user_id, newer from {self.table} where newer is not null")


def undo(context: RunContext, run: RunId) -> Detection:
    """Reverse what ``run`` changed, as changes of this run. If its sources have the same again, that is held.

    No source is read. Raises UnknownNameError, FrozenError and HistoryPrunedError.
    """
    changed = _changes_of_run(context, run)
    if not changed:
        raise UnknownNameError(f"Run {run} changed nothing: there is nothing to undo.")
    _refuse_frozen(context, run, [each.of.key for each in changed])
    there = [each for each in changed if not each.of.retired]
    chains: dict[int, list[RevertibleChange]] = {}
    for each in there:
        if each.of.kind is PropertyKind.COMPUTED_TRAIT:
            chains.setdefault(each.of.chain_id, []).append(each)
    reverted = tuple(each.of.key for each in changed if each.of.created_run == run)
    undone = Detection.total(
        [
            Detection(changes=ChangeSet(reverted_creations=reverted), findings=RunFindings(skipped_users=())),
            *(Detection(findings=_skipped(context.workspace, each)) for each in changed),
            *(_undo_audience(context, each, run) for each in there if each.of.kind is PropertyKind.AUDIENCE),
            *(_undo_traits(context, each, run) for each in chains.values()),
        ]
    )
    users = [each.chain.user_count for each in undone.changes.chains if each.chain.kind is PropertyKind.COMPUTED_TRAIT]
    holds = "If the source still has the undone changes, the next run holds them."
    traits, warnings = TraitsResult(users=max(users, default=0)), (holds,) if undone.changes.new_holds else ()
    return undone + Detection(findings=RunFindings(warnings=warnings, traits=traits))


def _refuse_frozen(context: RunContext, run: RunId, keys: Sequence[str]) -> None:
    found = [f"audience '{key}' is {freeze_text(freeze)}" for key in keys if (freeze := context.stored.frozen.get(key))]
    if found:
        raise FrozenError(f"Run {run} changed what is frozen: {'; '.join(found)}. Nothing was changed or sent.")


def _skipped(workspace: Workspace, each: RevertibleChange) -> RunFindings:
    """The users whom the undo skips, with the reason."""
    key, warnings, skipped = each.of.key, list[str](), list[SkippedUser]()
    if each.of.retired:
        return RunFindings(warnings=(f"Skipped: {key} is retired.",))
    count = workspace.one(f"select count(*) from ({each.superseded})")[0]
    if count:
        named = workspace.all(f"from ({each.superseded}) order by user_id limit {MAX_LISTED_USERS}")
        skipped = [SkippedUser(key, user, newer) for user, newer in named]
        some = listed([f"{user} (run {newer})" for user, newer in named], most=5, count=count)
        warning = f"Skipped: {pluralize(count, 'user')} of {key} {form(count, 'has')} a newer change: {some}."
        warnings.append(warning)
    if each.unknown:
        warnings.append(f"Skipped: {pluralize(each.unknown, 'user')} of {key}: the value before is not stored.")
    return RunFindings(warnings=tuple(warnings), skipped_users=tuple(skipped))


def _undo_audience(context: RunContext, each: RevertibleChange, run: RunId) -> Detection:
    workspace, key = context.workspace, each.of.key
    held_out = context.reader.held_out(key)
    back = f"select user_id, before = 'true' as present from ({each.rows})"
    stays_out = f"({context.erased} or user_id in ({held_out}))" if held_out else context.erased
    table = workspace.table("restored", f"from ({back}) where not (present and {stays_out})")
    entered, left = workspace.one(
        f"select count(*) filter (where present), count(*) filter (where not present) from {table}"
    )
    chain = context.reader.chain(each.of.chain_id)
    result = AudienceResult(
        key=key,
        name=each.of.name,
        status=AudienceStatus.SYNCED if entered + left else AudienceStatus.UNCHANGED,
        before=chain.user_count,
        entered=entered,
        left=left,
        invalid=each.of.invalid,
    )
    findings = RunFindings(audiences=(result,))
    if not entered + left:
        return Detection(findings=findings)
    change = members_change(workspace, chain, MembersDiff(table, entered, left, 0), context.run)
    assert change is not None
    again = Query(f"select user_id, not present as present from {table}")
    counts = ChangeCounts(result.after - context.stored.absent.get(key, 0), left, entered)
    difference = Difference(kind=HoldKind.AUDIENCE, key=key, counts=counts, users=again, tolerance=0)
    changes = ChangeSet(chains=(change,), properties={key: _read_again(each)})
    return Detection(changes=changes + hold_undone(context, difference, run), findings=findings)


def _undo_traits(context: RunContext, changed: Sequence[RevertibleChange], run: RunId) -> Detection:
    """Undo the changes of traits in one chain."""
    workspace, keys = context.workspace, [each.of.key for each in changed]
    chain = context.reader.chain(changed[0].of.chain_id)
    snapshot = workspace.table("snapshot", _values_before(chain, changed))
    diff = diff_traits(workspace, snapshot, chain, keys, erased=context.erased)
    change = traits_change(workspace, chain, diff, context.run)
    if change is None:
        return Detection()
    users, holds = workspace.one(f"select count(distinct user_id) from {diff.log}")[0], list[ChangeSet]()
    for each in changed:
        key, mine = each.of.key, f"from {diff.log} where key = {quote_literal(each.of.key)}"
        again = Query(f"select user_id, before <> 'null' as present {mine}")
        entered, left, had = workspace.one(
            f"select count(*) filter (where before <> 'null'), count(*) filter (where before = 'null'), "
            f"(select count({trait_column(key)}) from ({current_rows_query(change.chain)})) {mine}"
        )
        if entered + left:
            counts = ChangeCounts(had, entered, left)
            difference = Difference(kind=HoldKind.COMPUTED_TRAIT, key=key, counts=counts, users=again, tolerance=0)
            holds.append(hold_undone(context, difference, run))
    sources = {each.of.key: _read_again(each) for each in changed}
    changes = ChangeSet.total([ChangeSet(chains=(change,), properties=sources), *holds])
    return Detection(changes=changes, findings=RunFindings(traits=TraitsResult(changed=users)))


def _values_before(chain: Chain, changed: Sequence[RevertibleChange]) -> str:
    """A query for the traits without the run's changes: ``user_id`` and a column per key."""
    columns = ", ".join(
        f"case when r{index}.user_id is not null then r{index}.before else c.{trait_column(each.of.key)} end "
        f"as {quote_identifier(each.of.key)}"
        for index, each in enumerate(changed)
    )
    joins = " ".join(f"left join ({each.rows}) r{index} using (user_id)" for index, each in enumerate(changed))
    everyone = " union ".join(
        [
            f"select user_id from ({current_rows_query(chain)})",
            *(f"select user_id from ({each.rows})" for each in changed),
        ]
    )
    rows = current_rows_query(chain)
    return f"select u.user_id, {columns} from ({everyone}) u left join ({rows}) c using (user_id) {joins}"


def _read_again(each: RevertibleChange) -> PropertyChange:
    """Drop the fingerprint, so that the next run reads the source even if it is unchanged."""
    return PropertyChange(source=SourceState(None, each.of.invalid, each.of.columns))


def _changes_of_run(context: RunContext, run: RunId) -> list[RevertibleChange]:
    """The run's changes, one value a property. Raises UnknownNameError and HistoryPrunedError."""
    with context.reader.reading() as connection:
        _refuse_run(connection, run)
        touched = _changed_properties(connection, run, list(context.stored.properties.values()))
        log = _log(connection, context.workspace, run, touched)
    return [_revertible_change(context, run, log, each) for each in touched]


def _refuse_run(connection: Connection, run: RunId) -> None:
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


def _changed_properties(connection: Connection, run: RunId, known: Sequence[Property]) -> list[Property]:
    changed = set(connection.execute(select(changes.c.property_id).where(changes.c.run_id == run).distinct()).scalars())
    mine = [each for each in known if each.created_run == run or each.id in changed]
    return [each for each in mine if each.key != ALIAS_KEY]


def _log(connection: Connection, workspace: Workspace, run: RunId, touched: Sequence[Property]) -> str:
    """A table of all changes of these properties since the run, its own included."""
    mine = changes.c.property_id.in_([each.id for each in touched]) & (changes.c.run_id >= run)
    query = select(changes.c.user_id, properties.c.key, changes.c.value, changes.c.previous_value, changes.c.run_id)
    query = query.join_from(changes, properties, changes.c.property_id == properties.c.id).where(mine)
    return workspace.load(_COLUMNS, _batches(connection, query))


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Sequence[Any]]]:
    yield from connection.execution_options(yield_per=10_000).execute(query).partitions()


def _revertible_change(context: RunContext, run: RunId, log: str, each: Property) -> RevertibleChange:
    workspace = context.workspace
    mine = f"from {log} where key = {quote_literal(each.key)}"
    made = f"select user_id, value, before {mine} and run_id = {run}"
    if each.created_run == run:
        made = f"{made} union all {_values_since_creation(context.reader.chain(each.chain_id), each.key, run, mine)}"
    later = f"select user_id, max(run_id) as newer {mine} and run_id > {run} group by user_id"
    table = workspace.table("changed", f"select * from ({made}) left join ({later}) using (user_id)")
    unknown = workspace.one(f"select count(*) from {table} where before is null and newer is null")[0]
    if each.kind is PropertyKind.AUDIENCE:  # a membership was the opposite before
        workspace.run(f"update {table} set before = case value when 'true' then 'false' else 'true' end")
        unknown = 0
    merged = context.aliases.sent
    if merged is not None:  # values of users with a new id stay
        now = f"select user_id from {merged} where previous_id in (select user_id from {table})"
        ids = f"select previous_id from {merged} union all {now}"
        workspace.run(f"update {table} set newer = {run} where newer is null and user_id in ({ids})")
    workspace.run(f"delete from {table} where before is null and newer is null")
    workspace.run(f"update {table} set before = nullif(before, 'null')")
    return RevertibleChange(each, table, unknown)


def _values_since_creation(chain: Chain, key: str, run: RunId, mine: str) -> str:
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
