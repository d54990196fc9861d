"""Load and diff the snapshots of computed traits, and detect what changes once they are guarded."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.models import ComputedTraitsConfig
from audience_sync.errors import SourceError
from audience_sync.model import ALIAS_KEY, HoldKind, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import HAS_INVALID_VALUE, ComparedState, SnapshotRows, UncheckedRows
from audience_sync.sql import NEVER, Condition, Query, TableName, quote_identifier
from audience_sync.store.snapshots.chain import Chain, current_rows_query, rows_of, trait_column
from audience_sync.sync.detect.guard_diffs import guard_traits
from audience_sync.sync.diff.snapshot_files import traits_change
from audience_sync.sync.diff.traits import (
    ChainDiff,
    TraitsDiff,
    deduplicate_users,
    diff_traits,
    diff_unchecked_traits,
    no_difference,
    write_first_values,
)
from audience_sync.sync.guard.holds import release, supersede_missing
from audience_sync.sync.load.resolve_ids import MOVED
from audience_sync.sync.load.snapshot import (
    TRAITS,
    LoadedSnapshot,
    failure_message,
    load_snapshot,
    loaded_from,
    read_invalid_rows,
)
from audience_sync.sync.values.change_set import ChainChange, ChangeSet, NewProperty, PropertyChange, SourceState
from audience_sync.sync.values.findings import Detection, RunFindings, TraitsResult
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import form, pluralize
from audience_sync.tracing import stage
from audience_sync.workspace import Workspace


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
    with source.scanning():
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
    with source.scanning():
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
    with source.scanning():
        table, differing = deduplicate_users(
            workspace, source.select, keys, moved=MOVED if context.aliases.pairs else None, flag=invalid_value
        )
    any_invalid = f"coalesce(bool_or({quote_identifier(invalid_value)}), false)" if invalid_value else "false"
    users, invalid, has_invalid_values = workspace.one(
        f"select count(user_id), count(*) filter (where user_id is null), {any_invalid} from {table}"
    )
    if has_invalid_values:
        with source.scanning():
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
        held, guarded = guard_traits(context, config, diffs, is_empty=snapshot.is_empty, is_part=is_part)
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
    with snapshot.source.scanning():
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
