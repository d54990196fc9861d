"""Read the times of ``--at`` and ``--until``: ISO 8601, as this program prints times, or a part of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

#: A time of day to the minute, with or without a zone.
_TO_THE_MINUTE = re.compile(r".+[Tt ]\d{2}:?\d{2}(Z|z|[+-].+)?")


def parse_time(text: str) -> datetime:
    """A time with its zone; without one it is UTC. Raises ValueError.

    To the second it means the end of that second: runs start at fractions of one, and a time that was copied from
    ``history`` is to have that run in it.
    """
    found = datetime.fromisoformat(text.strip())
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.microsecond else found.replace(microsecond=999_999)


def parse_past_time(text: str) -> datetime:
    """As ``parse_time``, but to the minute it means the end of that minute, as ``history`` lists runs by the minute."""
    found = parse_time(text)
    return found + timedelta(seconds=59) if _TO_THE_MINUTE.fullmatch(text.strip()) else found


def parse_time_option(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    return _parse_option(parse_time, value)


def _parse_past_time_option(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    return _parse_option(parse_past_time, value)


def _parse_option(read: Callable[[str], datetime], value: str | None) -> datetime | None:
    try:
        return None if value is None else read(value)
    except (ValueError, OverflowError):
        message = f"'{value}' is not a valid time. Examples: 2026-05-01, 2026-05-01T12:00, 2026-05-01T12:00:00Z"
        raise click.BadParameter(message) from None


at_option = click.option(
    "--at",
    callback=_parse_past_time_option,
    metavar="TIME",
    help="As of this time (UTC), such as 2026-05-01 or 2026-05-01T12:00.",
)
