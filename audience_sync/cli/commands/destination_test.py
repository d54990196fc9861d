"""``audience-sync test-destination D --user ID``: send one real call, and show request and response."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from audience_sync.cli.base.completion import complete_destinations
from audience_sync.cli.base.options import parse_user_id
from audience_sync.cli.base.session import Session, with_session

_WRITE_JSON = "write KEY=JSON, texts in quotes: --trait vip=true --trait 'plan=\"gold\"'"

Pair = tuple[str, Any]


def _parse_traits(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[Pair]:
    return [_parse_trait(value) for value in values]


def _parse_trait(text: str) -> Pair:
    key, _, value = text.partition("=")
    try:
        if not key:
            raise ValueError
        return key, json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise click.BadParameter(f"'{text}' is not a trait: {_WRITE_JSON}") from None


def _no_number(name: str) -> None:
    """Refuse NaN and infinity, which are not JSON."""
    raise ValueError(name)


@click.command()
@click.argument("destination", metavar="DESTINATION", shell_complete=complete_destinations)
@click.option("--user", "user_id", required=True, metavar="ID", callback=parse_user_id, help="The user of the call.")
@click.option(
    "--trait",
    "traits",
    multiple=True,
    metavar="KEY=JSON",
    callback=_parse_traits,
    help="A property to send, as often as needed; default: audience_sync_test=true.",
)
@with_session
def test_destination(session: Session, destination: str, user_id: str, traits: list[Pair]) -> int:
    """Send one real call, and show request and response with secrets masked.

    The call really arrives: use an id of your own. Nothing is recorded in the store. Exit code 0: delivered;
    1: refused, or not delivered this time; 3: stopped (a wrong key, no server).
    """
    from audience_sync.cli.views.http_exchange import live_call_lines

    call = session.project.test_destination(destination, user_id, dict(traits))
    title = f"{destination} ({call.type})"
    session.answer(call.to_dict(), lambda screen: live_call_lines(call, title, user_id, screen, is_default=not traits))
    return call.exit_code
