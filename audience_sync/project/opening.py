"""Put a project together: its config, store, sources and destinations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from audience_sync.config.loader import load
from audience_sync.config.models import Settings
from audience_sync.config.read.paths import Spreadsheet, duckdb_path
from audience_sync.config.sections.snapshot import IN_WAREHOUSE, SourceConfig
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate

if TYPE_CHECKING:
    from audience_sync.destinations.base import Audiencing, Destination
    from audience_sync.sources.base import Source
    from audience_sync.sync.values.request import RunDependencies


def load_settings(config: Path, *, environment: str | None = None) -> Settings:
    """The config as it stands, with variables of the process put in. Raises ConfigError with every problem."""
    from audience_sync.destinations.registry import destination_types

    types = destination_types()
    return load(
        config,
        environment=environment,
        variables=os.environ,
        destination_types=types.each(lambda kind: kind.Options),
        profile_fields=types.each(lambda kind: kind.profile_fields),
    )


def run_dependencies(settings: Settings, store: Store) -> RunDependencies:
    """The parts of a run. The store, its schema and its end are the caller's business."""
    from audience_sync.destinations.boundary import ContainedDestination
    from audience_sync.destinations.registry import destination_types, profile_fields
    from audience_sync.sources.files.allowed_paths import allowed_paths
    from audience_sync.sync.values.request import RunDependencies

    types = destination_types()
    used = {types[options.type] for options in settings.destinations.values()}

    def destinations(about: Audiencing) -> Mapping[str, Destination]:
        return {
            name: ContainedDestination(name, partial(types[options.type], options, about), options, about)
            for name, options in settings.destinations.items()
        }

    sources = {name: open_source(name, source) for name, source in settings.sources.items()}
    return RunDependencies(
        settings=settings,
        store=store,
        sources=sources,
        destinations=destinations,
        profile_fields=profile_fields(used),
        readable=allowed_paths(settings),
    )


def open_source(name: str, config: SourceConfig) -> Source:
    """Nothing is opened yet, and what can't be is an error of each entry that is read from it."""
    from audience_sync.sources.boundary import BoundedSource

    return BoundedSource(name, lambda: _source(config), config.timeout)


def _source(config: SourceConfig) -> Source:
    if spreadsheet := Spreadsheet.parse(config.files or ""):
        from audience_sync.sources.google_sheets import GoogleSheetsSource

        return GoogleSheetsSource(spreadsheet)
    if config.files is not None:
        from audience_sync.sources.files.source import FilesSource

        return FilesSource(config.files, partitions=config.partitions)
    if config.spark is not None:
        return _spark_source(config.spark, config.state)
    if config.compare == IN_WAREHOUSE:
        from audience_sync.sources.database.engine import warehouse_source

        return warehouse_source(config.database or "", config.state_schema)
    if path := duckdb_path(config.database or ""):
        from audience_sync.sources.database.duckdb_file import DuckDbSource

        return DuckDbSource(path)
    from audience_sync.sources.database.source import DatabaseSource

    return DatabaseSource(config.database or "")


def _spark_source(url: str, state: str | None) -> Source:
    if state is not None:
        from audience_sync.sources.spark.engine import spark_source

        return spark_source(url, state)
    from audience_sync.sources.spark.server import SparkServer
    from audience_sync.sources.spark.source import SparkSource

    return SparkSource(SparkServer(url))


@contextmanager
def open_for_run(settings: Settings, *, upgrade: bool = False) -> Iterator[tuple[RunDependencies, bool]]:
    """The parts for a run, with the store's schema up to date; and whether the store is new."""
    with closing(Store(settings.store)) as store:
        is_new = migrate.current(store) is None
        migrate.ensure(store, upgrade_allowed=upgrade)
        yield run_dependencies(settings, store), is_new


@contextmanager
def open_to_read(settings: Settings) -> Iterator[RunDependencies]:
    """The parts for looking at what a run would do."""
    from audience_sync.store.maintenance.open_to_read import open_store_to_read

    with open_store_to_read(settings.store) as store:
        yield run_dependencies(settings, store)
