"""What changed of the computed traits? Each entry's snapshot against the chains its traits are in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from audience_sync.config.models import ComputedTraitsConfig, TraitConfig
from audience_sync.errors import SourceError
from audience_sync.model import ALIAS_KEY, HoldKind, PropertyKind
from audience_sync.redaction.secrets import masked
from audience_sync.sources.base import ODD
from audience_sync.store.snapshots.chain import Chain, current
from audience_sync.sync.detect.collector import Collector
from audience_sync.sync.detect.guard_traits import ComparedTraits, judge
from audience_sync.sync.diff.new_segments import traits_change
from audience_sync.sync.diff.traits import TraitsDiff, diff_traits, one_row_a_user
from audience_sync.sync.load.expectations import admit, columns_text, in_full
from audience_sync.sync.load.resolve_ids import MOVED, identified
from audience_sync.sync.load.snapshot import place_of, rejected_rows, scanning
from audience_sync.sync.values.change_set import NewProperty, Taken
from audience_sync.text import form, plural
from audience_sync.workspace import quoted


def collect_traits(collector: Collector, keys: Collection[str] | None = None) -> None:
    """Take and compare every entry, or those with one of ``keys``; one that fails leaves its traits as they are."""
    changed, was_read = list[str](), False
    for index, config in enumerate(collector.settings.computed_traits):
        if not config.columns or (keys is not None and config.columns.keys().isdisjoint(keys)):
            continue
        collector.watch(f"computed traits of {config.source}")
        try:
            found_changes = _collect(collector, config, keys)
            was_read = was_read or found_changes is not None
            changed += found_changes or []
        except SourceError as error:
            found = collector.findings.traits
            words = f"computed_traits[{index}]: {in_full(error, config.columns)}"
            message = masked(words, collector.settings.secrets)
            collector.findings.traits = replace(found, errors=(*found.errors, message))
    if keys is None:
        known = {key for config in collector.settings.computed_traits for key in config.columns}
        collector.decisions.forget(HoldKind.COMPUTED_TRAIT, known)
    if was_read:
        _count(collector, changed)
    else:
        collector.findings.traits = replace(collector.findings.traits, users=_users_before(collector))


def _collect(collector: Collector, config: ComputedTraitsConfig, keys: Collection[str] | None) -> list[str] | None:
    """Returns the workspace tables of users whose values changed; None where nothing had to be read."""
    workspace = collector.workspace
    columns = [key for key in config.columns if keys is None or key in keys]
    collector.aliases.require()
    source, wanted = collector.sources[config.source], collector.wanted(config, config.columns)
    mark = source.mark(wanted)
    if mark is not None and collector.aliases.version:
        mark = f"{mark} {collector.aliases.version}"
    if collector.is_known(columns, mark, wanted):
        for key in columns:
            collector.decisions.is_healthy((HoldKind.COMPUTED_TRAIT, key))
        _note_invalid(collector, max(collector.known.properties[key].invalid for key in columns))
        return None
    rows = source.read(workspace, wanted)
    if not collector.is_accepted(config.columns):
        admit(workspace, rows, config, map(collector.known.properties.get, columns))
    rows = identified(rows, wanted, collector.aliases)
    with scanning(rows):
        snapshot, differing = one_row_a_user(
            workspace,
            rows.select,
            columns,
            moved=MOVED if collector.aliases.pairs else None,
            odd=ODD if rows.may_reject_values else None,
        )
    if differing:
        collector.findings.warnings.append(
            f"computed traits of {config.source}: {plural(differing, 'user')} {form(differing, 'has')} rows with "
            "different values. One row of each is used, the same in every run."
        )
    has_odd = f"coalesce(bool_or({quoted(ODD)}), false)" if rows.may_reject_values else "false"
    users, invalid, is_odd = workspace.one(
        f"select count(user_id), count(*) filter (where user_id is null), {has_odd} from {snapshot}"
    )
    if is_odd:
        with scanning(rows):
            invalid = workspace.one(f"select count(*) from ({rows.rejects})")[0]
    if invalid:
        _note_invalid(collector, invalid)
        collector.findings.rejected += rejected_rows(workspace, rows, None)
    compared = [_compare(collector, snapshot, chain, mine) for chain, mine in _by_chain(collector, columns)]
    held = judge(collector, config, compared, is_empty=not users, is_part=keys is not None)
    taken = Taken(mark, invalid, columns_text(rows))
    collector.findings.taken |= {key: taken for key in columns if key not in held}
    collector.findings.places |= {key: place_of(config) for key in columns if key not in held}
    return [table for each in compared for table in _take(collector, config, snapshot, each, held)]


def _compare(collector: Collector, snapshot: str, chain: Chain, keys: Sequence[str]) -> ComparedTraits:
    return ComparedTraits(chain, keys, _diff(collector, snapshot, chain, keys))


def _diff(collector: Collector, snapshot: str, chain: Chain, keys: Sequence[str]) -> TraitsDiff:
    pairs = collector.aliases.pairs
    return diff_traits(collector.workspace, snapshot, chain, keys, erased=collector.erased, aliases=pairs)


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


def _take(
    collector: Collector, config: ComputedTraitsConfig, snapshot: str, each: ComparedTraits, held: Collection[str]
) -> list[str]:
    """Take over what is not held; returns the table of users whose values changed, if any."""
    keys = [key for key in each.keys if key not in held]
    if not keys:
        return []
    taken = each if keys == each.keys else _compare(collector, snapshot, each.chain, keys)
    change = traits_change(collector.workspace, taken.chain, taken.diff, collector.run)
    if change is None:
        return []
    collector.findings.changes.append(change)
    if change.chain.id is not None:
        collector.fetched[change.chain.id] = change.chain
    else:
        place = len(collector.findings.changes) - 1
        collector.findings.created += [
            NewProperty(PropertyKind.COMPUTED_TRAIT, key, _name(config.columns[key]), place) for key in keys
        ]
    return [taken.diff.table]


def _name(trait: TraitConfig) -> str:
    return trait.name or trait.column


def _count(collector: Collector, changed: Sequence[str]) -> None:
    workspace, findings = collector.workspace, collector.findings
    users = " union all ".join(f"select user_id from {table}" for table in changed)
    count = workspace.one(f"select count(distinct user_id) from ({users})")[0] if changed else 0
    findings.traits = replace(findings.traits, users=users_with_traits(collector), changed=count)


def _is_counted(chain: Chain) -> bool:
    """Whether it holds what a config calls computed traits."""
    return chain.kind is PropertyKind.COMPUTED_TRAIT and chain.keys != (ALIAS_KEY,)


def _users_before(collector: Collector) -> int:
    """Users with computed traits as the last run counted them: nothing has changed since."""
    chains = [chain for chain in collector.known.chains.values() if _is_counted(chain)]
    return collector.known.trait_users if any(chain.users for chain in chains) else 0


def users_with_traits(collector: Collector) -> int:
    """Users with computed traits: a chain's own count where there is one, otherwise counted."""
    stored = [chain for chain in collector.known.chains.values() if _is_counted(chain)]
    before = {chain.id: chain for chain in stored if chain.id is not None}
    after = [change.chain for change in collector.findings.changes if _is_counted(change.chain)]
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
