"""Draw the members of audiences over the last 30 days, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from sqlalchemy import Connection

from audience_sync.dashboard.charts.sparkline import sparkline
from audience_sync.dashboard.queries.audiences import AudienceRow, Snapshot, read_members_at, snapshots_at
from audience_sync.dashboard.queries.holds import read_held_runs

#: The time that sparklines show, if an audience is that old; and how many points they have.
LENGTH, POINTS = timedelta(days=30), 30


@dataclass(frozen=True, slots=True)
class Sparklines:
    """``days``: that they show. ``drawn``: by the key of the audience."""

    days: int
    drawn: Mapping[str, Markup]


def read_sparklines(
    connection: Connection, audiences: Sequence[AudienceRow], runs: Sequence[Snapshot], now: datetime
) -> Sparklines:
    """Read and draw the members of audiences since the oldest of them was created. ``runs``: those of ``LENGTH``."""
    oldest = min((each.created_at for each in audiences if each.created_at), default=now)
    start = max(now - LENGTH, min(oldest, now))
    step = (now - start) / (POINTS - 1)
    slots = snapshots_at(runs, [start + step * number for number in range(POINTS)])
    wanted = [each.run for each in slots if each is not None]
    members = read_members_at(connection, [each.key for each in audiences], wanted)
    held = read_held_runs(connection, wanted[0]) if wanted else {}
    drawn = {each.key: _drawn(each, slots, members[each.key], held.get(each.key, ())) for each in audiences}
    return Sparklines(max(round((now - start) / timedelta(days=1)), 1), drawn)


def _drawn(
    audience: AudienceRow, slots: Sequence[Snapshot | None], members: Mapping[int, int], held: Sequence[range]
) -> Markup:
    if audience.created_at is None:
        return Markup("")
    past = [members.get(each.run) if each is not None else None for each in slots[:-1]]
    begun = {each.run: index for index, each in reversed(list(enumerate(slots))) if each is not None}
    marks = [index for run, index in begun.items() if any(run in runs for runs in held)]
    return sparkline([*past, audience.members], marks)
