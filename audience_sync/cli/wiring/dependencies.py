"""How are the parts put together? The one place that knows config, store, sources and destinations at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync import tracing
from audience_sync.cli.base.errors import add_secrets
from audience_sync.cli.base.garbage import freeze_imports
from audience_sync.cli.base.logging import set_up_log
from audience_sync.cli.base.options import GlobalOptions
from audience_sync.config.loader import load, load_store
from audience_sync.config.models import Settings, StoreSettings
from audience_sync.config.sections.snapshot import SourceConfig
from audience_sync.errors import ConfigError
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate

if TYPE_CHECKING:
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.destinations.base import Audiencing, Destination
    from audience_sync.sources.base import Source
    from audience_sync.sync.values.request import RunDependencies


def options_of(context: click.Context) -> GlobalOptions:
    """What was asked for on the command line; also sets up the log."""
    options: GlobalOptions = context.obj
    set_up_log(verbose=options.verbose, quiet=options.quiet)
    tracing.set_up()
    return options


def read_settings(options: GlobalOptions) -> Settings:
    """The checked config. Raises ConfigError with every problem."""
    from audience_sync.cli.wiring.project_files import refuse_project_files

    settings = _load_config(options)
    refuse_project_files(settings, options.config)
    return settings


def _load_config(options: GlobalOptions) -> Settings:
    from audience_sync.destinations.registry import destination_types

    types = destination_types()
    settings = load(
        Path(options.config),
        environment=options.environment,
        variables=os.environ,
        destination_types={name: kind.Options for name, kind in types.items()},
        profile_fields={name: kind.profile_fields for name, kind in types.items()},
    )
    add_secrets(settings.secrets)
    return settings


def read_store_settings(options: GlobalOptions) -> StoreSettings:
    """Only what reading the store needs; the rest of the config may lack its secrets."""
    from audience_sync.config.validate.shared_files import refuse_store_as_config

    settings = load_store(Path(options.config), environment=options.environment, variables=os.environ)
    add_secrets(settings.secrets)
    refuse_store_as_config(settings.store, options.config)
    return settings


def settings_of_written_store(options: GlobalOptions, outputs: Sequence[FileUse] = ()) -> StoreSettings:
    """As `read_store_settings`, for a command that writes the store, or ``outputs`` that its command line names.

    Neither may be a file that the project uses otherwise; of a config that can't be loaded whole that isn't clear.
    """
    from audience_sync.cli.wiring.project_files import output_problem, refuse_store_file

    found = read_store_settings(options)
    try:
        settings = _load_config(options)
    except ConfigError:  # the rest of the config may lack its secrets here, too
        return found
    refuse_store_file(settings, options.config)
    if problem := output_problem(settings, options.config, outputs):
        raise click.BadParameter(problem.message, param_hint=problem.path)
    return found


@contextmanager
def open_dependencies(settings: Settings, store: Store) -> Iterator[RunDependencies]:
    """The parts of a run. The store's schema is the caller's business."""
    from audience_sync.destinations.boundary import Contained
    from audience_sync.destinations.registry import destination_types
    from audience_sync.sources.files.allowed_paths import allowed_paths
    from audience_sync.sync.values.request import RunDependencies

    freeze_imports()
    types = destination_types()
    used = {options.type for options in settings.destinations.values()}

    def destinations(about: Audiencing) -> Mapping[str, Destination]:
        return {
            name: Contained(name, partial(types[options.type], options, about), options, about)
            for name, options in settings.destinations.items()
        }

    reserved = frozenset[str]().union(*(types[name].profile_fields for name in used))
    sources = {name: open_source(name, source) for name, source in settings.sources.items()}
    try:
        yield RunDependencies(settings, store, sources, destinations, reserved, allowed_paths(settings))
    finally:
        store.close()


def open_source(name: str, config: SourceConfig) -> Source:
    """Nothing is opened yet, and what can't be is an error of each entry that is read from it."""
    from audience_sync.sources.boundary import BoundedSource

    return BoundedSource(name, lambda: _source(config), config.timeout)


def _source(config: SourceConfig) -> Source:
    if config.files is not None:
        from audience_sync.sources.files.source import FilesSource

        return FilesSource(config.files, partitions=config.partitions)
    from audience_sync.sources.database.source import DatabaseSource

    return DatabaseSource(config.database or "")


@contextmanager
def opened_for_run(settings: Settings, *, upgrade: bool = False) -> Iterator[tuple[RunDependencies, bool]]:
    """The parts for a run, with the store's schema up to date; and whether the store is new."""
    store = Store(settings.store)
    is_new = migrate.current(store) is None
    migrate.ensure(store, upgrade_allowed=upgrade)
    with open_dependencies(settings, store) as parts:
        yield parts, is_new


@contextmanager
def store_to_read(url: str) -> Iterator[Store]:
    """The store for a command that changes nothing: one that isn't there yet is empty, in memory."""
    store = Store(url)
    if store.is_sqlite and migrate.current(store) is None:
        store.close()
        store = Store("sqlite://")
        migrate.upgrade(store)
    try:
        migrate.require_current_schema(store)
        yield store
    finally:
        store.close()


@contextmanager
def store_to_write(context: click.Context) -> Iterator[Store]:
    """The store for a command that writes a few rows beside the runs."""
    store = Store(settings_of_written_store(options_of(context)).store)
    try:
        migrate.ensure(store, upgrade_allowed=False)
        yield store
    finally:
        store.close()


@contextmanager
def opened_to_read(settings: Settings) -> Iterator[RunDependencies]:
    """The parts for looking at what a run would do."""
    with store_to_read(settings.store) as store, open_dependencies(settings, store) as parts:
        yield parts
