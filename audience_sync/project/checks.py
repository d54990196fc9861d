"""Check each part of a project, one after another, without changing anything."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence, Set
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Settings
from audience_sync.delivery.mapping import mapping_of
from audience_sync.destinations.base import Audiencing, Destination, HttpDestination
from audience_sync.destinations.boundary import ContainedDestination
from audience_sync.destinations.http.egress import Egress, shown_proxy
from audience_sync.destinations.http.statuses import name_destination
from audience_sync.destinations.registry import destination_types
from audience_sync.errors import FAILED, OK, USAGE, AudienceSyncError, ConfigError, FieldError, StoreError
from audience_sync.project.access import Access
from audience_sync.project.opening import open_source
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.schedule.entries import schedule_entries
from audience_sync.schedule.times import find_due, first_after
from audience_sync.store.audiences.properties import Property, read_chains, read_properties
from audience_sync.store.audiences.user_traits import count_values
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.maintenance.open_to_read import open_store_to_read
from audience_sync.store.runs.schedule_slots import last_slots
from audience_sync.sync.diff.priority_groups import grouped
from audience_sync.sync.load.resolve_audiences import resolve_config, retired_key, without_retired_traits
from audience_sync.text import ordinal, path_text, pluralize

#: Rows that are read of a snapshot, which may have millions.
FEW_ROWS = 100
#: Title and text of the message of `check --notify`.
TEST_MESSAGE = ("audience-sync: a test", "Test message. Real alerts arrive here when a run needs attention.")


class ProjectCheck(NamedTuple):
    """The result for one part. ``part``: config, source, store, audience, traits, destination, schedule, notify."""

    part: str
    name: str
    good: bool
    message: str


class Checks(Struct, frozen=True, kw_only=True):
    """The results of ``check``, one for each part of a project."""

    results: tuple[ProjectCheck, ...]

    @property
    def good(self) -> bool:
        """Whether all are good."""
        return all(each.good for each in self.results)

    @property
    def exit_code(self) -> int:
        """That of the command: 0, 2 (the config) or 3 (another part)."""
        if self.good:
            return OK
        return USAGE if any(each.part == "config" and not each.good for each in self.results) else FAILED

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync check --json``."""
        return {"checks": [each._asdict() for each in self.results]}


def check_project(access: Access, *, notify: bool) -> Checks:
    """Check all parts, or the config alone if it has problems. ``notify``: send test messages, too."""
    found = _check_parts(access, notify=notify)
    return Checks(results=tuple(each._replace(message=mask_secrets(each.message, access.secrets)) for each in found))


def _check_parts(access: Access, *, notify: bool) -> list[ProjectCheck]:
    try:
        settings = access.settings()
    except ConfigError as error:
        return [_failed("config", problem.path, problem.message) for problem in error.problems]
    traits = sum(len(entry.columns) for entry in settings.computed_traits)
    parts = (
        (len(settings.audiences), "audience"),
        (traits, "computed trait"),
        (len(settings.destinations), "destination"),
    )
    counts = ", ".join(pluralize(number, thing) for number, thing in parts)
    store, stored = _store(settings)
    sources = list(_sources(settings))
    failed = {each.name for each in sources if not each.good}
    return [
        ProjectCheck("config", str(access.config), True, counts),
        store,
        *_state(settings),
        *_empty_views(settings, stored),
        *_keys(settings, stored),
        *sources,
        *_snapshots(settings, stored, failed),
        *_destinations(settings),
        *(_schedules(settings) if store.good else ()),
        *(_notify(settings) if notify else ()),
    ]


def _state(settings: Settings) -> Iterator[ProjectCheck]:
    """Check that objects can be put into the bucket of `state`, read, listed and deleted, by one that is then gone."""
    if settings.state is None:
        return
    from audience_sync.store.snapshots.objects import try_folder

    name = settings.state.rstrip("/")
    try:
        with TemporaryDirectory() as scratch:
            try_folder(name, f"check-{secrets.token_hex(8)}", Path(scratch, "object"))
        yield ProjectCheck("state", name, True, "objects can be put, read, listed and deleted")
    except StoreError as error:
        yield _failed("state", name, error)


