"""Hold the options that all commands share; read the config and open the store that they name; print the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from audience_sync.cli.base.completion import GIVEN, complete_config_files, complete_environments
from audience_sync.cli.base.layout import Screen
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.command_line import give_options
from audience_sync.errors import WrongValueError

if TYPE_CHECKING:
    from audience_sync.project.project import Project

Command = Callable[..., Any]
DEFAULT_CONFIG = "config.yaml"


class Session(Struct, frozen=True, kw_only=True, dict=True):
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

    @cached_property
    def project(self) -> Project:
        """The project; nothing of it is loaded yet."""
        from audience_sync.cli.base.errors import add_secrets
        from audience_sync.cli.base.process import freeze_imports
        from audience_sync.project.project import Project

        freeze_imports()
        return Project(self.config, env=self.environment, report_secrets=add_secrets)

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


def _hint(argument: str) -> str:
    """The name by which a command knows an argument of the project's method."""
    context = click.get_current_context()
    for each in context.command.params:
        if each.name == argument:
            return each.opts[0] if isinstance(each, click.Option) else each.human_readable_name
    return argument


def with_session(command: Command) -> Command:
    """Pass the session as the first argument, and accept the shared options after the command's name, too."""

    @click.pass_obj
    @wraps(command)
    def set_up_and_call(session: Session, /, *arguments: Any, **options: Any) -> Any:
        session.set_up()
        try:
            return command(session, *arguments, **options)
        except WrongValueError as error:
            raise click.BadParameter(str(error), param_hint=_hint(error.argument)) from None

    for option in _SHARED_OPTIONS:
        set_up_and_call = option(set_up_and_call)
    return set_up_and_call
