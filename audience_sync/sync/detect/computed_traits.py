"""Load and diff the snapshots of computed traits, and guard the changes: a trait is accepted or held as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.models import ComputedTraitsConfig
from audience_sync.errors import SourceError
from audience_sync.model import ALIAS_KEY, ChangeCounts, HoldKind, PropertyKind, RunId
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import HAS_INVALID_VALUE, ComparedState, SnapshotRows, UncheckedRows
from audience_sync.sql import NEVER, Condition, Query, TableName, quote_identifier, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query, rows_of, trait_column
from audience_sync.sync.diff.snapshot_files import traits_change
from audience_sync.sync.diff.traits import (
    ALL_TRAITS,
    TraitsDiff,
    deduplicate_users,
    diff_traits,
    diff_unchecked_traits,
    no_difference,
    write_first_values,
)
from audience_sync.sync.guard.holds import (
    ComparedDifference,
    Difference,
    compare_with_hold,
    guard_difference,
    release,
    repeated_changes_reason,
    supersede_missing,
)
from audience_sync.sync.guard.limits import trait_reason, traits_reason
from audience_sync.sync.load.resolve_ids import MOVED
from audience_sync.sync.load.snapshot import (
    TRAITS,
    LoadedSnapshot,
    failure_message,
    load_snapshot,
    loaded_from,
    read_invalid_rows,
    scanning,
)
from audience_sync.sync.values.change_set import ChainChange, ChangeSet, NewProperty, PropertyChange, SourceState
from audience_sync.sync.values.findings import Detection, HeldDifference, RunFindings, TraitsResult
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import form, pluralize
from audience_sync.tracing import stage
from audience_sync.workspace import Workspace


class ChainDiff(Struct, frozen=True):
    """The diff of an entry's traits that are stored in one chain."""

    chain: Chain
    keys: Sequence[str]
    diff: TraitsDiff


class LoadedTraits(Struct, frozen=True, kw_only=True):
    """A snapshot of the traits ``keys``: a table with one row a user, or counted rows with unchecked ids.

    ``invalid`` counts rows without a usable user id and invalid values; ``differing`` the users who have several rows
    that differ. ``touched``: a table with the ``user_id`` of those who may have changed, if a warehouse has compared
    the snapshot; ``rows`` are theirs.
    """

    source: SnapshotRows
    keys: Sequence[str]
    rows: TableName | UncheckedRows
    is_empty: bool = False
    invalid: int = 0
    differing: int = 0
    touched: TableName | None = None


def detect_traits(context: RunContext, before: Sequence[ChainChange], keys: Collection[str] | None = None) -> Detection:
    """Detect the changes of every entry, or of those with one of ``keys``. A failed entry keeps its stored values.

    ``before``: the changes of chains so far.
    """
    settings, changes, found = context.settings, [*before], list[Detection]()
    changed, was_read = list[str](), False
    for index, config in enumerate(settings.computed_traits):
        columns = [key for key in config.columns if keys is None or key in keys]
        if not columns:
            continue
        context.loading(f"computed traits of {config.source}")
        try:
            stored = [context.stored.properties.get(key) for key in columns]
            loaded = load_snapshot(context, config, config.columns, stored)
            if loaded is None:
                found.append(_unchanged(context, columns))
                continue
            detected, tables = _detect_entry(context, config, columns, loaded, changes, is_part=keys is not None)
        except SourceError as error:
            text = f"computed_traits[{index}]: {failure_message(error, config.columns)}"
            message = mask_secrets(text, settings.secrets)
            found.append(Detection(findings=RunFindings(traits=TraitsResult(errors=(message,)))))
        else:
            found.append(detected)
            changes += detected.changes.chains
            changed, was_read = [*changed, *tables], True
    if keys is None and context.stored.last_holds:
        known = {key for config in settings.computed_traits for key in config.columns}
        found.append(supersede_missing(context, HoldKind.COMPUTED_TRAIT, known))
    users = users_with_traits(context, changes) if was_read else _users_before(context)
    queries = " union all ".join(f"select user_id from {table}" for table in changed)
    users_of = "distinct user_id" if len(changed) > 1 else "user_id"  # a table has one row a user
    count = context.workspace.one(f"select count({users_of}) from ({queries})")[0] if changed else 0
    counts = Detection(findings=RunFindings(traits=TraitsResult(users=users, changed=count)))
    return Detection.total([*found, counts])


def _unchanged(context: RunContext, keys: Sequence[str]) -> Detection:
    invalid = max(context.stored.properties[key].invalid for key in keys)
    return Detection(findings=RunFindings(traits=TraitsResult(invalid=invalid))) + release(
        context, HoldKind.COMPUTED_TRAIT, keys
    )


