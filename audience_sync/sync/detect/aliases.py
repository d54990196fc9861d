"""Under which id is a user known now? The pairs of the config's lists, and those that were met before.

What destinations are told of it is stored as a computed trait of its own, `$alias`: of each user the previous ids. So
position, refusals and repeats are those of any other value.
"""

from __future__ import annotations

from dataclasses import replace

from audience_sync.config.models import AliasConfig
from audience_sync.errors import SourceError
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import SnapshotRequest, TraitColumn
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.diff.new_segments import traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.load.resolve_ids import AliasMap
from audience_sync.sync.load.snapshot import rejected_rows, scanning, snapshot_request
from audience_sync.sync.values.change_set import NewProperty, SourceState
from audience_sync.text import form, pluralize
from audience_sync.workspace import Workspace, quote_identifier

#: What the new id is called while a list is read.
NEW_ID = "new id"


def read_aliases(detector: ChangeDetector, *, sources: bool) -> AliasMap:
    """The pairs as they are now; ``sources``: whether the lists are read, or only what is remembered counts.

    Notes in the findings which of them destinations are to be told: those whose previous id the store knows.
    """
    workspace, stored = detector.workspace, detector.stored.properties.get(ALIAS_KEY)
    lists = detector.settings.aliases if sources else []
    if stored is None and not lists:
        return AliasMap()
    remembered = _remembered(detector, None if stored is None else detector.stored_chain(stored.chain_id))
    listed, error = _table(workspace, "select null::varchar as previous_id, null::varchar as user_id where false"), None
    try:
        for entry in lists:
            _read(detector, entry, listed)
    except SourceError as failure:
        error = mask_secrets(f"the list of aliases can't be read: {failure}", detector.settings.secrets)
        workspace.run(f"delete from {listed}")
    pairs = _resolved(detector, listed, remembered)
    count, hashes = workspace.one(
        f"select count(*), coalesce(bit_xor(hash(previous_id || chr(0) || user_id)), 0) from {pairs}"
    )
    version = f"aliases {count}.{hashes}" if count else ""
    told = _table(workspace, f"from {pairs} semi join {remembered} using (previous_id)")
    if lists and error is None and (stored is None or stored.fingerprint != (version or None)):
        _remember(detector, pairs, told)
        detector.changes.source_states[ALIAS_KEY] = SourceState(version or None)
    joined = _table(workspace, f"from {told} anti join {remembered} using (previous_id, user_id)")
    return AliasMap(pairs, told, joined, version, error)


def _table(workspace: Workspace, query: str) -> str:
    table = workspace.name("aliases")
    workspace.run(f"create table {table} as {query}")
    return table


def _remembered(detector: ChangeDetector, chain: Chain | None) -> str:
    workspace, query = detector.workspace, "select null::varchar as previous_id, null::varchar as user_id where false"
    if chain is not None:
        ids = f"""unnest(from_json({trait_column(ALIAS_KEY)}, '["VARCHAR"]'))"""
        query = f"select {ids} as previous_id, user_id from ({current_rows_query(chain)})"
    return _table(workspace, query)


def _read(detector: ChangeDetector, entry: AliasConfig, listed: str) -> None:
    """Add the pairs of one list. A row without a usable previous id is rejected, one without a new id passed over."""
    workspace, wanted = detector.workspace, _wanted(entry)
    rows = detector.sources[entry.source].read(workspace, wanted)
    read = workspace.name("read")
    with scanning(rows):
        workspace.run(
            f"create table {read} as select distinct user_id as previous_id, {quote_identifier(NEW_ID)} as user_id "
            f"from ({rows.select})"
        )
    rejected, nameless = workspace.one(
        "select count(*) filter (where previous_id is null), "
        f"count(*) filter (where previous_id is not null and user_id is null) from {read}"
    )
    if rejected:
        detector.changes.rejected += rejected_rows(workspace, rows, None)
    if nameless:
        rows_without = f"{pluralize(nameless, 'row')} without a new id {form(nameless, 'was')} skipped"
        detector.changes.warnings.append(f"aliases of {entry.source}: {rows_without}.")
    workspace.run(f"insert into {listed} from {read} where previous_id <> user_id")


def _wanted(entry: AliasConfig) -> SnapshotRequest:
    wanted = snapshot_request(entry)
    return replace(wanted, user_id=entry.previous_id, traits={NEW_ID: TraitColumn(entry.user_id, is_id=True)})


def _resolved(detector: ChangeDetector, listed: str, remembered: str) -> str:
    """One row for each previous id, with the id at the end of its chain: of a -> b -> c there are a -> c and b -> c.

    What is listed goes before what is remembered. Of several new ids one counts, the same in every run; ids that are
    each other's previous ones are left out.
    """
    workspace, warnings = detector.workspace, detector.changes.warnings
    several = workspace.one(
        f"select count(*) from (select 1 from {listed} group by previous_id having count(distinct user_id) > 1)"
    )[0]
    if several:
        words = f"aliases: {pluralize(several, 'previous id')} {form(several, 'has')} several new ids."
        warnings.append(f"{words} One of each is used, the same in every run.")
    pairs = _table(
        workspace,
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
    return _table(workspace, f"select previous_id, user_id from {resolved}")


def _resolve_transitively(workspace: Workspace, pairs: str) -> tuple[str, str | None]:
    """The pairs with the ids at the ends of their chains, and a table of the previous ids that lead in a circle. Each
    step doubles how far is looked, and no chain is longer than there are pairs."""
    count = workspace.one(f"select count(*) from {pairs}")[0]
    unfinished = "select p.previous_id from {0} p semi join {0} q on p.user_id = q.previous_id"
    for _ in range(int(count).bit_length() + 1):
        if not workspace.one(f"select count(*) from ({unfinished.format(pairs)})")[0]:
            return pairs, None
        pairs = _table(
            workspace,
            "select p.previous_id, coalesce(q.user_id, p.user_id) as user_id "
            f"from {pairs} p left join {pairs} q on p.user_id = q.previous_id",
        )
    return pairs, _table(workspace, unfinished.format(pairs))


def _remember(detector: ChangeDetector, pairs: str, told: str) -> None:
    """Add to ``told`` the pairs whose previous id the store knows, and note what changes with that."""
    workspace, stored = detector.workspace, detector.stored.properties.get(ALIAS_KEY)
    chains = [each.chain_id for each in detector.stored.properties.values() if each.key != ALIAS_KEY]
    known = [
        f"select user_id from ({current_rows_query(detector.stored_chain(each))})" for each in dict.fromkeys(chains)
    ]
    if known:
        workspace.run(
            f"insert into {told} from {pairs} anti join {told} using (previous_id) "
            f"where previous_id in ({' union all '.join(known)})"
        )
    snapshot = _table(
        workspace,
        "select user_id, cast(to_json(list(previous_id order by previous_id)) as varchar) "
        f"as {quote_identifier(ALIAS_KEY)} "
        f"from {told} group by user_id",
    )
    new = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=(ALIAS_KEY,), user_count=0)
    chain = new if stored is None else detector.stored_chain(stored.chain_id)
    diff = diff_traits(workspace, snapshot, chain, [ALIAS_KEY], erased=detector.erased)
    change = traits_change(workspace, chain, diff, detector.run)
    if change is None:
        return
    detector.changes.changes.append(change)
    if change.chain.id is not None:
        detector.fetched_chains[change.chain.id] = change.chain
    else:
        place = len(detector.changes.changes) - 1
        detector.changes.created.append(NewProperty(PropertyKind.COMPUTED_TRAIT, ALIAS_KEY, "Previous ids", place))
