"""How is a part of the store judged?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Problems of a kind that are named; of more the number is said.
MOST_NAMED = 5
RESTORE = "Restore a backup of the store, then: audience-sync resync"
RESYNC = "Restore a backup, or: audience-sync resync"


class Examined(NamedTuple):
    """One part of the store. ``part``: database, schema, snapshots, members, rows or positions."""

    part: str
    good: bool
    message: str


def said(part: str, problems: Sequence[str], otherwise: str, remedy: str) -> Examined:
    if not problems:
        return Examined(part, True, otherwise)
    more = f" and {len(problems) - MOST_NAMED:,} more" if len(problems) > MOST_NAMED else ""
    return Examined(part, False, f"{'; '.join(problems[:MOST_NAMED])}{more}. {remedy}")
