"""Load the snapshots of computed traits, diff them with the stored values and guard the changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from audience_sync.config.models import ComputedTraitsConfig, TraitConfig
from audience_sync.errors import SourceError
from audience_sync.model import ALIAS_KEY, HoldKind, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import HAS_INVALID_VALUE
from audience_sync.store.snapshots.chain import Chain, current_rows_query
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.detect.guard_traits import ComparedTraits, guard_traits
from audience_sync.sync.diff.new_segments import traits_change
from audience_sync.sync.diff.traits import TraitsDiff, deduplicate_users, diff_traits
from audience_sync.sync.load.expectations import check_expectations, columns_text, failure_message
from audience_sync.sync.load.resolve_ids import MOVED, resolve_ids
from audience_sync.sync.load.snapshot import loaded_from, read_invalid_rows, scanning
from audience_sync.sync.values.change_set import NewProperty, SourceState
from audience_sync.text import form, pluralize
from audience_sync.workspace import quote_identifier


def detect_traits(detector: ChangeDetector, keys: Collection[str] | None = None) -> None:
    """Detect the changes of every entry, or of those with one of ``keys``. A failed entry keeps its stored values."""
    changed, was_read = list[str](), False
    for index, config in enumerate(detector.settings.computed_traits):
        if not config.columns or (keys is not None and config.columns.keys().isdisjoint(keys)):
            continue
        detector.watch(f"computed traits of {config.source}")
        try:
            found_changes = _collect(detector, config, keys)
            was_read = was_read or found_changes is not None
            changed += found_changes or []
        except SourceError as error:
            found = detector.changes.traits
            words = f"computed_traits[{index}]: {failure_message(error, config.columns)}"
            message = mask_secrets(words, detector.settings.secrets)
            detector.changes.traits = replace(found, errors=(*found.errors, message))
    if keys is None:
        known = {key for config in detector.settings.computed_traits for key in config.columns}
        detector.hold_policy.supersede_missing(HoldKind.COMPUTED_TRAIT, known)
    if was_read:
        _count(detector, changed)
    else:
        detector.changes.traits = replace(detector.changes.traits, users=_users_before(detector))


def _collect(detector: ChangeDetector, config: ComputedTraitsConfig, keys: Collection[str] | None) -> list[str] | None:
    """Return tables of the users whose values changed; None if the source is unchanged and was not read."""
    workspace = detector.workspace
    columns = [key for key in config.columns if keys is None or key in keys]
    detector.aliases.require()
    source, wanted = detector.sources[config.source], detector.wanted(config, config.columns)
    mark = source.fingerprint(wanted)
    if mark is not None and detector.aliases.version:
        mark = f"{mark} {detector.aliases.version}"
    if detector.is_unchanged(columns, mark, wanted):
        for key in columns:
            detector.hold_policy.release((HoldKind.COMPUTED_TRAIT, key))
        _note_invalid(detector, max(detector.stored.properties[key].invalid for key in columns))
        return None
    rows = source.read(workspace, wanted)
    if not detector.is_accepted(config.columns):
        check_expectations(workspace, rows, config, map(detector.stored.properties.get, columns))
    rows = resolve_ids(rows, wanted, detector.aliases)
    with scanning(rows):
        snapshot, differing = deduplicate_users(
            workspace,
            rows.select,
            columns,
            moved=MOVED if detector.aliases.pairs else None,
            odd=HAS_INVALID_VALUE if rows.may_have_invalid_values else None,
        )
    if differing:
        detector.changes.warnings.append(
            f"computed traits of {config.source}: {pluralize(differing, 'user')} {form(differing, 'has')} rows with "
            "different values. One row of each is used, the same in every run."
        )
    has_odd = (
        f"coalesce(bool_or({quote_identifier(HAS_INVALID_VALUE)}), false)" if rows.may_have_invalid_values else "false"
    )
    users, invalid, is_odd = workspace.one(
        f"select count(user_id), count(*) filter (where user_id is null), {has_odd} from {snapshot}"
    )
    if is_odd:
        with scanning(rows):
            invalid = workspace.one(f"select count(*) from ({rows.invalid_rows})")[0]
    if invalid:
        _note_invalid(detector, invalid)
        detector.changes.invalid_rows += read_invalid_rows(workspace, rows, None)
    compared = [_compare(detector, snapshot, chain, mine) for chain, mine in _by_chain(detector, columns)]
    held = guard_traits(detector, config, compared, is_empty=not users, is_part=keys is not None)
    taken = SourceState(mark, invalid, columns_text(rows))
    detector.changes.source_states |= {key: taken for key in columns if key not in held}
    detector.changes.loaded_from |= {key: loaded_from(config) for key in columns if key not in held}
    return [table for each in compared for table in _accept(detector, config, snapshot, each, held)]


def _compare(detector: ChangeDetector, snapshot: str, chain: Chain, keys: Sequence[str]) -> ComparedTraits:
    return ComparedTraits(chain, keys, _diff(detector, snapshot, chain, keys))


def _diff(detector: ChangeDetector, snapshot: str, chain: Chain, keys: Sequence[str]) -> TraitsDiff:
    pairs = detector.aliases.pairs
    return diff_traits(detector.workspace, snapshot, chain, keys, erased=detector.erased, aliases=pairs)


def _note_invalid(detector: ChangeDetector, invalid: int) -> None:
    found = detector.changes.traits
    detector.changes.traits = replace(found, invalid=found.invalid + invalid)


def _by_chain(detector: ChangeDetector, keys: Sequence[str]) -> list[tuple[Chain, list[str]]]:
    """The chains of these traits, each with its keys; new traits share a new chain."""
    stored: dict[int, list[str]] = {}
    new: list[str] = []
    for key in keys:
        known = detector.stored.properties.get(key)
        if known is None:
            new.append(key)
        else:
            stored.setdefault(known.chain_id, []).append(key)
    found = [(detector.stored_chain(chain_id), held) for chain_id, held in stored.items()]
    if new:
        found.append((Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=tuple(new), user_count=0), new))
    return found


def _accept(
    detector: ChangeDetector, config: ComputedTraitsConfig, snapshot: str, each: ComparedTraits, held: Collection[str]
) -> list[str]:
    """Add the changes of traits that are not held; return the table of users whose values changed, if any."""
    keys = [key for key in each.keys if key not in held]
    if not keys:
        return []
    taken = each if keys == each.keys else _compare(detector, snapshot, each.chain, keys)
    change = traits_change(detector.workspace, taken.chain, taken.diff, detector.run)
    if change is None:
        return []
    detector.changes.changes.append(change)
    if change.chain.id is not None:
        detector.fetched_chains[change.chain.id] = change.chain
    else:
        place = len(detector.changes.changes) - 1
        detector.changes.created += [
            NewProperty(kind=PropertyKind.COMPUTED_TRAIT, key=key, name=_name(config.columns[key]), chain=place)
            for key in keys
        ]
    return [taken.diff.table]


def _name(trait: TraitConfig) -> str:
    return trait.name or trait.column


def _count(detector: ChangeDetector, changed: Sequence[str]) -> None:
    workspace, findings = detector.workspace, detector.changes
    users = " union all ".join(f"select user_id from {table}" for table in changed)
    count = workspace.one(f"select count(distinct user_id) from ({users})")[0] if changed else 0
    findings.traits = replace(findings.traits, users=users_with_traits(detector), changed=count)


def _is_counted(chain: Chain) -> bool:
    """Whether the chain has computed traits of a config, so not `$alias`."""
    return chain.kind is PropertyKind.COMPUTED_TRAIT and chain.keys != (ALIAS_KEY,)


def _users_before(detector: ChangeDetector) -> int:
    """The last run's number of users with computed traits."""
    chains = [chain for chain in detector.stored.chains.values() if _is_counted(chain)]
    return detector.stored.trait_users if any(chain.user_count for chain in chains) else 0


def users_with_traits(detector: ChangeDetector) -> int:
    """The number of users with computed traits; several chains are joined and counted."""
    stored = [chain for chain in detector.stored.chains.values() if _is_counted(chain)]
    before = {chain.id: chain for chain in stored if chain.id is not None}
    after = [change.chain for change in detector.changes.changes if _is_counted(change.chain)]
    latest = {
        **before,
        **{chain.id if chain.id is not None else -place: chain for place, chain in enumerate(after, 1)},
    }
    if len(latest) <= 1:
        return sum(chain.user_count for chain in latest.values())
    queries = [
        f"select user_id from ({current_rows_query(chain if chain.files else detector.stored_chain(key))})"
        for key, chain in latest.items()
    ]
    return int(detector.workspace.one(f"select count(distinct user_id) from ({' union all '.join(queries)})")[0])
