"""``audience-sync test-destination D --user ID``: does a call get through? One real one, with all that was said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from audience_sync.cli.options import common
from audience_sync.cli.users import usable_id

if TYPE_CHECKING:
    from audience_sync.cli.trial import Trial
    from audience_sync.config.models import Settings
    from audience_sync.destinations.base import Audiencing, Destination
    from audience_sync.model import IdentifyCall

DEFAULT_TRAIT = ("audience_sync_test", True)
_WRITE_JSON = "write KEY=JSON, texts in quotes: --trait vip=true --trait 'plan=\"gold\"'"

Pair = tuple[str, Any]


def _pair(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[Pair]:
    return [_trait(value) for value in values]


def _trait(text: str) -> Pair:
    key, _, value = text.partition("=")
    try:
        if not key:
            raise ValueError
        return key, json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise click.BadParameter(f"'{text}' is no trait: {_WRITE_JSON}") from None


def _no_number(name: str) -> None:
    """NaN and infinity are no JSON."""
    raise ValueError(name)


@click.command()
@click.argument("destination", metavar="DESTINATION")
@click.option("--user", "user_id", required=True, metavar="ID", callback=usable_id, help="The user that is told.")
@click.option(
    "--trait",
    "traits",
    multiple=True,
    metavar="KEY=JSON",
    callback=_pair,
    help="What is told of the user, as often as needed; default: audience_sync_test=true.",
)
@common
@click.pass_context
def test_destination(context: click.Context, destination: str, user_id: str, traits: list[Pair]) -> int:
    """Send one real call, and show request and response with secrets masked.

    The call really arrives: take a user that is yours. Nothing is recorded in the store. Exit code 0: delivered;
    1: refused, or not delivered this time; 3: stopped (a wrong key, nobody there).
    """
    from audience_sync.cli.compose import options_of, read_settings
    from audience_sync.cli.output import print_json
    from audience_sync.cli.trial import try_out

    options = options_of(context)
    settings = read_settings(options)
    tried = _destination(destination, settings)
    _refuse_suppressed(settings.store, user_id)
    told = dict(traits or [DEFAULT_TRAIT])
    trial = try_out(tried, _call(user_id, told), settings.secrets, name=destination)
    if options.as_json:
        about = {"destination": destination, "type": tried.options.type, "user_id": user_id, "traits": told}
        print_json({**about, **trial.as_json()})
    else:
        _print(trial, f"{destination} ({tried.options.type})", user_id, is_default=not traits)
    return trial.exit_code


def _destination(name: str, settings: Settings) -> Destination:
    from audience_sync.config.suggest import unknown
    from audience_sync.destinations.registry import destination_types

    options = settings.destinations.get(name)
    if options is None:
        raise click.BadParameter(unknown("destination", name, settings.destinations), param_hint="DESTINATION")
    return destination_types()[options.type](options, _about(settings))


def _about(settings: Settings) -> Audiencing:
    from audience_sync.destinations.base import Audiencing

    audiences = frozenset(audience.property_key or "" for audience in settings.audiences)
    traits = frozenset(key for entry in settings.computed_traits for key in entry.columns)
    return Audiencing(_installation(settings.store), audiences, traits, settings.secrets)


def _installation(url: str) -> str:
    """This installation's id, as runs use it; without a store, or while it is down, a passing one."""
    from sqlalchemy import select

    from audience_sync.errors import StoreError
    from audience_sync.store import migrate
    from audience_sync.store.engine import Store
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
    """Not even a trial goes to a suppressed user; while the store can't say who is, none goes to anyone."""
    from audience_sync.store import migrate
    from audience_sync.store.engine import Store
    from audience_sync.store.suppressions import is_suppressed

    store = Store(url)
    try:
        if migrate.current(store) is None:
            return
        migrate.refuse_other(store)
        with store.reading() as connection:
            suppressed = is_suppressed(connection, user_id)
    finally:
        store.close()
    if suppressed:
        raise click.BadParameter("the user is suppressed, or erased: nothing was sent", param_hint="--user")


def _call(user_id: str, traits: dict[str, Any]) -> IdentifyCall:
    """A call that no receiver has seen: a repeat of its message id would be dropped."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from audience_sync.model import IdentifyCall

    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    traits_json = json.dumps(traits, ensure_ascii=False, separators=(",", ":"))
    return IdentifyCall(user_id, traits_json, uuid4().hex, now)


def _print(trial: Trial, destination: str, user_id: str, *, is_default: bool) -> None:
    from audience_sync.cli.output import line
    from audience_sync.destinations.base import Meaning

    line(f"One real call to {destination}, about user {user_id}.")
    if is_default:
        line("It tells the trait audience_sync_test: true; tell others with --trait KEY=JSON.")
    _print_request(trial)
    _print_response(trial)
    line(f"\n{trial.verdict}")
    if trial.judgement.meaning is Meaning.DELIVERED and trial.response is not None:
        line("Now look for the user there: some services take calls with a wrong key, and drop them.")


def _print_request(trial: Trial) -> None:
    from audience_sync.cli.output import line

    if trial.request is None:
        return
    line("\nRequest" if trial.request.method else "\nWritten")
    if trial.request.method:
        line(f"{trial.request.method} {trial.request.url}")
    for name, value in (trial.request.headers or {}).items():
        line(f"{name}: {value}")
    line(f"\n{trial.request.body}")


def _print_response(trial: Trial) -> None:
    from audience_sync.cli.output import line

    if trial.response is not None:
        line(f"\nResponse after {trial.seconds:.2f} s\nHTTP {trial.response.status}")
        line(trial.response.body or "(no body)")
