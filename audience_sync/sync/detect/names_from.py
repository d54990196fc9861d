"""How does one query become many audiences? One for each of ``names_from``, all compared at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audience_sync.config.models import AudienceConfig
from audience_sync.errors import SourceError
from audience_sync.keys import KeyRefusedError, reserved_reason, snake_key
from audience_sync.model import AudienceStatus
from audience_sync.redaction.secrets import masked
from audience_sync.sources.base import Rows
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.detect.collector import Collector
from audience_sync.sync.diff.holdout import mark_with
from audience_sync.sync.diff.members import diff_several
from audience_sync.sync.load.expectations import admit, columns_text, in_full
from audience_sync.sync.load.resolve_audiences import Target, refusal
from audience_sync.sync.load.resolve_audiences import origin as origin_of
from audience_sync.sync.load.resolve_ids import identified
from audience_sync.sync.load.snapshot import rejected_rows, scanning
from audience_sync.sync.values.change_set import AudienceFinding, Taken
from audience_sync.text import form, plural
from audience_sync.workspace import literal

#: Nothing is left to be said or decided of such an audience.
_WHOLE = (AudienceStatus.CREATED, AudienceStatus.SYNCED, AudienceStatus.UNCHANGED, AudienceStatus.FROZEN)


def collect_names(collector: Collector, config: AudienceConfig) -> None:
    """One audience per distinct value. A new value is a first creation, a vanished one an empty snapshot."""
    origin = origin_of(config)
    known = {each.name: each for each in collector.known.properties.values() if each.origin == origin}
    taken = _found(collector)
    live = {name: each for name, each in known.items() if not each.retired and each.key not in taken}
    keys = [each.key for each in live.values()]
    collector.watch(f"audiences from {origin}")
    try:
        collector.aliases.require()
        wanted = collector.wanted(config, keys)
        mark = mark_with(collector.sources[config.source].mark(wanted), config, collector.aliases.version)
        thawed = [key for key in keys if key not in collector.known.frozen]
        all_mine = taken.isdisjoint(each.key for each in known.values())
        if thawed and all_mine and collector.is_known(thawed, mark, wanted):
            _pass_over(collector, config, live.values())
            return
        rows = collector.sources[config.source].read(collector.workspace, wanted)
        if not collector.is_accepted(keys):
            admit(collector.workspace, rows, config, live.values())
        rows = identified(rows, wanted, collector.aliases)
        with scanning(rows):
            named, found = _read_names(collector, rows, origin), collector.findings.audiences
            before = len(found)
            targets = list(_targets(collector, config, origin, known, named.names))
            noted, found[before:] = found[before:], []
            chains = [collector.chain_of(target) for target in targets]
            snapshot = named.members_of([target.name for target in targets])
            beside = _beside(collector, targets)
            diffs = diff_several(collector.workspace, snapshot, chains, beside=beside, erased=collector.erased)
    except SourceError as error:
        message = in_full(error, keys, of=f"audiences from {origin}: ")
        _fail_all(collector, config, live, origin, masked(message, collector.settings.secrets))
        return
    for target, chain, diff in zip(targets, chains, diffs, strict=True):
        collector.part(target, chain, diff, Taken(mark, diff.invalid, columns_text(rows)))
    found += noted
    if collector.keys is not None or any(each.status not in _WHOLE for each in collector.findings.audiences[before:]):
        collector.incomplete.add(origin)


def _beside(collector: Collector, targets: Sequence[Target]) -> str | None:
    """Who was held out of each: ``place`` and ``user_id``."""
    users = ((place, query) for place, target in enumerate(targets) if (query := collector.beside(target)))
    return " union all ".join(f"select {place} as place, user_id from ({query})" for place, query in users) or None


def _pass_over(collector: Collector, config: AudienceConfig, known: Iterable[Property]) -> None:
    """The source is as it was: nothing is read."""
    for target, stored in _thawed(collector, config, known):
        collector.pass_over(target, stored, 0)


def _thawed(
    collector: Collector, config: AudienceConfig, known: Iterable[Property]
) -> Iterator[tuple[Target, Property]]:
    """Those of the audiences that are asked for and not frozen; the findings say which are."""
    for stored in known:
        target = Target(stored.key, stored.name, config, stored, None, stored.origin)
        if (collector.keys is None or stored.key in collector.keys) and not collector.passes_over(target):
            yield target, stored


@dataclass(frozen=True, slots=True)
class _Named:
    """``rows``: a query with ``name`` and ``user_id`` that may be run again; ``names``: each once, sorted."""

    rows: str
    names: Sequence[str]

    def members_of(self, names: Sequence[str]) -> str:
        """A query with ``place``, the name's in ``names``, and ``user_id``."""
        places = ", ".join(f"({literal(name)}, {place})" for place, name in enumerate(names)) or "(null, null)"
        return f"select place, user_id from ({self.rows}) join (values {places}) names(name, place) using (name)"


