"""Check each part of a project, one after another, without changing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from audience_sync.cli.base.errors import masked_text
from audience_sync.cli.base.options import GlobalOptions
from audience_sync.cli.base.output import path_text
from audience_sync.cli.wiring.dependencies import read_settings
from audience_sync.config.models import Settings
from audience_sync.destinations.base import Audiencing, Destination, HttpDestination
from audience_sync.destinations.boundary import Contained
from audience_sync.destinations.http.egress import Egress, shown_proxy
from audience_sync.destinations.registry import destination_types
from audience_sync.errors import AudienceSyncError, ConfigError
from audience_sync.project import open_source, store_to_read
from audience_sync.schedule.entries import schedule_entries
from audience_sync.schedule.times import find_due, first_after
from audience_sync.store.audiences.properties import Property, read_properties
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.runs.schedule_slots import last_slots
from audience_sync.sync.diff.priority_groups import grouped
from audience_sync.sync.load.resolve_audiences import refuse_traits, resolve_audiences, retired_key
from audience_sync.sync.load.retired import retired_warnings, without_retired_traits
from audience_sync.text import pluralize

#: Rows that are read of a snapshot, which may have millions.
FEW_ROWS = 100
#: Title and text of the message of `check --notify`.
TEST_MESSAGE = ("audience-sync: a test", "Test message. Real alerts arrive here when a run needs attention.")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result for one part. ``part``: config, source, store, audience, traits, destination, schedule, notify."""

    part: str
    name: str
    good: bool
    message: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check_config(options: GlobalOptions) -> tuple[Settings | None, list[CheckResult]]:
    try:
        settings = read_settings(options)
    except ConfigError as error:
        return None, [_failed("config", problem.path, problem.message) for problem in error.problems]
    traits = sum(len(entry.columns) for entry in settings.computed_traits)
    parts = [(len(settings.audiences), "audience"), (traits, "computed trait")]
    parts.append((len(settings.destinations), "destination"))
    count = ", ".join(pluralize(number, thing) for number, thing in parts)
    return settings, [CheckResult("config", options.config, True, count)]


def check_everything(settings: Settings) -> list[CheckResult]:
    store_line, stored = _store(settings)
    sources = list(_sources(settings))
    failed = {each.name for each in sources if not each.good}
    looks = (_keys(settings, stored), sources, _snapshots(settings, stored, failed), _destinations(settings))
    schedules = _schedules(settings) if store_line.good else ()
    return [store_line, *(line for look in looks for line in look), *schedules]


def _schedules(settings: Settings) -> Iterator[CheckResult]:
    """Check that each schedule's last time had its run. A schedule that has never run passes."""
    if settings.general_schedule is None and all(each.schedule is None for each in settings.audiences):
        return
    found, now = schedule_entries(settings), datetime.now(UTC)
    with store_to_read(settings.store) as store, store.reading() as connection:
        last = last_slots(connection, [each.name for each in found], now)
    for each in found:
        coming = f"next {first_after(each.schedule, now):%Y-%m-%d %H:%M} UTC"
        if each.name not in last:
            yield CheckResult("schedule", each.name, True, f"{coming}, once `audience-sync schedule` runs")
            continue
        missed = find_due(each.schedule, last[each.name].at, now - settings.notify.late)
        if missed is None:
            yield CheckResult("schedule", each.name, True, coming)
        else:
            message = f"nothing has run for {missed.at:%Y-%m-%d %H:%M} UTC. Is `audience-sync schedule` alive?"
            yield CheckResult("schedule", each.name, False, message)


def check_notify(settings: Settings) -> list[CheckResult]:
    """Send a test message to every address of `notify`, and call the dead-man's switch."""
    from audience_sync.alerts.notify import alert_egress, ordinal
    from audience_sync.alerts.send import ping, send

    addresses = settings.notify.to
    if not addresses and not settings.notify.ping:
        return [_failed("notify", "", "no alerts are configured: set `notify.to` or `notify.ping`")]
    way = alert_egress(settings)
    tried = [(f"{ordinal(index)} address", send(each, *TEST_MESSAGE, way)) for index, each in enumerate(addresses, 1)]
    if settings.notify.ping:
        tried.append(("ping", ping(settings.notify.ping, way)))
    return [
        _failed("notify", name, problem) if problem else CheckResult("notify", name, True, "accepted a test message")
        for name, problem in tried
    ]


def _failed(part: str, name: str, message: object) -> CheckResult:
    return CheckResult(part, name, False, _relative_paths(masked_text(" ".join(str(message).split()))))


