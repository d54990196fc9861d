"""Detect the changes of many audiences from one query: one per name in the column ``names_from``, in one join."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audience_sync.config.models import AudienceConfig
from audience_sync.errors import SourceError
from audience_sync.keys import KeyRefusedError, reserved_reason, snake_key
from audience_sync.model import AudienceStatus
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import SnapshotRows
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.diff.holdout import extended_fingerprint
from audience_sync.sync.diff.members import diff_several
from audience_sync.sync.load.expectations import check_expectations, columns_text, failure_message
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, refusal
from audience_sync.sync.load.resolve_audiences import origin as origin_of
from audience_sync.sync.load.resolve_ids import resolve_ids
from audience_sync.sync.load.snapshot import read_invalid_rows, scanning
from audience_sync.sync.values.change_set import AudienceResult, SourceState
from audience_sync.text import form, pluralize
from audience_sync.workspace import quote_literal

#: An audience with one of these statuses needs no second reading.
_WHOLE = (AudienceStatus.CREATED, AudienceStatus.SYNCED, AudienceStatus.UNCHANGED, AudienceStatus.FROZEN)


def detect_names_from(detector: ChangeDetector, config: AudienceConfig) -> None:
    """Diff one audience per distinct name. A new name is a first creation, a vanished one an empty snapshot."""
    origin = origin_of(config)
    known = {each.name: each for each in detector.stored.properties.values() if each.origin == origin}
    taken = _found(detector)
    live = {name: each for name, each in known.items() if not each.retired and each.key not in taken}
    keys = [each.key for each in live.values()]
    detector.watch(f"audiences from {origin}")
    try:
        detector.aliases.require()
        wanted = detector.wanted(config, keys)
        mark = extended_fingerprint(
            detector.sources[config.source].fingerprint(wanted), config, detector.aliases.version
        )
        not_frozen = [key for key in keys if key not in detector.stored.frozen]
        all_mine = taken.isdisjoint(each.key for each in known.values())
        if not_frozen and all_mine and detector.is_unchanged(not_frozen, mark, wanted):
            _note_unchanged(detector, config, live.values())
            return
        rows = detector.sources[config.source].read(detector.workspace, wanted)
        if not detector.is_accepted(keys):
            check_expectations(detector.workspace, rows, config, live.values())
        rows = resolve_ids(rows, wanted, detector.aliases)
        with scanning(rows):
            named, found = _read_names(detector, rows, origin), detector.changes.audiences
            before = len(found)
            targets = list(_targets(detector, config, origin, known, named.names))
            noted, found[before:] = found[before:], []
            chains = [detector.chain_of(target) for target in targets]
            snapshot = named.members_of([target.name for target in targets])
            beside = _beside(detector, targets)
            diffs = diff_several(detector.workspace, snapshot, chains, beside=beside, erased=detector.erased)
    except SourceError as error:
        message = failure_message(error, keys, of=f"audiences from {origin}: ")
        _fail_all(detector, config, live, origin, mask_secrets(message, detector.settings.secrets))
        return
    for target, chain, diff in zip(targets, chains, diffs, strict=True):
        detector.note_difference(target, chain, diff, SourceState(mark, diff.invalid, columns_text(rows)))
    found += noted
    if detector.keys is not None or any(each.status not in _WHOLE for each in detector.changes.audiences[before:]):
        detector.incomplete.add(origin)


def _beside(detector: ChangeDetector, targets: Sequence[ResolvedAudience]) -> str | None:
    """A query for held-out users: ``place``, the index of the audience, and ``user_id``."""
    users = ((place, query) for place, target in enumerate(targets) if (query := detector.held_out_query(target)))
    return " union all ".join(f"select {place} as place, user_id from ({query})" for place, query in users) or None


def _note_unchanged(detector: ChangeDetector, config: AudienceConfig, known: Iterable[Property]) -> None:
    for target, stored in _not_frozen(detector, config, known):
        detector.note_unchanged(target, stored, 0)


def _not_frozen(
    detector: ChangeDetector, config: AudienceConfig, known: Iterable[Property]
) -> Iterator[tuple[ResolvedAudience, Property]]:
    """The selected audiences that are not frozen."""
    for stored in known:
        target = ResolvedAudience(
            key=stored.key, name=stored.name, config=config, stored=stored, definition=None, origin=stored.origin
        )
        if (detector.keys is None or stored.key in detector.keys) and not detector.is_skipped(target):
            yield target, stored


@dataclass(frozen=True, slots=True)
class _AudienceRows:
    """``rows``: a query with ``name`` and ``user_id`` that may be run again; ``names``: each once, sorted."""

    rows: str
    names: Sequence[str]

    def members_of(self, names: Sequence[str]) -> str:
        """A query with ``place``, the name's in ``names``, and ``user_id``."""
        places = ", ".join(f"({quote_literal(name)}, {place})" for place, name in enumerate(names)) or "(null, null)"
        return f"select place, user_id from ({self.rows}) join (values {places}) names(name, place) using (name)"


