"""Define the options that all or several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    config: str = "config.yaml"
    environment: str | None = None
    as_json: bool = False
    verbose: bool = False
    quiet: bool = False


#: The largest run number, and the largest number of runs or calls in an option.
LARGEST_NUMBER = 2**31 - 1

#: ``plan`` and ``sync``: an audience gets another key.
move_key_option = click.option(
    "--move-key",
    "moves",
    multiple=True,
    metavar="OLD=NEW",
    callback=lambda context, parameter, values: _parse_moves(values),
    help="Give this audience another key: sends OLD false and closes it for good, NEW true, in one call a user.",
)
#: ``plan`` and ``sync``: a person confirms the clock.
accept_clock_option = click.option(
    "--accept-clock",
    is_flag=True,
    help="The clock is right, though it is more than a week from the newest run.",
)


def _parse_moves(values: Sequence[str]) -> dict[str, str]:
    moves = dict[str, str]()
    for value in values:
        old, equals, new = value.partition("=")
        if not (old and equals and new) or old == new or old in moves or new in moves.values():
            raise click.BadParameter(f"'{value}' is not OLD=NEW with two different keys, each named once")
        moves[old] = new
    return moves


class _RunNumber(click.types.IntParamType):
    """A run number. A number above the largest one is reported as an unknown run."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        number: int = super().convert(value, param, ctx)
        if number > LARGEST_NUMBER:
            raise click.UsageError(f"there is no run {number}. The last ones: audience-sync history", ctx)
        return number


RUN = _RunNumber()


def _override(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Apply an option that was given after the command's name."""
    if value:
        context.obj = replace(context.obj, **{str(parameter.name): value})


def quiet_option(command: Command) -> Command:
    """Add ``--quiet``, for commands that make runs."""
    return click.option(
        "-q",
        "--quiet",
        "quiet",
        is_flag=True,
        expose_value=False,
        callback=_override,
        help="No output if all is well; what needs a person is on stderr.",
    )(command)


def common_options(command: Command) -> Command:
    """Add ``--config``, ``--env``, ``--json`` and ``-v`` after the command's name, too."""
    names: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("-v", "--verbose", "verbose"), {"is_flag": True, "help": "Log more on stderr."}),
        (("--json", "as_json"), {"is_flag": True, "help": "Answer with one JSON document."}),
        (("--env", "environment"), {"metavar": "NAME", "help": "Use this part of the config's `environments`."}),
        (("--config", "config"), {"metavar": "FILE", "help": "The config file."}),
    ]
    for declaration, settings in names:
        option = click.option(*declaration, expose_value=False, callback=_override, **settings)
        command = option(command)
    return command


def parse_option(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    """Parse the text of an option. Raises click.BadParameter if ``parse`` raises ValueError."""
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