def _read_names(collector: Collector, rows: Rows, origin: str) -> _Named:
    """What costs much to read is kept in columns: it is needed more than once."""
    workspace, query = collector.workspace, f"select name, user_id from ({rows.select})"
    if not rows.rereadable:
        path = literal(str(workspace.path(".parquet")))
        workspace.run(f"copy ({query}) to {path} (format parquet)")
        query = f"select name, user_id from read_parquet({path})"
    counts = workspace.all(
        f"select name, count(*), count(*) filter (where user_id is null) from ({query}) group by name order by name"
    )
    nameless = sum(count for name, count, _ in counts if name is None)
    if nameless:
        collector.findings.warnings.append(
            f"{origin}: {plural(nameless, 'row')} without an audience name {form(nameless, 'was')} skipped."
        )
    if any(invalid for _, _, invalid in counts):
        collector.findings.rejected += rejected_rows(workspace, rows, None)
    return _Named(query, [name for name, _, _ in counts if name is not None])


def _fail_all(
    collector: Collector, config: AudienceConfig, known: dict[str, Property], origin: str, message: str
) -> None:
    for _, stored in _thawed(collector, config, known.values()):
        users = collector.known.chains[stored.chain_id].users
        collector.findings.audiences.append(
            AudienceFinding(stored.key, stored.name, AudienceStatus.FAILED, before=users, error=message)
        )
    if not known:
        collector.findings.audiences.append(AudienceFinding(origin, origin, AudienceStatus.FAILED, error=message))


def _targets(
    collector: Collector, config: AudienceConfig, origin: str, known: Mapping[str, Property], names: Sequence[str]
) -> Iterator[Target]:
    """The audiences to compare: those of the names, and what vanished. What is refused, or waits, is noted."""
    taken = _found(collector)
    vanished = [
        name for name, each in known.items() if name not in names and each.key not in taken and not each.retired
    ]
    for name in [*names, *vanished]:
        stored = known.get(name)
        try:
            key = stored.key if stored else snake_key(name)
        except KeyRefusedError as error:
            if collector.keys is None:
                _refuse(collector, origin, name, str(error))
            continue
        if collector.keys is not None and key not in collector.keys:
            continue
        if stored and stored.retired:
            collector.findings.warnings.append(
                f"audience '{name}' from {origin}: the key '{key}' is retired, so every run skips it. "
                "Remove it from the source; a new audience needs another name."
            )
            continue
        if reason := _refusal(collector, key, stored, taken):
            _refuse(collector, origin, name, reason)
            continue
        taken.add(key)
        target = Target(key, name, config, stored, None, origin)
        if not collector.passes_over(target):
            yield target


def _refusal(collector: Collector, key: str, stored: Property | None, taken: Collection[str]) -> str | None:
    if key in taken or (stored is None and key in collector.known.properties):
        return f"the key '{key}' is in use by another audience or computed trait"
    if stored:
        return refusal(key, collector.known.properties)
    return reserved_reason(key, collector.profile_fields)


def _found(collector: Collector) -> set[str]:
    return {each.key for each in collector.findings.audiences}


def _refuse(collector: Collector, origin: str, name: str, reason: str) -> None:
    """The key that it would have had may be another audience's of this run: it is called by its place instead."""
    message = f"the audience '{name}' from {origin} was not created: {reason}"
    collector.findings.audiences.append(AudienceFinding(f"{origin}={name}", name, AudienceStatus.FAILED, error=message))
