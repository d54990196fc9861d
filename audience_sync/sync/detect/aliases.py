"""Read the alias lists, resolve them with the stored pairs, and detect which pairs to send.

The pairs to send are stored as a computed trait, `$alias`: the previous ids of each user. Its position, refusals and
repeats therefore work like those of any other value.
"""

from __future__ import annotations

from msgspec.structs import replace

from audience_sync.config.models import AliasConfig
from audience_sync.errors import SourceError
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import SnapshotRequest, TraitColumn
from audience_sync.sql import NEVER, Condition, TableName, quote_identifier
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.diff.snapshot_files import traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.load.snapshot import read_invalid_rows, snapshot_request
from audience_sync.sync.values.change_set import ChangeSet, NewProperty, PropertyChange, SourceState
from audience_sync.sync.values.findings import Detection, RunFindings
from audience_sync.sync.values.run_context import AliasMap, RunContext
from audience_sync.text import form, pluralize
from audience_sync.workspace import Workspace

#: The column of the new id while a list is read.
NEW_ID = "new id"


def with_aliases(context: RunContext) -> tuple[RunContext, Detection]:
    """The context with the current pairs of ids. Pairs whose previous id is stored become changes of `$alias`.

    A retire and an undo use the stored pairs alone.
    """
    workspace, stored = context.workspace, context.stored.properties.get(ALIAS_KEY)
    lists = context.settings.aliases if context.request.reads_sources else []
    if stored is None and not lists:
        return context, Detection()
    remembered = _remembered(workspace, None if stored is None else context.reader.chain(stored.chain_id))
    listed = workspace.table("aliases", "select null::varchar as previous_id, null::varchar as user_id where false")
    findings, error = RunFindings(), None
    try:
        for entry in lists:
            findings += _read(context, entry, listed)
    except SourceError as failure:
        error = mask_secrets(f"the list of aliases can't be read: {failure}", context.settings.secrets)
        workspace.run(f"delete from {listed}")
    pairs, warnings = _resolved(workspace, listed, remembered)
    count, hashes = workspace.one(
        f"select count(*), coalesce(bit_xor(hash(previous_id || chr(0) || user_id)), 0) from {pairs}"
    )
    version = f"aliases {count}.{hashes}" if count else ""
    sent, changes = workspace.table("aliases", f"from {pairs} semi join {remembered} using (previous_id)"), ChangeSet()
    if lists and error is None and (stored is None or stored.fingerprint != (version or None)):
        source = PropertyChange(source=SourceState(version or None))
        changes = _remember(context, pairs, sent) + ChangeSet(properties={ALIAS_KEY: source})
    joined = workspace.table("aliases", f"from {sent} anti join {remembered} using (previous_id, user_id)")
    aliases = AliasMap(pairs=pairs, sent=sent, joined=joined, version=version, error=error)
    context = replace(context, aliases=aliases, erased=_erased_persons(context.erased, pairs))
    return context, Detection(changes=changes, findings=findings + RunFindings(warnings=warnings))


def _erased_persons(erased: Condition, pairs: TableName) -> Condition:
    """An SQL condition on ``user_id`` for erased users under all their ids. ``erased``: for the erased ids."""
    if erased == NEVER:
        return erased
    previous = f"select user_id from (select previous_id as user_id, user_id as now from {pairs}) where {erased}"
    now = f"select user_id from {pairs} where previous_id in ({previous})"
    return Condition(f"({erased} or user_id in ({now}))")


def _remembered(workspace: Workspace, chain: Chain | None) -> TableName:
    query = "select null::varchar as previous_id, null::varchar as user_id where false"
    if chain is not None:
        ids = f"""unnest(from_json({trait_column(ALIAS_KEY)}, '["VARCHAR"]'))"""
        query = f"select {ids} as previous_id, user_id from ({current_rows_query(chain)})"
    return workspace.table("aliases", query)


def _read(context: RunContext, entry: AliasConfig, listed: str) -> RunFindings:
    """Add the pairs of one list. A row without a usable previous id is invalid; one without a new id is skipped."""
    workspace, wanted = context.workspace, _wanted(entry)
    rows = context.sources[entry.source].read(workspace, wanted)
    read = workspace.name("read")
    with rows.scanning():
        workspace.run(
            f"create table {read} as select distinct user_id as previous_id, {quote_identifier(NEW_ID)} as user_id "
            f"from ({rows.select})"
        )
    invalid, nameless = workspace.one(
        "select count(*) filter (where previous_id is null), "
        f"count(*) filter (where previous_id is not null and user_id is null) from {read}"
    )
    invalid_rows = read_invalid_rows(workspace, rows) if invalid else ()
    rows_without = f"{pluralize(nameless, 'row')} without a new id {form(nameless, 'was')} skipped"
    workspace.run(f"insert into {listed} from {read} where previous_id <> user_id")
    warnings = (f"aliases of {entry.source}: {rows_without}.",) if nameless else ()
    return RunFindings(invalid_rows=invalid_rows, warnings=warnings)


