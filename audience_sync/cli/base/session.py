"""Hold the options that all commands share; read the config and open the store that they name; print the answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from audience_sync.cli.base.completion import GIVEN, complete_config_files, complete_environments
from audience_sync.cli.base.layout import Screen
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.command_line import give_options

if TYPE_CHECKING:
    from audience_sync.config.models import Settings, StoreSettings
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.store.connection.engine import Store
    from audience_sync.sync.repeat.inputs import ConfigInputs

Command = Callable[..., Any]
DEFAULT_CONFIG = "config.yaml"


class Session(Struct, frozen=True, kw_only=True):
    """One command: its shared options, and the project that they name."""

    config: str = DEFAULT_CONFIG
    environment: str | None = None
    as_json: bool = False
    verbose: bool = False
    quiet: bool = False

    @property
    def config_name(self) -> str:
        return Path(self.config).name

    @property
    def options(self) -> tuple[str, ...]:
        """The options with which another command finds the same project."""
        config = () if self.config == DEFAULT_CONFIG else ("--config", self.config)
        return (*config, *(("--env", self.environment) if self.environment else ()))

    def set_up(self) -> None:
        """Set up the log, the traces and the commands in answers."""
        from audience_sync import tracing
        from audience_sync.cli.base.logging import set_up_log

        give_options(self.options)
        set_up_log(verbose=self.verbose, quiet=self.quiet)
        tracing.set_up()

    def settings(self) -> Settings:
        """The checked config. Raises ConfigError with every problem."""
        from audience_sync.project_files import refuse_project_files

        settings = self._load_config()
        refuse_project_files(settings, self.config)
        return settings

    def _load_config(self) -> Settings:
        from audience_sync.cli.base.errors import add_secrets
        from audience_sync.cli.base.process import freeze_imports
        from audience_sync.project import load_settings

        freeze_imports()
        settings = load_settings(Path(self.config), environment=self.environment)
        add_secrets(settings.secrets)
        return settings

    def store_settings(self) -> StoreSettings:
        """The settings that reading the store needs; the rest of the config may lack its secrets."""
        from audience_sync.cli.base.errors import add_secrets
        from audience_sync.cli.base.process import freeze_imports
        from audience_sync.config.loader import load_store
        from audience_sync.config.validate.shared_files import refuse_store_as_config

        freeze_imports()
        settings = load_store(Path(self.config), environment=self.environment, variables=os.environ)
        add_secrets(settings.secrets)
        refuse_store_as_config(settings.store, self.config)
        return settings

    def config_inputs(self) -> ConfigInputs | None:
        """The config's values, which are not validated; None if they can't be read. Then ``settings`` raises why."""
        from audience_sync.cli.base.errors import add_secrets
        from audience_sync.cli.base.process import freeze_imports
        from audience_sync.errors import ConfigError
        from audience_sync.sync.repeat.inputs import read_config_inputs

        freeze_imports()
        try:
            found = read_config_inputs(Path(self.config), self.environment, os.environ)
        except (ConfigError, OSError, RecursionError, ValueError):
            return None
        add_secrets(found.secrets if found else ())
        return found

    def settings_to_write(self, outputs: Sequence[FileUse] = ()) -> StoreSettings:
        """The settings for a command that writes the store, or the files of ``outputs``, with all the config's secrets.

        Raises ConfigError or click.BadParameter if the project uses one of these files otherwise. If the rest of the
        config can't be loaded, this is not checked.
        """
        from audience_sync.errors import ConfigError
        from audience_sync.project_files import output_problem, refuse_store_file

        found = self.store_settings()
        try:
            settings = self._load_config()
        except ConfigError:  # the rest of the config may lack its secrets here, too
            return found
        refuse_store_file(settings, self.config)
        if problem := output_problem(settings, self.config, outputs):
            raise click.BadParameter(problem.message, param_hint=problem.path)
        return found.model_copy(update={"secrets": settings.secrets})

    def reading(self) -> AbstractContextManager[Store]:
        """The store for a command that changes nothing."""
        from audience_sync.store.maintenance.open_to_read import open_store_to_read

        return open_store_to_read(self._store_url())

    def _store_url(self) -> str:
        """The store's URL, without loading the models of the config if they have nothing to validate there."""
        from audience_sync.cli.base.errors import add_secrets
        from audience_sync.cli.base.process import freeze_imports
        from audience_sync.config.read.config_tree import read_store_address
        from audience_sync.config.validate.shared_files import refuse_store_as_config

        freeze_imports()
        found = read_store_address(Path(self.config), self.environment, os.environ)
        if found is None:
            return self.store_settings().store
        add_secrets(found.secrets)
        refuse_store_as_config(found.url, self.config)
        return found.url

    @contextmanager
    def writing(self) -> Iterator[tuple[Store, StoreSettings]]:
        """The store, with the program's schema, for a command that writes a few rows outside of a run."""
        from audience_sync.store.connection.engine import Store
        from audience_sync.store.maintenance import migrate

        settings = self.settings_to_write()
        with closing(Store(settings.store)) as store:
            migrate.ensure(store, upgrade_allowed=False)
            yield store, settings

    def answer(self, document: object, lines: Callable[[Screen], Iterable[str]]) -> None:
        """Print the answer on stdout: the document with --json, otherwise the lines for a person."""
        if self.as_json:
            print_json(document)
        else:
            write(lines(screen()))


def _override(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Apply an option that was given after the command's name."""
    if value:
        context.obj = replace(context.obj or Session(), **{str(parameter.name): value})
        context.meta.setdefault(GIVEN, set()).add(str(parameter.name))


def _shared_option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    return click.option(*names, expose_value=False, callback=_override, **settings)


_SHARED_OPTIONS = (
    _shared_option("-v", "--verbose", "verbose", is_flag=True, help="Log more on stderr."),
    _shared_option("--json", "as_json", is_flag=True, help="Answer with one JSON document."),
    _shared_option(
        "--env",
        "environment",
        metavar="NAME",
        help="Use this part of the config's `environments`.",
        shell_complete=complete_environments,
    ),
    _shared_option("--config", "config", metavar="FILE", help="The config file.", shell_complete=complete_config_files),
)
#: For commands that make runs.
quiet_option = _shared_option(
    "-q", "--quiet", "quiet", is_flag=True, help="No output if all is well; what needs a person is on stderr."
)


def with_session(command: Command) -> Command:
    """Pass the session as the first argument, and accept the shared options after the command's name, too."""

    @click.pass_obj
    @wraps(command)
    def set_up_and_call(session: Session, /, *arguments: Any, **options: Any) -> Any:
        session.set_up()
        return command(session, *arguments, **options)

    for option in _SHARED_OPTIONS:
        set_up_and_call = option(set_up_and_call)
    return set_up_and_call
