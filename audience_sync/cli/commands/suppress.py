"""``audience-sync suppress``, ``unsuppress`` and ``erase``: never send anything to these users."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.layout import Screen, prose
from audience_sync.cli.base.options import decode_utf8, reason_option, users_argument
from audience_sync.cli.base.process import read_utf8
from audience_sync.cli.base.session import Session, with_session
from audience_sync.text import form, pluralize

if TYPE_CHECKING:
    from audience_sync.store.connection.engine import Store

#: The most characters of ids on stdin.
MOST_CHARACTERS = 100_000_000


@click.command()
@users_argument
@reason_option
@with_session
def suppress(session: Session, users: tuple[str, ...], reason: str | None) -> None:
    """Never send anything to these users, not even `false`; `-` reads ids from stdin, one a line.

    They stay members in the store. A run in progress leaves them out, too.
    """
    from audience_sync.store.audiences import suppressions
    from audience_sync.store.runs.decisions import Decision, forget_users, record_decision

    ids = _ids(users)
    with session.writing() as (store, settings):
        with store.writing() as connection:
            erased = suppressions.erased_among(connection, ids)
            added = suppressions.suppress(connection, [user for user in ids if user not in erased], "command")
            if added:
                forget_users(connection, ids)
                decision = Decision("suppress", pluralize(added, "user"), reason)
                record_decision(connection, decision, settings.secrets, ids)
        _wait_for_a_run(store)
    already = len(ids) - added
    also = f", {already:,} already {form(already, 'was')}" if already else ""
    text = f"{pluralize(added, 'user')} suppressed{also}. Nothing is sent to suppressed users, not even `false`."
    session.answer({"suppressed": added, "already": already}, lambda screen: prose(text, screen))


@click.command()
@users_argument
@reason_option
@with_session
def unsuppress(session: Session, users: tuple[str, ...], reason: str | None) -> None:
    """Send to these users again; the next run sends what they missed, with the newest values.

    Users who were erased can come back, too. Users on a list of the config stay suppressed.
    """
    from audience_sync.store.audiences import suppressions
    from audience_sync.store.runs.decisions import Decision, record_decision

    ids = _ids(users)
    with session.writing() as (store, settings), store.writing() as connection:
        lifted = suppressions.unsuppress(connection, ids, "command") + suppressions.remove_tombstones(connection, ids)
        if lifted:
            decision = Decision("unsuppress", pluralize(lifted, "user"), reason)
            record_decision(connection, decision, settings.secrets, ids)
        still = sum(suppressions.is_suppressed(connection, user) for user in ids)
    done = f"{pluralize(lifted, 'user')} no longer suppressed. The next run sends what they missed."
    if not lifted:
        done = "0 users no longer suppressed: none of these ids was suppressed by command, or erased."
    listed = f"still on a list under `suppressed` in the config: remove the {form(still, 'id')} there."

    def lines(screen: Screen) -> list[str]:
        return [*prose(done, screen), *(prose(f"{pluralize(still, 'user')} {listed}", screen) if still else [])]

    session.answer({"unsuppressed": lifted, "still_on_a_list_of_the_config": still}, lines)


@click.command()
@users_argument
@reason_option
@with_session
def erase(session: Session, users: tuple[str, ...], reason: str | None) -> None:
    """Remove users from the store, history included; `-` reads ids from stdin, one a line.

    Only a hash of each id is kept, so that they are neither loaded nor sent again. Destinations keep what they have:
    the answer names each, and how to delete a user there.
    """
    from audience_sync.cli.views.erasure import destinations_with_data, erased_lines
    from audience_sync.store.audiences.source_states import read_sources
    from audience_sync.store.maintenance.erase import erase as erase_users
    from audience_sync.store.maintenance.state import stored_folders
    from audience_sync.store.runs.decisions import stored_reason

    ids = _ids(users)
    with session.writing() as (store, settings):
        with store.reading() as connection:
            warehouses = read_sources(connection)  # erasing forgets them
        stored = erase_users(store, ids, settings.memory_limit, reason=stored_reason(reason, settings.secrets))
        with store.reading() as connection:
            left, folders = destinations_with_data(connection), stored_folders(connection)
    answer = {"erased": len(ids), "known": stored, "destinations": [each._asdict() for each in left]}
    session.answer(
        {**answer, "state": folders, "warehouses": warehouses},
        lambda screen: erased_lines(len(ids), stored, left, folders, warehouses, screen=screen),
    )


def _ids(users: Sequence[str]) -> list[str]:
    """The ids, each once; ``-`` stands for those on stdin."""
    text = ""
    if "-" in users:
        read_utf8(sys.stdin)
        try:
            text = sys.stdin.read(MOST_CHARACTERS + 1)
        except UnicodeDecodeError:
            raise click.BadParameter("the ids are not text in UTF-8. Nothing was changed", param_hint="-") from None
    if len(text) > MOST_CHARACTERS:
        raise click.BadParameter(f"more than {MOST_CHARACTERS:,} characters: give the ids in parts", param_hint="-")
    lines = text.splitlines()
    ids = [*(decode_utf8(user) for user in users if user != "-"), *(line for line in lines if line.strip())]
    if not all(user.strip() for user in ids) or not ids:
        raise click.BadParameter("an id is empty", param_hint="ID")
    return list(dict.fromkeys(ids))


def _wait_for_a_run(store: Store) -> None:
    """Wait until a run in progress has read the new list, which it does every ``CACHE_SECONDS``."""
    import time

    from audience_sync.delivery.send.withheld import CACHE_SECONDS
    from audience_sync.store.connection.lease import is_run_in_progress

    with store.reading() as connection:
        is_running = is_run_in_progress(connection)
    if is_running:
        time.sleep(2 * CACHE_SECONDS)