def _load_and_diff(
    context: RunContext, loaded: LoadedSnapshot, keys: Sequence[str], changes: Sequence[ChainChange]
) -> tuple[LoadedTraits, list[ChainDiff]]:
    """The snapshot, and its diff with the chain or the chains of its traits. With one chain, it is read by the join."""
    source = loaded.rows
    if source.left is not None:
        return _diff_compared(context, source, source.left, keys, changes)
    chains = _by_chain(context, keys, changes)
    if source.unchecked is not None and len(chains) == 1 and chains[0][0].id is None and context.erased == NEVER:
        return _load_first_values(context, source, source.unchecked, chains[0][0])
    if source.unchecked is None or len(chains) > 1 or chains[0][0].id is None:
        snapshot = _load(context, source, keys)
        return snapshot, [ChainDiff(chain, mine, _diff(context, snapshot, chain, mine)) for chain, mine in chains]
    [(chain, _)] = chains
    with scanning(source):
        rows = _counted(context.workspace, source.unchecked, is_rereadable=source.rereadable)
    snapshot = LoadedTraits(source=source, keys=keys, rows=rows)
    diff = _diff(context, snapshot, chain, keys)
    snapshot = replace(
        snapshot, is_empty=rows.row_count == diff.invalid, invalid=diff.invalid, differing=diff.differing
    )
    return snapshot, [ChainDiff(chain, keys, diff)]


def _diff_compared(
    context: RunContext, source: SnapshotRows, left: Query, keys: Sequence[str], changes: Sequence[ChainChange]
) -> tuple[LoadedTraits, list[ChainDiff]]:
    """The rows of users who may have changed, and their diff with their stored values.

    If there are no such users, no stored file is fetched.
    """
    workspace, snapshot = context.workspace, _load(context, source, keys)
    touched = workspace.table(
        "touched", f"select user_id from {snapshot.rows} where user_id is not null union ({left})"
    )
    snapshot = replace(snapshot, touched=touched)
    if workspace.one(f"select count(*) from {touched}")[0]:
        chains = _by_chain(context, keys, changes)
        return snapshot, [ChainDiff(chain, mine, _diff(context, snapshot, chain, mine)) for chain, mine in chains]
    chains = _by_chain(context, keys, changes, fetched=False)
    return snapshot, [ChainDiff(chain, mine, no_difference(workspace)) for chain, mine in chains]


def _load_first_values(
    context: RunContext, source: SnapshotRows, rows: UncheckedRows, chain: Chain
) -> tuple[LoadedTraits, list[ChainDiff]]:
    """The snapshot of new traits, and its diff. Rows that have to be chosen from are read from the file again."""
    workspace, keys = context.workspace, list(chain.keys)
    with scanning(source):
        base, diff = write_first_values(workspace, rows, keys, context.run)
    columns = ", ".join(f"{trait_column(key)} as {quote_identifier(key)}" for key in keys)
    select = f"select user_id, {columns} from {rows_of(base)}"
    if diff is not None:
        table = workspace.view("snapshot", select)
        snapshot = LoadedTraits(source=source, keys=keys, rows=table, is_empty=not base.rows)
        return snapshot, [ChainDiff(chain, keys, diff)]
    snapshot = _load(context, replace(source, select=select), keys)
    return snapshot, [ChainDiff(chain, keys, _diff(context, snapshot, chain, keys))]


def _counted(workspace: Workspace, rows: UncheckedRows, *, is_rereadable: bool) -> UncheckedRows:
    """The same rows with their number, in a table if a second read is dear."""
    if rows.row_count is not None:
        return rows
    select = rows.select if is_rereadable else f"from {workspace.table('snapshot', rows.select)}"
    return replace(rows, select=select, row_count=workspace.one(f"select count(*) from ({select})")[0])


def _load(context: RunContext, source: SnapshotRows, keys: Sequence[str]) -> LoadedTraits:
    """The snapshot as a table with one row a user."""
    workspace, invalid_value = context.workspace, HAS_INVALID_VALUE if source.may_have_invalid_values else None
    with scanning(source):
        table, differing = deduplicate_users(
            workspace, source.select, keys, moved=MOVED if context.aliases.pairs else None, flag=invalid_value
        )
    any_invalid = f"coalesce(bool_or({quote_identifier(invalid_value)}), false)" if invalid_value else "false"
    users, invalid, has_invalid_values = workspace.one(
        f"select count(user_id), count(*) filter (where user_id is null), {any_invalid} from {table}"
    )
    if has_invalid_values:
        with scanning(source):
            invalid = workspace.one(f"select count(*) from ({source.invalid_rows})")[0]
    is_empty = not users if source.left is None else source.is_empty
    return LoadedTraits(source=source, keys=keys, rows=table, is_empty=is_empty, invalid=invalid, differing=differing)


