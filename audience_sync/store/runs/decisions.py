"""Keep decisions: the commands of people that changed something, with who gave them, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from audience_sync.redaction.secrets import mask_secrets
from audience_sync.store.connection.process_identity import current_host, current_user
from audience_sync.store.tables import audience_freezes, decision_log
from audience_sync.text import storable

#: Stands in a reason for a user who is suppressed or erased.
A_USER = "[user]"


class Decision(Struct, frozen=True):
    """A command that changes something.

    ``subject``: keys, a run or a destination; of users only how many; None is everything. ``run``: the run that carries
    it out. ``reason``: why, in the person's words.
    """

    command: str
    subject: str | None = None
    reason: str | None = None
    run: int | None = None


def record_decision(
    connection: Connection, decision: Decision, secrets: Sequence[str], users: Collection[str] = ()
) -> None:
    """Write a decision, in the transaction of the change. It happens now, by this process's user.

    ``secrets`` are masked in the reason. ``users``: those whom the reason must not name.
    """
    row = {
        "decided_at": datetime.now(UTC),
        "command": decision.command,
        "subject": decision.subject and storable(decision.subject),
        "run_id": decision.run,
        "decided_by": current_user(),
        "host": current_host(),
        "reason": stored_reason(decision.reason, secrets, users),
    }
    connection.execute(insert(decision_log).values(row))


def stored_reason(reason: str | None, secrets: Sequence[str], users: Collection[str] = ()) -> str | None:
    """The reason as it may be stored: without secrets, and without these users."""
    if not reason:
        return None
    return without_users(storable(mask_secrets(reason, secrets)), users)


def forget_users(connection: Connection, users: Collection[str]) -> None:
    """Replace the ids of these users in the reasons of all decisions and freezes."""
    for table in (decision_log, audience_freezes):
        found = connection.execute(select(table.c.id, table.c.reason).where(table.c.reason.is_not(None))).all()
        for row in found:
            reason = without_users(row.reason, users)
            if reason != row.reason:
                connection.execute(update(table).where(table.c.id == row.id).values(reason=reason))


def without_users(text: str, users: Collection[str]) -> str:
    """The text with ``A_USER`` for each of these ids in any case, except within a longer word."""
    ids = {_lower(user) for user in users if user.strip()}
    lengths = sorted({len(user) for user in ids}, reverse=True)
    lower, parts, start, at = _lower(text), list[str](), 0, 0
    while at < len(lower):
        ends = (at + length for length in lengths if at + length <= len(lower))
        end = next((end for end in ends if lower[at:end] in ids and _is_whole(lower, at, end)), None)
        if end is None:
            at += 1
            continue
        parts += [text[start:at], A_USER]
        start = at = end
    return "".join([*parts, text[start:]])


def _lower(text: str) -> str:
    """The text in lower case, with as many characters."""
    return "".join(lower if len(lower := sign.lower()) == 1 else sign for sign in text)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether neither end of a part of the text lies within a word or number."""
    return not (_joins(text[start - 1 : start], text[start]) or _joins(text[end - 1], text[end : end + 1]))


def _joins(left: str, right: str) -> bool:
    return all(sign.isascii() and sign.isalnum() for sign in (left, right))
