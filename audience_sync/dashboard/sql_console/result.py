"""Define the result of a query, its limits, and the error that names a place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audience_sync.errors import AudienceSyncError

#: Seconds that a query may take.
SECONDS = 5.0
#: Rows of a result; a longer one is cut.
ROWS = 10_000
#: Characters of a result, and those that each value counts in addition: with long values, or many columns, it is cut
#: earlier.
CHARACTERS, VALUE_CHARACTERS = 20_000_000, 20
AS_LONG_AS_ALLOWED = "together they are as long as a result may be."
#: Characters of a query: its address must fit into a request.
LONGEST_QUERY = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """Columns and rows. ``cut``: why rows are missing at the end, or empty."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    seconds: float
    cut: str = ""


class QueryError(AudienceSyncError):
    """The query can't be run. ``position``: of the character where it is wrong, counted from 0; None if not known."""

    def __init__(self, message: str, *, position: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.position = position
        self.hint = hint


def line_and_column(sql: str, position: int) -> tuple[int, int]:
    """Return the line and the column of a character, both counted from 1."""
    before = sql[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def too_long(seconds: float = SECONDS) -> QueryError:
    return QueryError(
        f"the query was stopped after {seconds:g} s.",
        hint="Ask for less: one audience, one user, or the newest runs. Filters on audience_key, user_id and run are "
        "quick.",
    )
