"""``audience-sync freeze`` and ``unfreeze``: skip an audience until a person or the clock ends that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import common_options
from audience_sync.cli.base.time_option import parse_time_option

if TYPE_CHECKING:
    from sqlalchemy import Connection


@click.command()
@click.argument("key")
@click.option(
    "--until", callback=parse_time_option, metavar="TIME", help="End by itself then (UTC), such as 2026-05-01T12:00."
)
@click.option("--reason", metavar="TEXT", help="Why; shown wherever the freeze is.")
@common_options
@click.pass_context
def freeze(context: click.Context, key: str, until: datetime | None, reason: str | None) -> None:
    """Skip an audience until it is unfrozen: no run loads it, and nothing new of it is sent.

    Calls that are already pending are still sent. Frozen again, the new time and reason count.
    """
    from audience_sync.cli.base.layout import INDENT, command, labelled, prose
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import store_to_write
    from audience_sync.store.audiences.freezes import Freeze
    from audience_sync.store.audiences.freezes import freeze as begin
    from audience_sync.store.connection.lease import is_run_in_progress

    now = datetime.now(UTC)
    if until is not None and until <= now:
        message = f"{until:%Y-%m-%d %H:%M:%S} UTC is in the past (now: {now:%Y-%m-%d %H:%M:%S} UTC)"
        raise click.BadParameter(message, param_hint="--until")
    new = Freeze(key, now, until, reason)
    with store_to_write(context) as store, store.writing() as connection:
        begin(connection, _audience_id(connection, key), new, _user_and_host())
        is_running = is_run_in_progress(connection)
    if context.obj.as_json:
        print_json({"key": key, "frozen": True, "frozen_at": now, "frozen_until": until, "reason": reason})
        return
    where = screen()
    ends = f"{until:%Y-%m-%d %H:%M:%S} UTC" if until else "when it is unfrozen"
    lines = [
        *prose(f"Frozen: {key}. Runs skip it. Calls that are already pending are still sent.", where),
        *labelled([("Since", f"{now:%Y-%m-%d %H:%M:%S} UTC"), ("Ends", ends), ("Reason", reason or "")], where),
    ]
    if is_running:
        running = "A run is in progress and may still change it. The next run skips it:"
        lines += [*prose(running, where), command("audience-sync history", indent=INDENT)]
    write([*lines, "", *prose("To sync it again:", where), command(f"audience-sync unfreeze {key}")])


@click.command()
@click.argument("key")
@common_options
@click.pass_context
def unfreeze(context: click.Context, key: str) -> None:
    """Sync a frozen audience again: the next run loads it, and its guard checks what has changed meanwhile."""
    from audience_sync.cli.base.layout import prose
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import store_to_write
    from audience_sync.store.audiences.freezes import unfreeze as end

    with store_to_write(context) as store, store.writing() as connection:
        was_frozen = end(connection, _audience_id(connection, key)[key], datetime.now(UTC), _user_and_host())
    if context.obj.as_json:
        print_json({"key": key, "frozen": False, "was_frozen": was_frozen})
    elif was_frozen:
        write(prose(f"{key} is no longer frozen. The next run loads it and sends what has changed.", screen()))
    else:
        write(prose(f"{key} was not frozen. Nothing was changed.", screen()))


def _audience_id(connection: Connection, key: str) -> Mapping[str, int]:
    """The audience's id as ``{key: id}``. Raises UnknownNameError and RetiredError."""
    from audience_sync.errors import RetiredError, UnknownNameError
    from audience_sync.model import PropertyKind
    from audience_sync.store.audiences.properties import read_properties
    from audience_sync.sync.guard.messages import retired
    from audience_sync.text import not_found_message

    known = read_properties(connection)
    if key in known and known[key].retired:
        raise RetiredError(retired(key))
    live = [each for each in known.values() if not each.retired]
    audiences = {each.key: each.id for each in live if each.kind is PropertyKind.AUDIENCE}
    if key not in audiences:
        remedy = "Before its first run an audience can wait instead: `initial: manual`."
        raise UnknownNameError(
            f"{not_found_message('audience', [key], audiences)} Nothing was changed or sent.\n  {remedy}"
        )
    return {key: audiences[key]}


def _user_and_host() -> str:
    """Who froze the audience: user and host."""
    import getpass
    import socket

    try:
        return f"{getpass.getuser()} on {socket.gethostname()}"
    except (OSError, KeyError):  # a user without a name
        return socket.gethostname()