def _findings(workspace: Workspace, config: ComputedTraitsConfig, snapshot: LoadedTraits) -> RunFindings:
    """The invalid rows of a snapshot, and a warning about users with several rows that differ."""
    differing, warnings = snapshot.differing, list[str]()
    if differing:
        warnings.append(
            f"computed traits of {config.source}: {pluralize(differing, 'user')} {form(differing, 'has')} rows with "
            "different values. One row of each is used, the same in every run."
        )
    return RunFindings(
        traits=TraitsResult(invalid=snapshot.invalid),
        invalid_rows=read_invalid_rows(workspace, snapshot.source) if snapshot.invalid else (),
        warnings=tuple(warnings),
    )


def _detect_entry(
    context: RunContext,
    config: ComputedTraitsConfig,
    keys: Sequence[str],
    loaded: LoadedSnapshot,
    changes: Sequence[ChainChange],
    *,
    is_part: bool,
) -> tuple[Detection, list[str]]:
    """The changes of an entry's traits, and tables of the users whose values changed.

    ``is_part``: only some traits of the entry are diffed.
    """
    with stage("compare", TRAITS):
        snapshot, diffs = _load_and_diff(context, loaded, keys, changes)
        read = _findings(context.workspace, config, snapshot)
    with stage("guard", TRAITS):
        held, guarded = _guard(context, config, diffs, is_empty=snapshot.is_empty, is_part=is_part)
    accepted = list[tuple[Detection, str]]()
    for each in diffs:
        mine = [key for key in each.keys if key not in held]
        diff = each.diff if mine == each.keys or not mine else _diff(context, snapshot, each.chain, mine)
        change = traits_change(context.workspace, each.chain, diff, context.run) if mine else None
        if change is not None and change.chain.id is None:
            names = {key: config.columns[key].name or config.columns[key].column for key in mine}
            new = [NewProperty(kind=PropertyKind.COMPUTED_TRAIT, key=key, name=names[key]) for key in mine]
            change = replace(change, creates=tuple(new))
        if change is not None:
            accepted.append((Detection(changes=ChangeSet(chains=(change,))), diff.table))
    source, compared = loaded.source_state(snapshot.invalid), Detection()
    if source.compared is not None:
        source, compared = _with_reread(context, source, source.compared, snapshot)
    change_of_source = PropertyChange(source=source, loaded_from=loaded_from(context, config, config.columns))
    sources = ChangeSet(properties={key: change_of_source for key in keys if key not in held})
    detections = [Detection(changes=sources, findings=read), compared, guarded, *(found for found, _ in accepted)]
    return Detection.total(detections), [table for _, table in accepted]


def _with_reread(
    context: RunContext, source: SourceState, compared: ComparedState, snapshot: LoadedTraits
) -> tuple[SourceState, Detection]:
    """The source's state with the users whose rows the next run reads, too; and a warning if they are too many."""
    from audience_sync.sync.load.compared_elsewhere import with_reread

    flagged = None if isinstance(snapshot.rows, UncheckedRows) else snapshot.rows
    state, warnings = with_reread(
        context,
        compared,
        rows=snapshot.source.select,
        table=flagged if snapshot.source.may_have_invalid_values else None,
        keys=snapshot.keys,
        differing=snapshot.differing,
    )
    return source._replace(compared=state), Detection(findings=RunFindings(warnings=warnings))


def _diff(context: RunContext, snapshot: LoadedTraits, chain: Chain, keys: Sequence[str]) -> TraitsDiff:
    workspace, rows, erased = context.workspace, snapshot.rows, context.erased
    if not isinstance(rows, UncheckedRows):
        within = Condition(f"user_id in (select user_id from {snapshot.touched})") if snapshot.touched else None
        return diff_traits(workspace, rows, chain, keys, erased=erased, aliases=context.aliases.pairs, within=within)
    with scanning(snapshot.source):
        return diff_unchecked_traits(workspace, rows, chain, keys, columns=snapshot.keys, erased=erased)


def _by_chain(
    context: RunContext, keys: Sequence[str], changes: Sequence[ChainChange], *, fetched: bool = True
) -> list[tuple[Chain, list[str]]]:
    """The chains of these traits as changed so far, each with its keys; new traits share a new chain.

    ``fetched``: with their files.
    """
    stored: dict[int, list[str]] = {}
    new: list[str] = []
    for key in keys:
        known = context.stored.properties.get(key)
        if known is None:
            new.append(key)
        else:
            stored.setdefault(known.chain_id, []).append(key)
    latest = {change.chain.id: change.chain for change in changes}
    read = context.reader.chain if fetched else context.reader.unfetched_chain
    found = [(latest.get(chain_id) or read(chain_id), mine) for chain_id, mine in stored.items()]
    if new:
        found.append((Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=tuple(new), user_count=0), new))
    return found