def _read_names(detector: ChangeDetector, rows: SnapshotRows, origin: str) -> _AudienceRows:
    """The names, and a query that can be repeated: rows that are slow to read are copied into a Parquet file."""
    workspace, query = detector.workspace, f"select name, user_id from ({rows.select})"
    if not rows.rereadable:
        path = quote_literal(str(workspace.path(".parquet")))
        workspace.run(f"copy ({query}) to {path} (format parquet)")
        query = f"select name, user_id from read_parquet({path})"
    counts = workspace.all(
        f"select name, count(*), count(*) filter (where user_id is null) from ({query}) group by name order by name"
    )
    nameless = sum(count for name, count, _ in counts if name is None)
    if nameless:
        detector.changes.warnings.append(
            f"{origin}: {pluralize(nameless, 'row')} without an audience name {form(nameless, 'was')} skipped."
        )
    if any(invalid for _, _, invalid in counts):
        detector.changes.invalid_rows += read_invalid_rows(workspace, rows, None)
    return _AudienceRows(query, [name for name, _, _ in counts if name is not None])


def _fail_all(
    detector: ChangeDetector, config: AudienceConfig, known: dict[str, Property], origin: str, message: str
) -> None:
    for _, stored in _not_frozen(detector, config, known.values()):
        users = detector.stored.chains[stored.chain_id].user_count
        detector.changes.audiences.append(
            AudienceResult(key=stored.key, name=stored.name, status=AudienceStatus.FAILED, before=users, error=message)
        )
    if not known:
        detector.changes.audiences.append(
            AudienceResult(key=origin, name=origin, status=AudienceStatus.FAILED, error=message)
        )


def _targets(
    detector: ChangeDetector, config: AudienceConfig, origin: str, known: Mapping[str, Property], names: Sequence[str]
) -> Iterator[ResolvedAudience]:
    """The audiences to diff, vanished ones included. Refused and waiting ones get their results."""
    taken = _found(detector)
    vanished = [
        name for name, each in known.items() if name not in names and each.key not in taken and not each.retired
    ]
    for name in [*names, *vanished]:
        stored = known.get(name)
        try:
            key = stored.key if stored else snake_key(name)
        except KeyRefusedError as error:
            if detector.keys is None:
                _refuse(detector, origin, name, str(error))
            continue
        if detector.keys is not None and key not in detector.keys:
            continue
        if stored and stored.retired:
            detector.changes.warnings.append(
                f"audience '{name}' from {origin}: the key '{key}' is retired, so every run skips it. "
                "Remove it from the source; a new audience needs another name."
            )
            continue
        if reason := _refusal(detector, key, stored, taken):
            _refuse(detector, origin, name, reason)
            continue
        taken.add(key)
        target = ResolvedAudience(key=key, name=name, config=config, stored=stored, definition=None, origin=origin)
        if not detector.is_skipped(target):
            yield target


def _refusal(detector: ChangeDetector, key: str, stored: Property | None, taken: Collection[str]) -> str | None:
    if key in taken or (stored is None and key in detector.stored.properties):
        return f"the key '{key}' is in use by another audience or computed trait"
    if stored:
        return refusal(key, detector.stored.properties)
    return reserved_reason(key, detector.profile_fields)


def _found(detector: ChangeDetector) -> set[str]:
    return {each.key for each in detector.changes.audiences}


def _refuse(detector: ChangeDetector, origin: str, name: str, reason: str) -> None:
    """Add a failed result. Its key may belong to another audience, so the result is named by origin and name."""
    message = f"the audience '{name}' from {origin} was not created: {reason}"
    detector.changes.audiences.append(
        AudienceResult(key=f"{origin}={name}", name=name, status=AudienceStatus.FAILED, error=message)
    )
