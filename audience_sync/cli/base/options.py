"""Which options does every subcommand take, before or after its name?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    config: str = "config.yaml"
    environment: str | None = None
    as_json: bool = False
    verbose: bool = False
    quiet: bool = False


#: The largest number that a run, or a count of runs or calls, may have.
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
            raise click.BadParameter(f"'{value}' is no OLD=NEW: two different keys, each named once")
        moves[old] = new
    return moves


class _RunNumber(click.types.IntParamType):
    """The number of a run; one that no store can have is unknown like any other."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        number: int = super().convert(value, param, ctx)
        if number > LARGEST_NUMBER:
            raise click.UsageError(f"there is no run {number}. The last ones: audience-sync history", ctx)
        return number


RUN = _RunNumber()


def _override(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """An option given after the subcommand's name is the same as one given before it."""
    if value:
        context.obj = replace(context.obj, **{str(parameter.name): value})


def quiet_option(command: Command) -> Command:
    """``--quiet``: of commands that make runs."""
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
    """``--config``, ``--env``, ``--json`` and ``-v`` after the subcommand's name, too."""
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
    """The value of an option that people write as a short text. Raises click.BadParameter."""
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
