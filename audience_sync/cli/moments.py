"""Which moment does ``--at`` mean? ISO 8601, as this program prints times, or a part of it."""

from __future__ import annotations

from datetime import UTC, datetime

import click


def moment(text: str) -> datetime:
    """A time with its zone; without one it is UTC. Raises ValueError.

    To the second it means the end of that second: runs start at fractions of one, and a time that was copied from
    ``history`` is to have that run in it.
    """
    found = datetime.fromisoformat(text.strip())
    found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.microsecond else found.replace(microsecond=999_999)


def moment_of(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else moment(value)
    except (ValueError, OverflowError):
        words = f"'{value}' is no time: write 2026-05-01, 2026-05-01T12:00 or 2026-05-01T12:00:00Z"
        raise click.BadParameter(words) from None


at_option = click.option(
    "--at",
    callback=moment_of,
    metavar="TIME",
    help="As of this time (UTC), such as 2026-05-01 or 2026-05-01T12:00:00Z.",
)
