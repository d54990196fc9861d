"""Define the result of checking one part of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from audience_sync.text import listed

#: Problems listed in one message; the number of the others follows.
MAX_LISTED = 5
RESTORE = "Restore a backup of the store, then: audience-sync resync"
RESYNC = "Restore a backup, or: audience-sync resync"


class CheckResult(NamedTuple):
    """The result for one part: ``part`` is database, schema, snapshots, members, trait values, rows or
    positions."""

    part: str
    good: bool
    message: str


def check_result(area: str, problems: Sequence[str], otherwise: str, remedy: str) -> CheckResult:
    if not problems:
        return CheckResult(area, True, otherwise)
    return CheckResult(area, False, f"{listed(problems, most=MAX_LISTED, separator='; ')}. {remedy}")
