"""What changed of the computed traits? Each entry's snapshot against the chains its traits are in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from audience_sync.config.models import ComputedTraitsConfig, TraitConfig
from audience_sync.config.secrets import masked
from audience_sync.errors import SourceError
from audience_sync.model import PropertyKind
from audience_sync.store.chains import Chain, current
from audience_sync.sync.collect import Collector
from audience_sync.sync.diff import diff_traits, one_row_a_user
from audience_sync.sync.findings import NewProperty
from audience_sync.sync.prepare import traits_change
from audience_sync.sync.snapshot import rejected_rows, scanning, wanted_of


def collect_traits(collector: Collector, keys: Collection[str] | None = None) -> None:
    """Take and compare every entry, or those with one of ``keys``; one that fails leaves its traits as they are."""
    changed, was_read = list[str](), False
    for index, config in enumerate(collector.settings.computed_traits):
        if keys is not None and config.columns.keys().isdisjoint(keys):
            continue
        collector.watch(f"computed traits of {config.source}")
        try:
            found_changes = _collect(collector, config)
            was_read = was_read or found_changes is not None
            changed += found_changes or []
        except SourceError as error:
            found = collector.findings.traits
            message = masked(f"computed_traits[{index}]: {error}", collector.settings.secrets)
            collector.findings.traits = replace(found, errors=(*found.errors, message))
    if was_read:
        _count(collector, changed)
    else:
        collector.findings.traits = replace(collector.findings.traits, users=_users_before(collector))


def _collect(collector: Collector, config: ComputedTraitsConfig) -> list[str] | None:
    """Returns the workspace tables of users whose values changed; None where nothing had to be read."""
    workspace, columns = collector.workspace, config.columns
    source, wanted = collector.sources[config.source], wanted_of(config)
    mark = source.mark(wanted)
    if collector.is_known(columns, mark):
        _note_invalid(collector, max(collector.known.properties[key].invalid for key in columns))
        return None
    rows = source.read(workspace, wanted)
    with scanning(rows):
        snapshot, differing = one_row_a_user(workspace, rows.select, list(columns))
    if differing:
        collector.findings.warnings.append(
            f"computed traits of {config.source}: {differing} users have several rows that differ; "
            "of each one was taken, the same in every run"
        )
    invalid = workspace.one(f"select count(*) from {snapshot} where user_id is null")[0]
    if invalid:
        _note_invalid(collector, invalid)
        collector.findings.rejected += rejected_rows(workspace, rows, None)
    collector.findings.marks |= dict.fromkeys(columns, (mark, invalid))
    return [
        table
        for chain, keys in _by_chain(collector, list(columns))
        for table in _compare(collector, snapshot, chain, keys, columns)
    ]


def _note_invalid(collector: Collector, invalid: int) -> None:
    found = collector.findings.traits
    collector.findings.traits = replace(found, invalid=found.invalid + invalid)


def _by_chain(collector: Collector, keys: Sequence[str]) -> list[tuple[Chain, list[str]]]:
    """The chains that hold these traits, each with its traits among them; new traits share a new chain."""
    stored: dict[int, list[str]] = {}
    new: list[str] = []
    for key in keys:
        known = collector.known.properties.get(key)
        if known is None:
            new.append(key)
        else:
            stored.setdefault(known.chain_id, []).append(key)
    found = [(collector.stored_chain(chain_id), held) for chain_id, held in stored.items()]
    if new:
        found.append((Chain(None, PropertyKind.COMPUTED_TRAIT, tuple(new), 0), new))
    return found


def _compare(
    collector: Collector,
    snapshot: str,
    chain: Chain,
    keys: Sequence[str],
    columns: Mapping[str, TraitConfig],
) -> list[str]:
    diff = diff_traits(collector.workspace, snapshot, chain, keys, erased=collector.erased)
    change = traits_change(collector.workspace, chain, diff, collector.run)
    if change is None:
        return []
    collector.findings.changes.append(change)
    if chain.id is not None:
        collector.fetched[chain.id] = change.chain
    else:
        place = len(collector.findings.changes) - 1
        collector.findings.created += [
            NewProperty(PropertyKind.COMPUTED_TRAIT, key, columns[key].name or columns[key].column, place)
            for key in keys
        ]
    return [diff.table]


def _count(collector: Collector, changed: Sequence[str]) -> None:
    workspace, findings = collector.workspace, collector.findings
    users = " union all ".join(f"select user_id from {table}" for table in changed)
    count = workspace.one(f"select count(distinct user_id) from ({users})")[0] if changed else 0
    findings.traits = replace(findings.traits, users=_users(collector), changed=count)


def _users_before(collector: Collector) -> int:
    """Users with computed traits as the last run counted them: nothing has changed since."""
    chains = [chain for chain in collector.known.chains.values() if chain.kind is PropertyKind.COMPUTED_TRAIT]
    return collector.known.trait_users if any(chain.users for chain in chains) else 0


def _users(collector: Collector) -> int:
    """Users with computed traits: a chain's own count where there is one, otherwise counted."""
    stored = [chain for chain in collector.known.chains.values() if chain.kind is PropertyKind.COMPUTED_TRAIT]
    before = {chain.id: chain for chain in stored if chain.id is not None}
    after = [change.chain for change in collector.findings.changes if change.chain.kind is PropertyKind.COMPUTED_TRAIT]
    latest = {
        **before,
        **{chain.id if chain.id is not None else -place: chain for place, chain in enumerate(after, 1)},
    }
    if len(latest) <= 1:
        return sum(chain.users for chain in latest.values())
    queries = [
        f"select user_id from ({current(chain if chain.segments else collector.stored_chain(key))})"
        for key, chain in latest.items()
    ]
    return int(collector.workspace.one(f"select count(distinct user_id) from ({' union all '.join(queries)})")[0])
