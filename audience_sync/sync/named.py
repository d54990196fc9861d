"""How does one query become many audiences? One pass over ``names_from``, then each is compared alone."""

from __future__ import annotations

from collections.abc import Iterable

from audience_sync.config.models import AudienceConfig
from audience_sync.config.secrets import masked
from audience_sync.errors import SourceError
from audience_sync.keys import KeyRefusedError, reserved_reason, snake_key
from audience_sync.model import AudienceStatus
from audience_sync.store.catalog import Property
from audience_sync.sync.collect import Collector
from audience_sync.sync.diff import diff_members
from audience_sync.sync.findings import AudienceFinding
from audience_sync.sync.snapshot import rejected_rows, scanning, wanted_of
from audience_sync.sync.targets import Target, refusal
from audience_sync.sync.targets import origin as origin_of
from audience_sync.workspace import literal

#: Nothing is left to be said or decided of such an audience.
_WHOLE = (AudienceStatus.CREATED, AudienceStatus.SYNCED, AudienceStatus.UNCHANGED)


def collect_names(collector: Collector, config: AudienceConfig) -> None:
    """One audience per distinct value. A new value is a first creation, a vanished one an empty snapshot."""
    origin = origin_of(config)
    known = {each.name: each for each in collector.known.properties.values() if each.origin == origin}
    collector.watch(f"audiences from {origin}")
    try:
        mark = collector.sources[config.source].mark(wanted_of(config))
        if known and collector.is_known([each.key for each in known.values()], mark):
            _pass_over(collector, known.values())
            return
        table = _take(collector, config, origin)
    except SourceError as error:
        _fail_all(collector, known, origin, masked(str(error), collector.settings.secrets))
        return
    before = len(collector.findings.audiences)
    names = [name for (name,) in collector.workspace.all(f"select distinct name from {table} order by name")]
    others = _found(collector)
    vanished = [name for name, each in known.items() if name not in names and each.key not in others]
    for name in [*names, *vanished]:
        _compare(collector, config, origin, name, known.get(name), table, mark)
    if collector.keys is not None or any(each.status not in _WHOLE for each in collector.findings.audiences[before:]):
        collector.incomplete.add(origin)


def _pass_over(collector: Collector, known: Iterable[Property]) -> None:
    """The source is as it was: nothing is read."""
    for stored in known:
        if collector.keys is None or stored.key in collector.keys:
            collector.pass_over(stored, stored.name)


def _take(collector: Collector, config: AudienceConfig, origin: str) -> str:
    """A table with ``name`` and ``user_id``, sorted, so that each name is found quickly."""
    workspace = collector.workspace
    rows = collector.sources[config.source].read(workspace, wanted_of(config))
    raw, table = workspace.name("raw"), workspace.name("names")
    with scanning(rows):
        workspace.run(f"create table {raw} as select name, user_id from ({rows.select})")
    nameless, invalid = workspace.one(
        f"select count(*) filter (where trim(coalesce(name, '')) = ''), count(*) filter (where user_id is null) "
        f"from {raw}"
    )
    if nameless:
        collector.findings.warnings.append(f"{origin}: {nameless} rows name no audience and were passed over")
    if invalid:
        collector.findings.rejected += rejected_rows(workspace, rows, None)
    workspace.run(f"create table {table} as from {raw} where trim(coalesce(name, '')) <> '' order by name")
    workspace.run(f"drop table {raw}")
    return table


def _fail_all(collector: Collector, known: dict[str, Property], origin: str, message: str) -> None:
    for stored in known.values():
        if collector.keys is not None and stored.key not in collector.keys:
            continue
        users = collector.known.chains[stored.chain_id].users
        collector.findings.audiences.append(
            AudienceFinding(stored.key, stored.name, AudienceStatus.FAILED, before=users, error=message)
        )
    if not known:
        collector.findings.audiences.append(AudienceFinding(origin, origin, AudienceStatus.FAILED, error=message))


def _compare(
    collector: Collector,
    config: AudienceConfig,
    origin: str,
    name: str,
    stored: Property | None,
    table: str,
    mark: str | None,
) -> None:
    try:
        key = stored.key if stored else snake_key(name)
    except KeyRefusedError as error:
        if collector.keys is None:
            _refuse(collector, origin, name, str(error))
        return
    if collector.keys is not None and key not in collector.keys:
        return
    reason = _refusal(collector, key, stored)
    if reason:
        _refuse(collector, origin, name, reason)
        return
    target = Target(key, name, config, stored, None, origin)
    if collector.waits(target):
        return
    chain = collector.chain_of(target)
    snapshot = f"select user_id from {table} where name = {literal(name)}"
    collector.keep(target, chain, diff_members(collector.workspace, snapshot, chain, erased=collector.erased), mark)


def _refusal(collector: Collector, key: str, stored: Property | None) -> str | None:
    if key in _found(collector) or (stored is None and key in collector.known.properties):
        return f"the key '{key}' is taken by another audience or computed trait"
    if stored:
        return refusal(key, collector.known.properties)
    return reserved_reason(key, collector.profile_fields)


def _found(collector: Collector) -> set[str]:
    return {each.key for each in collector.findings.audiences}


def _refuse(collector: Collector, origin: str, name: str, reason: str) -> None:
    """The key that it would have had may be another audience's of this run: it is called by its place instead."""
    message = f"the audience '{name}' from {origin} was not created: {reason}"
    collector.findings.audiences.append(AudienceFinding(f"{origin}={name}", name, AudienceStatus.FAILED, error=message))
