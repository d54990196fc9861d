"""Define the options and arguments that several commands share, and parse their values."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from audience_sync.cli.base.completion import complete_held_keys, complete_held_runs, complete_keys, complete_runs

T = TypeVar("T")
#: The most characters of a reason.
LONGEST_REASON = 10_000


def _parse_moves(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    moves = dict[str, str]()
    for value in values:
        old, equals, new = value.partition("=")
        if not (old and equals and new) or old == new or old in moves or new in moves.values():
            raise click.BadParameter(f"'{value}' is not OLD=NEW with two different keys, each named once")
        moves[old] = new
    return moves


def parse_option(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    """Parse the text of an option. Raises click.BadParameter if ``parse`` raises ValueError."""
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def parse_user_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Decode an id. A callback of click."""
    return decode_utf8(value)


def _parse_reason(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Parse a reason: text of several lines, without other control characters. A callback of click."""
    if value is None:
        return None
    lines = decode_utf8(value, "the reason").splitlines()
    text = "\n".join("".join(sign for sign in line if sign.isprintable() or sign == "\t") for line in lines).strip()
    if not text:
        raise click.BadParameter("the reason is empty. Nothing was changed. Write why, or leave the option out")
    if len(text) > LONGEST_REASON:
        message = f"the reason has {len(text):,} characters, and at most {LONGEST_REASON:,} are stored"
        raise click.BadParameter(f"{message}. Nothing was changed. Shorten it, or write where to read more")
    return text


def decode_utf8(argument: str, what: str = "the id") -> str:
    """Decode an argument as UTF-8 under every locale. Raises click.BadParameter if it is not UTF-8."""
    has_bytes = any("\udc80" <= sign <= "\udcff" for sign in argument)  # which Python could not decode
    try:
        return os.fsencode(argument).decode() if has_bytes else argument
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise click.BadParameter(f"{what} is not text in UTF-8") from None


keys_argument = click.argument("keys", nargs=-1, metavar="[KEY]...", shell_complete=complete_keys)
held_keys_argument = click.argument("keys", nargs=-1, metavar="[KEY]...", shell_complete=complete_held_keys)
run_argument = click.argument("run", type=int, shell_complete=complete_runs)
held_run_argument = click.argument("run", type=int, shell_complete=complete_held_runs)
users_argument = click.argument("users", nargs=-1, required=True, metavar="ID...")
at_option = click.option("--at", metavar="TIME", help="As of this time (UTC), such as 2026-05-01 or 2026-05-01T12:00.")
yes_option = click.option("--yes", is_flag=True, help="Don't ask.")
reason_option = click.option("--reason", metavar="TEXT", callback=_parse_reason, help="Why; recorded with who did it.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be sent, and end.")
upgrade_option = click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
move_key_option = click.option(
    "--move-key",
    "moves",
    multiple=True,
    metavar="OLD=NEW",
    callback=_parse_moves,
    help="Give this audience another key: sends OLD false and closes it for good, NEW true, in one call a user.",
)
accept_clock_option = click.option(
    "--accept-clock",
    is_flag=True,
    help="The clock is right, though it is more than a week from the newest run.",
)
