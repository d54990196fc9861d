"""``audience-sync suppress``, ``unsuppress`` and ``erase``: never send anything to these users."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import common_options
from audience_sync.cli.base.streams import read_utf8
from audience_sync.cli.base.user_id_option import decode_utf8

if TYPE_CHECKING:
    from audience_sync.config.models import StoreSettings
    from audience_sync.store.connection.engine import Store

#: The most characters of ids on stdin.
MOST_CHARACTERS = 100_000_000


@click.command()
@click.argument("users", nargs=-1, required=True, metavar="ID...")
@common_options
@click.pass_context
def suppress(context: click.Context, users: tuple[str, ...]) -> None:
    """Never send anything to these users, not even `false`; `-` reads ids from stdin, one a line.

    They stay members in the store. A run in progress leaves them out, too.
    """
    from audience_sync.store.audiences import suppressions

    ids = _ids(users)
    with _store(context) as (store, _):
        with store.writing() as connection:
            erased = suppressions.erased_among(connection, ids)
            added = suppressions.suppress(connection, [user for user in ids if user not in erased], "command")
        _wait_for_a_run(store)
    already = len(ids) - added
    also = f", {already:,} already {_was_or_were(already)}" if already else ""
    _print_answer(
        context,
        {"suppressed": added, "already": already},
        [f"{_users(added)} suppressed{also}. Nothing is sent to suppressed users, not even `false`."],
    )


@click.command()
@click.argument("users", nargs=-1, required=True, metavar="ID...")
@common_options
@click.pass_context
def unsuppress(context: click.Context, users: tuple[str, ...]) -> None:
    """Send to these users again; the next run sends what they missed, with the newest values.

    Users who were erased can come back, too. Users on a list of the config stay suppressed.
    """
    from audience_sync.store.audiences import suppressions

    ids = _ids(users)
    with _store(context) as (store, _), store.writing() as connection:
        lifted = suppressions.unsuppress(connection, ids, "command") + suppressions.remove_tombstones(connection, ids)
        still = sum(suppressions.is_suppressed(connection, user) for user in ids)
    document = {"unsuppressed": lifted, "still_on_a_list_of_the_config": still}
    lines = [f"{_users(lifted)} no longer suppressed. The next run sends what they missed."]
    if not lifted:
        lines = ["0 users no longer suppressed: none of these ids was suppressed by command, or erased."]
    if still:
        them = "the id" if still == 1 else "the ids"
        lines.append(f"{_users(still)} still on a list under `suppressed` in the config: remove {them} there.")
    _print_answer(context, document, lines)


@click.command()
@click.argument("users", nargs=-1, required=True, metavar="ID...")
@common_options
@click.pass_context
def erase(context: click.Context, users: tuple[str, ...]) -> None:
    """Remove users from the store, history included; `-` reads ids from stdin, one a line.

    Only a hash of each id is kept, so that they are neither loaded nor sent again. Destinations keep what they have:
    the answer names each, and how to delete a user there.
    """
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.views.erasure import destinations_with_data, erased_lines
    from audience_sync.store.maintenance.erase import erase as erase_users

    ids = _ids(users)
    with _store(context) as (store, settings):
        known = erase_users(store, ids, settings.memory_limit)
        with store.reading() as connection:
            left = destinations_with_data(connection)
    if context.obj.as_json:
        destinations = [{"name": each.name, "type": each.type, "deletion": each.deletion} for each in left]
        print_json({"erased": len(ids), "known": known, "destinations": destinations})
    else:
        write(erased_lines(len(ids), known, left, screen()))


def _ids(users: Sequence[str]) -> list[str]:
    """The ids, each once; ``-`` stands for those on stdin."""
    text = _stdin() if "-" in users else ""
    if len(text) > MOST_CHARACTERS:
        raise click.BadParameter(f"more than {MOST_CHARACTERS:,} characters: give the ids in parts", param_hint="-")
    lines = text.splitlines()
    ids = [*(decode_utf8(user) for user in users if user != "-"), *(line for line in lines if line.strip())]
    if not all(user.strip() for user in ids) or not ids:
        raise click.BadParameter("an id is empty", param_hint="ID")
    return list(dict.fromkeys(ids))


def _stdin() -> str:
    read_utf8(sys.stdin)
    try:
        return sys.stdin.read(MOST_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise click.BadParameter("the ids are not text in UTF-8. Nothing was changed", param_hint="-") from None


@contextmanager
def _store(context: click.Context) -> Iterator[tuple[Store, StoreSettings]]:
    from audience_sync.cli.wiring.dependencies import options_of, settings_of_written_store
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate

    settings = settings_of_written_store(options_of(context))
    store = Store(settings.store)
    try:
        migrate.ensure(store, upgrade_allowed=False)
        yield store, settings
    finally:
        store.close()


def _wait_for_a_run(store: Store) -> None:
    """Wait until a run in progress has read the new list, which it does every ``FRESH`` seconds."""
    import time

    from audience_sync.delivery.send.withheld import CACHE_SECONDS
    from audience_sync.store.connection.lease import is_run_in_progress

    with store.reading() as connection:
        held = is_run_in_progress(connection)
    if held:
        time.sleep(2 * CACHE_SECONDS)


def _users(count: int) -> str:
    from audience_sync.text import pluralize

    return pluralize(count, "user")


def _was_or_were(count: int) -> str:
    return "was" if count == 1 else "were"


def _print_answer(context: click.Context, document: dict[str, int], sentences: Sequence[str]) -> None:
    from audience_sync.cli.base.layout import prose
    from audience_sync.cli.base.output import print_json, screen, write

    if context.obj.as_json:
        print_json(document)
    else:
        where = screen()
        write([text for each in sentences for text in prose(each, where)])
