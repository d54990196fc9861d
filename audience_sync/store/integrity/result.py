"""How is a part of the store judged?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Problems of a kind that are named; of more the number is said.
MAX_LISTED = 5
RESTORE = "Restore a backup of the store, then: audience-sync resync"
RESYNC = "Restore a backup, or: audience-sync resync"


class CheckResult(NamedTuple):
    """One part of the store. ``part``: database, schema, snapshots, members, rows or positions."""

    area: str
    is_ok: bool
    message: str


def check_result(part: str, problems: Sequence[str], otherwise: str, remedy: str) -> CheckResult:
    if not problems:
        return CheckResult(part, True, otherwise)
    more = f" and {len(problems) - MAX_LISTED:,} more" if len(problems) > MAX_LISTED else ""
    return CheckResult(part, False, f"{'; '.join(problems[:MAX_LISTED])}{more}. {remedy}")
