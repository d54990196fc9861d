"""``audience-sync suppress``, ``unsuppress`` and ``erase``: never send anything to these users."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from audience_sync.cli.base.layout import Screen, prose
from audience_sync.cli.base.options import decode_utf8, reason_option, users_argument
from audience_sync.cli.base.process import read_utf8
from audience_sync.cli.base.session import Session, with_session
from audience_sync.text import form, pluralize

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
    found = session.project.suppress(_ids(users), reason=reason)
    added, already = found.suppressed, found.already
    also = f", {already:,} already {form(already, 'was')}" if already else ""
    text = f"{pluralize(added, 'user')} suppressed{also}. Nothing is sent to suppressed users, not even `false`."
    session.answer(found.to_dict(), lambda screen: prose(text, screen))


@click.command()
@users_argument
@reason_option
@with_session
def unsuppress(session: Session, users: tuple[str, ...], reason: str | None) -> None:
    """Send to these users again; the next run sends what they missed, with the newest values.

    Users who were erased can come back, too. Users on a list of the config stay suppressed.
    """
    found = session.project.unsuppress(_ids(users), reason=reason)
    lifted, still = found.unsuppressed, found.still_listed
    done = f"{pluralize(lifted, 'user')} no longer suppressed. The next run sends what they missed."
    if not lifted:
        done = "0 users no longer suppressed: none of these ids was suppressed by command, or erased."
    listed = f"still on a list under `suppressed` in the config: remove the {form(still, 'id')} there."

    def lines(screen: Screen) -> list[str]:
        return [*prose(done, screen), *(prose(f"{pluralize(still, 'user')} {listed}", screen) if still else [])]

    session.answer(found.to_dict(), lines)


@click.command()
@users_argument
@reason_option
@with_session
def erase(session: Session, users: tuple[str, ...], reason: str | None) -> None:
    """Remove users from the store, history included; `-` reads ids from stdin, one a line.

    Only a hash of each id is kept, so that they are neither loaded nor sent again. Destinations keep what they have:
    the answer names each, and how to delete a user there.
    """
    from audience_sync.cli.views.erasure import erased_lines

    found = session.project.erase(_ids(users), reason=reason)
    session.answer(found.to_dict(), lambda screen: erased_lines(found, screen))


def _ids(users: Sequence[str]) -> list[str]:
    """The ids; ``-`` stands for those on stdin."""
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
    return [*(decode_utf8(user) for user in users if user != "-"), *(line for line in lines if line.strip())]
