"""Parse the times of ``--at`` and ``--until``: ISO 8601, whole or in part."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

#: A time of day to the minute, with or without a zone.
_TO_THE_MINUTE = re.compile(r".+[Tt ]\d{2}:?\d{2}(Z|z|[+-].+)?")


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