def _store(settings: Settings) -> tuple[CheckResult, dict[str, Property]]:
    store = Store(settings.store)
    try:
        if store.is_sqlite and migrate.current(store) is None:
            if store.file and not _may_write(store.file):
                return _failed(
                    "store", path_text(store.label), "can't be created: this user may not write to its folder"
                ), {}
            return CheckResult("store", path_text(store.label), True, "will be created by the first run"), {}
        migrate.require_current_schema(store)
        with store.reading() as connection:
            stored = read_properties(connection)
        return CheckResult(
            "store", path_text(store.label), True, f"schema {migrate.HEAD}{_journal_text(store)}"
        ), stored
    except AudienceSyncError as error:
        return _failed("store", path_text(store.label), error), {}
    finally:
        store.close()


def _may_write(file: Path) -> bool:
    folder = next(each for each in file.absolute().parents if each.exists())
    return folder.is_dir() and os.access(folder, os.W_OK)


def _journal_text(store: Store) -> str:
    """SQLite's version and journal: with a rollback journal, readers and runs wait for each other."""
    import sqlite3

    if not store.is_sqlite:
        return ""
    journal = "write-ahead log" if store.is_wal else "rollback journal; the next run makes it a write-ahead log"
    return f", SQLite {sqlite3.sqlite_version} ({journal})"


def _keys(settings: Settings, stored: dict[str, Property]) -> Iterator[CheckResult]:
    try:
        targets = resolve_audiences(settings.audiences, stored)
        refuse_traits(settings.computed_traits, stored)
        grouped(settings, targets, stored)
    except ConfigError as error:
        yield from (_failed("config", problem.path, problem.message) for problem in error.problems)
        return
    for path, message in retired_warnings(settings, stored):
        yield CheckResult("config", path, True, message)
    claimed = {target.key for target in targets}
    names_from = any(config.names_from for config in settings.audiences)
    for each in stored.values():
        if each.kind == "audience" and each.origin is None and each.key not in claimed and not each.retired:
            message = "in the store but no longer in the config: nothing is sent for it"
            yield CheckResult("audience", each.key, True, message)
    if not claimed and not names_from:
        yield CheckResult("config", "", True, "no audiences")


def _sources(settings: Settings) -> Iterator[CheckResult]:
    for name, config in settings.sources.items():
        try:
            yield CheckResult("source", name, True, _relative_paths(open_source(name, config).check()))
        except AudienceSyncError as error:
            yield _failed("source", name, error)


def _relative_paths(text: str) -> str:
    """Make the paths in a text relative to the present folder."""
    here = str(Path.cwd())
    return text.replace(f"folder {here},", "folder .,").replace(f"{here}{os.sep}", "")


def _snapshots(settings: Settings, stored: dict[str, Property], failed: Set[str]) -> Iterator[CheckResult]:
    """Check that every audience and trait that is not retired can be read. Only a few rows are read."""
    from audience_sync.sources.files.allowed_paths import allowed_paths
    from audience_sync.sync.load.snapshot import snapshot_request
    from audience_sync.workspace import Workspace

    sources = {name: open_source(name, config) for name, config in settings.sources.items()}
    with Workspace(settings.memory_limit, allowed_paths(settings)) as workspace:
        for audience in settings.audiences:
            if retired_key(audience, stored):
                continue
            name = audience.property_key or f"names from {audience.names_from}"
            if audience.source in failed:
                yield _failed("audience", name, f"its source {audience.source} failed")
                continue
            try:
                sources[audience.source].read(workspace, replace(snapshot_request(audience), sample_rows=FEW_ROWS))
                yield CheckResult("audience", name, True, f"readable from {audience.source}")
            except AudienceSyncError as error:
                yield _failed("audience", name, error)
        for entry in without_retired_traits(settings, stored).computed_traits:
            if not entry.traits:
                continue
            if entry.source in failed:
                yield _failed("traits", entry.source, f"the source {entry.source} failed")
                continue
            try:
                sources[entry.source].read(workspace, replace(snapshot_request(entry), sample_rows=FEW_ROWS))
                yield CheckResult("traits", entry.source, True, ", ".join(entry.columns))
            except AudienceSyncError as error:
                yield _failed("traits", entry.source, error)


def _destinations(settings: Settings) -> Iterator[CheckResult]:
    types = destination_types()
    for name, options in settings.destinations.items():
        about = Audiencing("check", secrets=settings.secrets)
        destination = Contained(name, partial(types[options.type], options, about), options, about)
        destination.open().close()
        address = destination.address
        if problem := destination.stopped():
            yield _failed("destination", name, problem.reason)
        else:
            where = f"{options.type} {path_text(address)}{_proxy_text(destination.inner)}"
            yield CheckResult("destination", name, True, where)


def _proxy_text(destination: Destination | None) -> str:
    """The proxy of an HTTP destination, as text; empty without one."""
    if not isinstance(destination, HttpDestination):
        return ""
    proxy = Egress.of(destination.options.ca_file, destination.options.proxy).proxy_for(destination.address)
    return f" through the proxy {shown_proxy(proxy)}" if proxy else ""