def _wanted(entry: AliasConfig) -> SnapshotRequest:
    wanted = snapshot_request(entry)
    return replace(wanted, user_id=entry.previous_id, traits={NEW_ID: TraitColumn(entry.user_id, is_id=True)})


def _resolved(workspace: Workspace, listed: str, remembered: str) -> tuple[TableName, tuple[str, ...]]:
    """One row for each previous id, with the id at the end of its chain: of a -> b -> c there are a -> c and b -> c.

    Listed pairs replace stored ones. Of several new ids one is used, the same in every run. Circular ids are skipped.
    Both are warnings.
    """
    warnings = list[str]()
    several = workspace.one(
        f"select count(*) from (select 1 from {listed} group by previous_id having count(distinct user_id) > 1)"
    )[0]
    if several:
        fact = f"aliases: {pluralize(several, 'previous id')} {form(several, 'has')} several new ids."
        warnings.append(f"{fact} One of each is used, the same in every run.")
    pairs = workspace.table(
        "aliases",
        f"select previous_id, user_id, is_listed from (select previous_id, l.user_id, true as is_listed, "
        f"l.user_id is not distinct from r.user_id as known "
        f"from {listed} l left join {remembered} r using (previous_id) "
        f"union all select previous_id, user_id, false, true from {remembered}) "
        "qualify row_number() over (partition by previous_id order by is_listed desc, known desc, user_id) = 1",
    )
    resolved, circular = _resolve_transitively(workspace, pairs)
    if circular:  # an id that was left for another is listed as the new one again
        workspace.run(f"delete from {pairs} where not is_listed and previous_id in (from {circular})")
        resolved, circular = _resolve_transitively(workspace, pairs)
    if circular:
        count = workspace.one(f"select count(*) from {circular}")[0]
        warnings.append(f"aliases: {pluralize(count, 'id')} {form(count, 'was')} skipped: the ids lead in a circle.")
        workspace.run(f"delete from {pairs} where previous_id in (from {circular})")
        resolved, circular = _resolve_transitively(workspace, pairs)
    return workspace.table("aliases", f"select previous_id, user_id from {resolved}"), tuple(warnings)


def _resolve_transitively(workspace: Workspace, pairs: str) -> tuple[str, str | None]:
    """The pairs with the last ids of their chains, and a table of the previous ids that lead in a circle.

    Each step doubles the distance, and no chain is longer than the number of pairs.
    """
    count = workspace.one(f"select count(*) from {pairs}")[0]
    unfinished = "select p.previous_id from {0} p semi join {0} q on p.user_id = q.previous_id"
    for _ in range(int(count).bit_length() + 1):
        if not workspace.one(f"select count(*) from ({unfinished.format(pairs)})")[0]:
            return pairs, None
        pairs = workspace.table(
            "aliases",
            "select p.previous_id, coalesce(q.user_id, p.user_id) as user_id "
            f"from {pairs} p left join {pairs} q on p.user_id = q.previous_id",
        )
    return pairs, workspace.table("aliases", unfinished.format(pairs))


def _remember(context: RunContext, pairs: str, sent: str) -> ChangeSet:
    """Add to ``sent`` the pairs whose previous id is stored; return the change of `$alias`."""
    workspace, stored = context.workspace, context.stored.properties.get(ALIAS_KEY)
    chains = [each.chain_id for each in context.stored.properties.values() if each.key != ALIAS_KEY]
    known = [
        f"select user_id from ({current_rows_query(context.reader.chain(each))})" for each in dict.fromkeys(chains)
    ]
    if known:
        workspace.run(
            f"insert into {sent} from {pairs} anti join {sent} using (previous_id) "
            f"where previous_id in ({' union all '.join(known)})"
        )
    snapshot = workspace.table(
        "aliases",
        "select user_id, cast(to_json(list(previous_id order by previous_id)) as varchar) "
        f"as {quote_identifier(ALIAS_KEY)} "
        f"from {sent} group by user_id",
    )
    new = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=(ALIAS_KEY,), user_count=0)
    chain = new if stored is None else context.reader.chain(stored.chain_id)
    diff = diff_traits(workspace, snapshot, chain, [ALIAS_KEY], erased=context.erased)
    change = traits_change(workspace, chain, diff, context.run)
    if change is not None and change.chain.id is None:
        created = NewProperty(kind=PropertyKind.COMPUTED_TRAIT, key=ALIAS_KEY, name="Previous ids")
        change = replace(change, creates=(created,))
    return ChangeSet(chains=(change,) if change else ())