def _schedules(settings: Settings) -> Iterator[ProjectCheck]:
    """Check that each schedule's last time had its run. A schedule that has never run passes."""
    if settings.general_schedule is None and all(each.schedule is None for each in settings.audiences):
        return
    found, now = schedule_entries(settings), datetime.now(UTC)
    with open_store_to_read(settings.store) as store, store.reading() as connection:
        last = last_slots(connection, [each.name for each in found], now)
    for each in found:
        coming = f"next {first_after(each.schedule, now):%Y-%m-%d %H:%M} UTC"
        if each.name not in last:
            yield ProjectCheck("schedule", each.name, True, f"{coming}, once `audience-sync schedule` runs")
            continue
        missed = find_due(each.schedule, last[each.name].at, now - settings.notify.late)
        if missed is None:
            yield ProjectCheck("schedule", each.name, True, coming)
        else:
            message = f"nothing has run for {missed.at:%Y-%m-%d %H:%M} UTC. Is `audience-sync schedule` alive?"
            yield ProjectCheck("schedule", each.name, False, message)


def _notify(settings: Settings) -> list[ProjectCheck]:
    """Send a test message to every address of `notify` and hook of `on_run`, and call the dead-man's switch."""
    from audience_sync.alerts.notify import alert_egress
    from audience_sync.alerts.run_webhooks import post_test
    from audience_sync.alerts.send import ping, send

    addresses = settings.notify.to
    if not addresses and not settings.notify.ping and not settings.on_run:
        return [_failed("notify", "", "no alerts are configured: set `notify.to`, `notify.ping` or `on_run`")]
    egress = alert_egress(settings)
    tried = [(f"{ordinal(i)} address", send(each, *TEST_MESSAGE, egress)) for i, each in enumerate(addresses, 1)]
    if settings.notify.ping:
        tried.append(("ping", ping(settings.notify.ping, egress)))
    tried += [(f"on_run {each.label}", post_test(settings, each)) for each in settings.on_run]
    return [
        _failed("notify", name, problem) if problem else ProjectCheck("notify", name, True, "accepted a test message")
        for name, problem in tried
    ]


def _failed(part: str, name: str, message: object) -> ProjectCheck:
    return ProjectCheck(part, name, False, _relative_paths(" ".join(str(message).split())))


def _store(settings: Settings) -> tuple[ProjectCheck, dict[str, Property]]:
    """The result for the store, and the stored properties."""
    with closing(Store(settings.store)) as store:
        name = path_text(store.label)
        try:
            if store.is_sqlite and migrate.current(store) is None:
                if store.file and not _may_write(store.file):
                    return _failed("store", name, "can't be created: this user may not write to its folder"), {}
                return ProjectCheck("store", name, True, "will be created by the first run"), {}
            migrate.require_current_schema(store)
            with store.reading() as connection:
                stored = read_properties(connection)
            return ProjectCheck("store", name, True, f"schema {migrate.HEAD}{_journal_text(store)}"), stored
        except AudienceSyncError as error:
            return _failed("store", name, error), {}


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


def _empty_views(settings: Settings, stored: dict[str, Property]) -> Iterator[ProjectCheck]:
    """Name the views that the config leaves empty, with the option that fills them."""
    if not settings.members_table:
        yield ProjectCheck("view", "audience_members", True, "empty: `members_table: false`")
    option = settings.trait_values_table
    if option is False:
        yield ProjectCheck("view", "trait_values", True, "empty: `trait_values_table: false`")
    elif option is not True and stored:
        with open_store_to_read(settings.store) as store, store.reading() as connection:
            values = count_values(read_chains(connection, stored.values()).values())
        if values > option:
            message = (
                f"empty: {values:,} values (users times traits) are more than {option:,}. "
                "To fill it at any size: `trait_values_table: true`"
            )
            yield ProjectCheck("view", "trait_values", True, message)


def _keys(settings: Settings, stored: dict[str, Property]) -> Iterator[ProjectCheck]:
    try:
        resolved = resolve_config(settings, stored)
        grouped(settings, resolved.audiences, stored)
    except ConfigError as error:
        yield from (_failed("config", problem.path, problem.message) for problem in error.problems)
        return
    for path, message in resolved.warnings:
        yield ProjectCheck("config", path, True, message)
    claimed = {target.key for target in resolved.audiences}
    names_from = any(config.names_from for config in settings.audiences)
    for each in stored.values():
        if each.kind == "audience" and each.origin is None and each.key not in claimed and not each.retired:
            message = "in the store but no longer in the config: nothing is sent for it"
            yield ProjectCheck("audience", each.key, True, message)
    if not claimed and not names_from:
        yield ProjectCheck("config", "", True, "no audiences")


def _sources(settings: Settings) -> Iterator[ProjectCheck]:
    for name, config in settings.sources.items():
        try:
            yield ProjectCheck("source", name, True, _relative_paths(open_source(name, config).check()))
        except AudienceSyncError as error:
            yield _failed("source", name, error)


def _relative_paths(text: str) -> str:
    """Make the paths in a text relative to the present folder."""
    here = str(Path.cwd())
    return text.replace(f"folder {here},", "folder .,").replace(f"{here}{os.sep}", "")


