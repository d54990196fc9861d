"""Refuse files that two options of a project name, and existing files that a run would write and did not make."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from audience_sync.config.models import Settings
from audience_sync.config.read.variables import ENV_FILE
from audience_sync.config.validate.own_output import contains_other_than_metrics
from audience_sync.config.validate.shared_files import FileUse, database_uses, shared_paths
from audience_sync.errors import ConfigError, Problem
from audience_sync.sources.files.allowed_paths import local_names
from audience_sync.text import display_path


def refuse_project_files(settings: Settings, config: str) -> None:
    """Raise ConfigError for two options with the same file, if one of them is written.

    Also for an option whose file exists with content of another kind.
    """
    shared = shared_paths(_file_uses(settings, config))
    reported = {each.path for each in shared}
    if problems := [*shared, *(each for each in _foreign_files(settings) if each.path not in reported)]:
        raise ConfigError(problems)


def refuse_store_file(settings: Settings, config: str) -> None:
    """Raise ConfigError if the store is a file that the project reads, for commands that only write the store."""
    store = list(database_uses("store", settings.store, is_written=True))
    later = (use for each in store for use in _entries_that_would_read(settings, each.path))
    if problems := shared_paths([*_read_files(settings, config), *later, *store]):
        raise ConfigError(problems)


def output_problem(settings: Settings, config: str, outputs: Sequence[FileUse]) -> Problem | None:
    """The problem with writing these files of one option, or None. They need not exist."""
    problems = shared_paths(_file_uses(settings, config, *outputs))
    return next((each for each in problems if outputs and each.path == outputs[0].option), None)


def _file_uses(settings: Settings, config: str, *outputs: FileUse) -> list[FileUse]:
    written = [*_written_files(settings), *outputs]
    later = (use for each in written for use in _entries_that_would_read(settings, each.path))
    return [*_read_files(settings, config), *later, *written]


def _foreign_files(settings: Settings) -> Iterator[Problem]:
    """Existing files that a run would append to, or replace, and that this program did not write."""
    for name, options in settings.destinations.items():
        for option, reason in options.foreign_files():
            yield Problem(f"destinations.{name}.{option}", reason)
    if (file := settings.metrics.file) and contains_other_than_metrics(file):
        message = "exists and does not hold metrics of audience-sync: a run would replace it"
        yield Problem("metrics.file", f"`{display_path(file)}` {message}. Name another file, or move this one away")


def _written_files(settings: Settings) -> Iterator[FileUse]:
    yield from database_uses("store", settings.store, is_written=True)
    for name, options in settings.destinations.items():
        for option in options.written_files:
            if path := getattr(options, option):
                yield FileUse(option=f"destinations.{name}.{option}", path=str(path), is_written=True)
    if settings.metrics.file is not None:
        yield FileUse(option="metrics.file", path=settings.metrics.file, is_written=True)


def _read_files(settings: Settings, config: str) -> Iterator[FileUse]:
    yield FileUse(option="the config", path=config)
    for path in settings.files_read:
        option = ENV_FILE if Path(path) == settings.folder / ENV_FILE else "${file:...} in the config"
        yield FileUse(option=option, path=path)
    if settings.ca_file is not None:
        yield FileUse(option="ca_file", path=settings.ca_file)
    for name, source in settings.sources.items():
        yield from database_uses(f"sources.{name}.database", source.database or "", is_written=False)
        if source.dbt is not None:
            yield FileUse(option=f"sources.{name}.dbt.run_results", path=source.dbt.run_results)
    for name, options in settings.destinations.items():
        for option, value in options:
            is_file = option.endswith("_file") and isinstance(value, str | Path)
            if is_file and option not in options.written_files and value != settings.ca_file:  # every destination's
                yield FileUse(option=f"destinations.{name}.{option}", path=str(value))
    for option, folder, word in local_names(settings):
        with suppress(OSError):  # reading reports a folder that can't be listed
            yield from (FileUse(option=option, path=str(path)) for path in folder.paths(word))


def _entries_that_would_read(settings: Settings, path: str) -> Iterator[FileUse]:
    """The entries that read this file once it exists."""
    if os.path.exists(path):
        return
    for option, folder, word in local_names(settings):
        if folder.would_match(word, path):
            yield FileUse(option=option, path=path)
