"""Define the options and arguments that several commands share, and parse their values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from audience_sync.cli.base.completion import complete_held_keys, complete_held_runs, complete_keys, complete_runs

T = TypeVar("T")
#: The largest run number, and the largest number of runs or calls in an option.
LARGEST_NUMBER = 2**31 - 1
#: The most characters of a reason.
LONGEST_REASON = 10_000
#: A time of day to the minute, with or without a zone.
_TO_THE_MINUTE = re.compile(r".+[Tt ]\d{2}:?\d{2}(Z|z|[+-].+)?")


class _RunNumber(click.types.IntParamType):
    """A run number. A number above the largest one is reported as an unknown run."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        number: int = super().convert(value, param, ctx)
        if number > LARGEST_NUMBER:
            raise click.UsageError(f"there is no run {number}. The last ones: audience-sync history", ctx)
        return number


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


def parse_time(text: str) -> datetime:
    """Parse a time; without a zone it is UTC. Raises ValueError.

    A time to the second means the end of that second. Runs start at fractions of a second, so a time copied from
    ``history`` includes that run.
    """
    found = datetime.fromisoformat(text.strip())
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.microsecond else found.replace(microsecond=999_999)


def parse_past_time(text: str) -> datetime:
    """Parse like ``parse_time``; a time to the minute means its end, since ``history`` lists runs by the minute."""
    found = parse_time(text)
    return found + timedelta(seconds=59) if _TO_THE_MINUTE.fullmatch(text.strip()) else found


def time_option(name: str, parse: Callable[[str], datetime], description: str) -> Callable[..., Any]:
    """An option whose value is a time: ISO 8601, whole or in part."""

    def parsed(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
        try:
            return None if value is None else parse(value)
        except (ValueError, OverflowError):
            message = f"'{value}' is not a valid time. Examples: 2026-05-01, 2026-05-01T12:00, 2026-05-01T12:00:00Z"
            raise click.BadParameter(message) from None

    return click.option(name, callback=parsed, metavar="TIME", help=description)


def validate_user_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an empty id. A callback of click."""
    value = decode_utf8(value)
    if not value:
        raise click.BadParameter("the id is empty")
    return value


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
run_argument = click.argument("run", type=_RunNumber(), shell_complete=complete_runs)
held_run_argument = click.argument("run", type=_RunNumber(), shell_complete=complete_held_runs)
users_argument = click.argument("users", nargs=-1, required=True, metavar="ID...")
at_option = time_option("--at", parse_past_time, "As of this time (UTC), such as 2026-05-01 or 2026-05-01T12:00.")
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