def _snapshots(settings: Settings, stored: dict[str, Property], failed: Set[str]) -> Iterator[ProjectCheck]:
    """Check that every audience and trait that is not retired can be read. Only a few rows are read.

    ``failed``: sources that can't be read.
    """
    from audience_sync.dbt.readiness import require_built
    from audience_sync.sources.files.allowed_paths import allowed_paths
    from audience_sync.sync.load.snapshot import snapshot_request
    from audience_sync.workspace import Workspace

    sources = {name: open_source(name, config) for name, config in settings.sources.items()}
    audiences: list[AudienceConfig | ComputedTraitsConfig] = [
        each for each in settings.audiences if not retired_key(each, stored)
    ]
    traits = [each for each in without_retired_traits(settings, stored).computed_traits if each.traits]
    with Workspace(settings.memory_limit, allowed_paths(settings)) as workspace:
        for entry in [*audiences, *traits]:
            if isinstance(entry, AudienceConfig):
                part, name, whose = "audience", entry.property_key or f"names from {entry.names_from}", "its"
                good = f"readable from {entry.source}"
            else:
                part, name, whose, good = "traits", entry.source, "the", ", ".join(entry.columns)
            if entry.source in failed:
                yield _failed(part, name, f"{whose} source {entry.source} failed")
                continue
            try:
                require_built(settings.sources[entry.source], entry)
                sources[entry.source].read(workspace, replace(snapshot_request(entry), sample_rows=FEW_ROWS))
                yield ProjectCheck(part, name, True, good)
            except AudienceSyncError as error:
                yield _failed(part, name, error)


def _destinations(settings: Settings) -> Iterator[ProjectCheck]:
    types = destination_types()
    audiences = frozenset(each.property_key for each in settings.audiences if each.property_key)
    traits = frozenset(key for entry in settings.computed_traits for key in entry.columns)
    about = Audiencing("check", audiences, traits, settings.secrets)
    for name, options in settings.destinations.items():
        destination = ContainedDestination(name, partial(types[options.type], options, about), options, about)
        destination.open().close()
        address = destination.address
        if problem := destination.stopped():
            yield _failed("destination", name, problem.reason)
        else:
            where = f"{options.type} {path_text(address)}{_proxy_text(destination.inner)}"
            yield ProjectCheck("destination", name, True, where)
            yield from (ProjectCheck("destination", name, True, remark) for remark in destination.remarks)
            if unsent := [key for key in destination.options.traits or () if key not in settings.traits_of(name)]:
                message = (
                    f"{', '.join(unsent)}: not sent, because `computed_traits[].destinations` does not name {name}"
                )
                yield ProjectCheck("destination", name, True, message)
            names = _sent_names(settings, name, destination)
            problems = destination.name_problems(names)
            for sent, why in problems.items():
                message = f"'{sent}' {why}. Set `destinations.{name}.rename`: until then it is refused for every user"
                yield _failed("destination", name, message)
            if destination.has_fields:
                yield _fields([each for each in names if each not in problems], name, destination)


def _sent_names(settings: Settings, name: str, destination: Destination) -> list[str]:
    """Return the names under which the audiences and traits of the config are sent to a destination."""
    sent = [each.property_key for each in settings.audiences if name in settings.destinations_of(each)]
    keys = {*(key for key in sent if key), *settings.traits_of(name), *mapping_of(destination).identifiers}
    return sorted(destination.options.rename.get(key, key) for key in keys)


def _fields(keys: Sequence[str], name: str, destination: Destination) -> ProjectCheck:
    """Check that every audience and trait has a field at a destination that needs them."""
    try:
        missing = list(destination.missing_fields(keys))
    except FieldError as error:
        return _failed("destination", name, name_destination(str(error), name))
    if not missing:
        return ProjectCheck("destination", name, True, f"has a field for each of {pluralize(len(keys), 'property')}")
    names = ", ".join(missing)
    if getattr(destination.options, "create_fields", False):
        return ProjectCheck("destination", name, True, f"the next run creates these fields there: {names}")
    hint = f"Create them there, or set `destinations.{name}.create_fields: true`"
    return _failed("destination", name, f"these fields do not exist there, so that nothing is sent: {names}. {hint}")


def _proxy_text(destination: Destination | None) -> str:
    """The proxy of an HTTP destination, as text; empty without one."""
    if not isinstance(destination, HttpDestination):
        return ""
    proxy = Egress.of(destination.options.ca_file, destination.options.proxy).proxy_for(destination.address)
    return f" through the proxy {shown_proxy(proxy)}" if proxy else ""
