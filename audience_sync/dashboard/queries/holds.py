"""Read holds: of a run with samples of their users, and of audiences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from audience_sync.history.view_rows import read, read_as

#: How the reason of a hold begins.
_SUBJECT = re.compile(r"\A[^:]*? (?:is|are) held: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A row of the view `holds`. ``entered``, ``left``: users who would.

    ``sample``: some of them, with whether they enter; of the holds of a run only.
    """

    run: int
    last_run: int
    kind: str
    key: str
    status: str
    reason: str
    members_before: int
    entered: int
    left: int
    held_at: datetime
    decided_at: datetime | None
    ended_run: int | None
    sample: Sequence[tuple[str, bool]] = ()

    @property
    def cause(self) -> str:
        """Return the reason as a sentence, without its subject and its effect, which pages show themselves."""
        text = _SUBJECT.sub("", self.reason).partition(" Nothing of it was changed")[0].strip()
        return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def read_run_holds(connection: Connection, run: int) -> list[Hold]:
    """Read the holds that were open in a run, or that it ended."""
    query = """
        select * from {views}holds
        where (run <= :run and last_run >= :run) or ended_run = :run order by kind, key, run
    """
    return [replace(each, sample=_sample(connection, each)) for each in read_as(connection, Hold, query, run=run)]


def _sample(connection: Connection, hold: Hold) -> Sequence[tuple[str, bool]]:
    """Some users of a hold, those who would leave first."""
    query = """
        select user_id, change from {views}held_changes
        where run = :run and kind = :kind and key = :key order by change desc, user_id
    """
    rows = read(connection, query, run=hold.run, kind=hold.kind, key=hold.key)
    return [(row["user_id"], row["change"] == "entered") for row in rows]


def read_audience_holds(connection: Connection, key: str) -> list[Hold]:
    """Read the holds of an audience, the oldest first."""
    return read_as(
        connection, Hold, "select * from {views}holds where kind = 'audience' and key = :key order by run", key=key
    )


def read_held_runs(connection: Connection, since_run: int) -> Mapping[str, Sequence[range]]:
    """Read the runs in which audiences were held, by key; of the holds that lasted until a run or longer."""
    query = "select key, run, last_run from {views}holds where kind = 'audience' and last_run >= :run order by run"
    found: dict[str, list[range]] = {}
    for row in read(connection, query, run=since_run):
        found.setdefault(row["key"], []).append(range(row["run"], row["last_run"] + 1))
    return found