def _guard(
    context: RunContext, config: ComputedTraitsConfig, diffs: Sequence[ChainDiff], *, is_empty: bool, is_part: bool
) -> tuple[frozenset[str], Detection]:
    """The keys that are held, and their holds; a new trait is never held.

    If too many users lose all their traits, every trait of the entry is held. ``is_empty``: the snapshot has no users.
    ``is_part``: traits that are held together stay held, because not all of them were diffed.
    """
    guard, stored = context.settings.guard_of(config), [each for each in diffs if each.diff.log]
    compared = [compare_with_hold(context, each) for diff in stored for each in _differences(diff, guard.tolerance)]
    keys = [key for each in stored for key in each.keys]
    lost_all = [each.diff.lost[ALL_TRAITS] for each in stored if ALL_TRAITS in each.diff.lost]
    reasons = (traits_reason(keys, counts, guard, is_empty=is_empty) for counts in lost_all)
    whole = next((reason for reason in reasons if reason), None)
    undone = _reasons_undone(context, compared)
    held, detections = list[tuple[str, HeldDifference]](), list[Detection]()
    for each in compared:
        difference, hold = each.difference, each.waiting if is_part else None
        if difference.key in undone:
            repeat, together = undone[difference.key]
            verdict = guard_difference(context, each, repeat, together=together, repeated=True)
        else:
            shared = whole if len(compared) > 1 else None
            if hold and hold.together and difference.counts.left:
                shared = hold.reason
            reason = shared or whole or trait_reason(difference.key, difference.counts, guard)
            verdict = guard_difference(context, each, reason, together=shared is not None)
        detections.append(verdict.holds)
        if verdict.held:
            held.append((difference.key, verdict.held))
    result = Detection(findings=RunFindings(traits=TraitsResult(held=tuple(held))))
    return frozenset(key for key, _ in held), Detection.total([*detections, result])


def _differences(each: ChainDiff, tolerance: float) -> Iterator[Difference]:
    for key in each.keys:
        mine = f"from {each.diff.log} where key = {quote_literal(key)}"
        yield Difference(
            kind=HoldKind.COMPUTED_TRAIT,
            key=key,
            counts=each.diff.lost.get(key, ChangeCounts(0, 0, 0)),
            users=Query(f"select user_id, false as present {mine} and value is null"),
            tolerance=tolerance,
            changed=Query(f"select user_id, value is not null as present {mine}"),
        )


def _reasons_undone(context: RunContext, compared: Sequence[ComparedDifference]) -> Mapping[str, tuple[str, bool]]:
    """By key, the reason for traits whose undone changes the snapshot repeats, and whether several traits share it."""
    repeated: dict[tuple[RunId, RunId], list[Difference]] = {}
    for each in compared:
        runs = each.undone_runs if each.last else None
        if runs is not None and not each.is_approved(context.request.exceptions):
            repeated.setdefault(runs, []).append(each.difference)
    return {
        each.key: (repeated_changes_reason(group, *runs), len(group) > 1)
        for runs, group in repeated.items()
        for each in group
    }


def _is_counted(chain: Chain) -> bool:
    """Whether the chain has computed traits of a config, so not `$alias`."""
    return chain.kind is PropertyKind.COMPUTED_TRAIT and chain.keys != (ALIAS_KEY,)


def _users_before(context: RunContext) -> int:
    """The last run's number of users with computed traits."""
    counted = (chain for chain in context.stored.chains.values() if _is_counted(chain))
    return context.stored.trait_users if any(chain.user_count for chain in counted) else 0


def users_with_traits(context: RunContext, changes: Sequence[ChainChange]) -> int:
    """The number of users with computed traits; several chains are joined and counted."""
    stored = {key: chain for key, chain in context.stored.chains.items() if _is_counted(chain)}
    after = [change.chain for change in changes if _is_counted(change.chain)]
    latest = stored | {chain.id if chain.id is not None else -number: chain for number, chain in enumerate(after, 1)}
    if len(latest) <= 1:
        return sum(chain.user_count for chain in latest.values())
    queries = [
        f"select user_id from ({current_rows_query(chain if chain.files else context.reader.chain(key))})"
        for key, chain in latest.items()
    ]
    return int(context.workspace.one(f"select count(distinct user_id) from ({' union all '.join(queries)})")[0])
