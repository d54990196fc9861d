"""``audience-sync test-destination D --user ID``: send one real call, and show request and response."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from audience_sync.cli.base.options import common_options
from audience_sync.cli.base.user_id_option import validate_user_id

if TYPE_CHECKING:
    from audience_sync.cli.base.layout import Screen
    from audience_sync.cli.wiring.live_call import LiveCall
    from audience_sync.config.models import Settings
    from audience_sync.destinations.base import Audiencing, Destination
    from audience_sync.model import IdentifyCall

DEFAULT_TRAIT = ("audience_sync_test", True)
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
@click.argument("destination", metavar="DESTINATION")
@click.option("--user", "user_id", required=True, metavar="ID", callback=validate_user_id, help="The user of the call.")
@click.option(
    "--trait",
    "traits",
    multiple=True,
    metavar="KEY=JSON",
    callback=_parse_traits,
    help="A property to send, as often as needed; default: audience_sync_test=true.",
)
@common_options
@click.pass_context
def test_destination(context: click.Context, destination: str, user_id: str, traits: list[Pair]) -> int:
    """Send one real call, and show request and response with secrets masked.

    The call really arrives: use an id of your own. Nothing is recorded in the store. Exit code 0: delivered;
    1: refused, or not delivered this time; 3: stopped (a wrong key, no server).
    """
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, read_settings
    from audience_sync.cli.wiring.live_call import send_live_call

    options = options_of(context)
    settings = read_settings(options)
    target = _destination(destination, settings)
    _refuse_suppressed(settings.store, user_id)
    sent_traits = dict(traits or [DEFAULT_TRAIT])
    call = send_live_call(target, _call(user_id, sent_traits), settings.secrets, name=destination)
    if options.as_json:
        about = {"destination": destination, "type": target.options.type, "user_id": user_id, "traits": sent_traits}
        print_json({**about, **call.as_json()})
    else:
        title = f"{destination} ({target.options.type})"
        write(_result_lines(call, title, user_id, screen(), is_default=not traits))
    return call.exit_code


def _destination(name: str, settings: Settings) -> Destination:
    from audience_sync.destinations.registry import destination_types
    from audience_sync.text import unknown_name_message

    options = settings.destinations.get(name)
    if options is None:
        raise click.BadParameter(
            unknown_name_message("destination", name, settings.destinations), param_hint="DESTINATION"
        )
    return destination_types()[options.type](options, _destination_context(settings))


def _destination_context(settings: Settings) -> Audiencing:
    from audience_sync.destinations.base import Audiencing

    audiences = frozenset(audience.property_key or "" for audience in settings.audiences)
    traits = frozenset(key for entry in settings.computed_traits for key in entry.columns)
    return Audiencing(_installation_id(settings.store), audiences, traits, settings.secrets)


def _installation_id(url: str) -> str:
    """The installation's id that runs use; a fixed text if the store does not exist or is down."""
    from sqlalchemy import select

    from audience_sync.errors import StoreError
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate
    from audience_sync.store.tables import installation

    try:
        store = Store(url)
        try:
            if migrate.current(store) is None:
                return "test-destination"
            with store.reading() as connection:
                return str(connection.execute(select(installation.c.uuid)).scalar_one())
        finally:
            store.close()
    except StoreError:
        return "test-destination"


def _refuse_suppressed(url: str, user_id: str) -> None:
    """Raise click.BadParameter for a suppressed user, and StoreError if the store can't be read."""
    from audience_sync.store.audiences.suppressions import is_suppressed
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate

    store = Store(url)
    try:
        if migrate.current(store) is None:
            return
        migrate.require_current_schema(store)
        with store.reading() as connection:
            suppressed = is_suppressed(connection, user_id)
    finally:
        store.close()
    if suppressed:
        raise click.BadParameter("the user is suppressed, or erased: nothing was sent", param_hint="--user")


def _call(user_id: str, traits: dict[str, Any]) -> IdentifyCall:
    """A call with a new message id: receivers drop repeated ones."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from audience_sync.model import IdentifyCall, UserId
    from audience_sync.text import iso_time

    now = iso_time(datetime.now(UTC))
    traits_json = json.dumps(traits, ensure_ascii=False, separators=(",", ":"))
    return IdentifyCall(UserId(user_id), traits_json, uuid4().hex, now)


def _result_lines(call: LiveCall, destination: str, user_id: str, screen: Screen, *, is_default: bool) -> list[str]:
    """Lay out the outcome, the request and its response."""
    from audience_sync.cli.base.layout import prose
    from audience_sync.cli.base.user_id_option import display_id
    from audience_sync.cli.views.attention import joined
    from audience_sync.destinations.base import Meaning

    outcome = (f"{call.verdict}.", f"One real call to {destination}, for user {display_id(user_id)}.")
    first = [text for each in outcome for text in prose(each, screen)]
    if is_default:
        first += prose("It sends the trait audience_sync_test: true. For others: --trait KEY=JSON", screen)
    look = []
    if call.judgement.meaning is Meaning.DELIVERED and call.response is not None:
        look = prose("Now look for the user there: some services accept calls with a wrong key, and drop them.", screen)
    return joined([first, _request_lines(call), _response_lines(call, screen), look])


def _request_lines(call: LiveCall) -> list[str]:
    """Lay out the request unwrapped, so that it can be compared and pasted."""
    if call.request is None:
        return []
    start = [f"  {call.request.method} {call.request.url}"] if call.request.method else []
    headers = [f"  {name}: {value}" for name, value in (call.request.headers or {}).items()]
    body = [f"  {text}" for text in call.request.body.splitlines()]
    return ["Request:" if call.request.method else "Written:", *start, *headers, *([""] if headers else []), *body]


def _response_lines(call: LiveCall, screen: Screen) -> list[str]:
    from audience_sync.cli.base.layout import prose

    if call.response is None:
        return []
    body = call.response.body or "(no body)"
    lines = [text for part in body.splitlines() for text in prose(part, screen, indent="  ")]
    return [f"Response after {call.seconds:.2f} s:", f"  HTTP {call.response.status}", *lines]
