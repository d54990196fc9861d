"""Read the config and open the store by the command line's options."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync import tracing
from audience_sync.cli.base.errors import add_secrets
from audience_sync.cli.base.garbage import freeze_imports
from audience_sync.cli.base.logging import set_up_log
from audience_sync.cli.base.options import GlobalOptions
from audience_sync.config.loader import load_store
from audience_sync.config.models import Settings, StoreSettings
from audience_sync.errors import ConfigError
from audience_sync.project import load_settings
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate

if TYPE_CHECKING:
    from audience_sync.config.validate.shared_files import FileUse


def options_of(context: click.Context) -> GlobalOptions:
    """The options of the command line. Sets up the log and traces, too."""
    options: GlobalOptions = context.obj
    set_up_log(verbose=options.verbose, quiet=options.quiet)
    tracing.set_up()
    freeze_imports()
    return options


def read_settings(options: GlobalOptions) -> Settings:
    """The checked config. Raises ConfigError with every problem."""
    from audience_sync.project_files import refuse_project_files

    settings = _load_config(options)
    refuse_project_files(settings, options.config)
    return settings


def _load_config(options: GlobalOptions) -> Settings:
    settings = load_settings(Path(options.config), environment=options.environment)
    add_secrets(settings.secrets)
    return settings


def read_store_settings(options: GlobalOptions) -> StoreSettings:
    """The settings that reading the store needs; the rest of the config may lack its secrets."""
    from audience_sync.config.validate.shared_files import refuse_store_as_config

    settings = load_store(Path(options.config), environment=options.environment, variables=os.environ)
    add_secrets(settings.secrets)
    refuse_store_as_config(settings.store, options.config)
    return settings


def settings_of_written_store(options: GlobalOptions, outputs: Sequence[FileUse] = ()) -> StoreSettings:
    """The settings for a command that writes the store, or the files of ``outputs``.

    Raises ConfigError or click.BadParameter if the project uses one of these files otherwise. If the rest of the config
    can't be loaded, this is not checked.
    """
    from audience_sync.project_files import output_problem, refuse_store_file

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
def store_to_write(context: click.Context) -> Iterator[Store]:
    """The store for a command that writes a few rows outside of a run."""
    store = Store(settings_of_written_store(options_of(context)).store)
    try:
        migrate.ensure(store, upgrade_allowed=False)
        yield store
    finally:
        store.close()
