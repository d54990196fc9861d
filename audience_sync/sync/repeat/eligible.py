"""Decide whether the next run may repeat a run's result, and which files that depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, select

from audience_sync.config.models import Settings
from audience_sync.config.sections.egress import ENVIRONMENT
from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.sources.files.sql import is_repeatable
from audience_sync.sources.storage.resolve_names import file_words
from audience_sync.store.tables import properties
from audience_sync.sync.repeat.inputs import FileName
from audience_sync.sync.values.report import Report

_SETTLED = {AudienceStatus.CREATED, AudienceStatus.SYNCED, AudienceStatus.UNCHANGED}


def files_read(settings: Settings) -> list[FileName] | None:
    """The files that decide what a run finds. None if something else does too: a database, the clock, an address."""
    entries = [*settings.audiences, *settings.computed_traits]
    options = settings.destinations.values()
    hooks = [each for each in settings.on_run if RunStatus.SUCCEEDED.value in each.statuses]
    others = settings.suppressed, settings.aliases, settings.notify.ping, settings.metrics.file, hooks
    is_own = all(type(each).__module__.startswith("audience_sync.") for each in options)
    if any(others) or not is_own or ENVIRONMENT in (settings.proxy, *(each.proxy for each in options)):
        return None
    found = list[FileName]()
    for entry in entries:
        names = _names(settings, entry)
        if not names:
            return None
        found += names
    return list(dict.fromkeys([*found, *(FileName("/", path) for path in _options_with_files(settings))]))


def _names(settings: Settings, entry: SnapshotConfig) -> list[FileName]:
    """The files of one entry; empty if something else decides what is read, too."""
    source, expect = settings.sources.get(entry.source), entry.expect
    if source is None or source.files is None or (expect and expect.max_age) or (source.dbt and entry.dbt_model):
        return []
    if entry.query is not None and not is_repeatable(entry.query):
        return []
    names = [entry.file] if entry.file else file_words(entry.query or "")
    names += [each for each in ((expect.marker, expect.manifest) if expect else ()) if each] if names else []
    if any("://" in each for each in (source.files, *names)):
        return []
    hive = bool(entry.partitions or source.partitions)
    return [FileName(source.files, each, hive) for each in names]


def _options_with_files(settings: Settings) -> Iterator[str]:
    if settings.ca_file is not None:
        yield settings.ca_file
    for options in settings.destinations.values():
        for option, value in options:
            if option.endswith("_file") and option not in options.written_files and isinstance(value, str | Path):
                yield str(value)


def files_written(settings: Settings) -> list[str]:
    """The files that destinations write: a run refuses those that another program wrote."""
    destinations = settings.destinations.values()
    return [str(path) for each in destinations for option in each.written_files if (path := getattr(each, option))]


def is_settled(connection: Connection, settings: Settings, report: Report) -> bool:
    """Whether the same inputs would give a run without changes, calls, messages and things for a person to do."""
    notes = report.warnings, report.invalid_rows, report.mappings, report.skipped_users
    audiences, destinations = report.audiences, report.destinations
    if (
        report.status is not RunStatus.SUCCEEDED
        or any(notes)
        or any(each.error or each.withheld for each in destinations)
    ):
        return False
    if any(each.status not in _SETTLED or each.error or each.absent for each in audiences):
        return False
    return _all_loaded(connection, [each.key for each in audiences], settings)


def _all_loaded(connection: Connection, audiences: Sequence[str], settings: Settings) -> bool:
    """Whether every snapshot has a stored fingerprint, so that the same files are not read again."""
    loaded = set(connection.execute(select(properties.c.key).where(properties.c.fingerprint.is_not(None))).scalars())
    return loaded.issuperset([*audiences, *(key for each in settings.computed_traits for key in each.columns)])
