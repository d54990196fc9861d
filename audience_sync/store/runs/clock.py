"""Compare the clock with the newest run's time, and decide by which time ages are measured."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, FromClause, func, select, update

from audience_sync.store.tables import runs
from audience_sync.store.tables.types import UtcDateTime

#: A clock further from the newest run than this is doubted: a week, and half a day for a late weekly run.
MAX_CLOCK_DISTANCE = timedelta(days=7, hours=12)


class RunClock(Struct, frozen=True):
    """The clock at a run's start.

    ``newest``: the time of the newest run with an accepted clock, if there is one. ``counted_at``: the time that ages
    (``min_stay``, ``retention``) are measured by; None = the clock is doubted, and no age is measured.
    """

    now: datetime
    newest: datetime | None
    counted_at: datetime | None

    @property
    def accepted_now(self) -> datetime:
        """The present time; if the clock is doubted, the time of the newest run."""
        return self.now if self.counted_at is not None or self.newest is None else self.newest

    def warnings(self) -> list[str]:
        if self.counted_at is not None or self.newest is None:
            return []
        days, after = abs(self.now - self.newest).days, "after" if self.now > self.newest else "before"
        return [
            f"the clock shows {self.now:%Y-%m-%d %H:%M:%S} UTC, {days:,} days {after} the newest run "
            f"({self.newest:%Y-%m-%d %H:%M:%S} UTC). Until that is accepted, `min_stay` ends for no member, no "
            "freeze ends and `retention` deletes nothing; everything else is synced. Correct the clock, or if it is "
            "right: audience-sync sync --accept-clock"
        ]


def run_clock(newest: datetime | None, now: datetime, *, accept: bool = False) -> RunClock:
    """Compare ``now`` with the newest run's time.

    ``accept``: a person confirms that ``now`` is right, however far it is from the newest run.
    """
    if newest is None or accept:
        return RunClock(now, newest, now)
    return RunClock(now, newest, None if abs(now - newest) > MAX_CLOCK_DISTANCE else max(now, newest))


def counted_at(of: FromClause) -> ColumnElement[datetime]:
    """The SQL for the time that ages are measured by; ``of``: the table ``runs`` or an alias of it."""
    return func.coalesce(of.c.counted_at, of.c.started_at, type_=UtcDateTime)


def read_run_clock(
    connection: Connection, now: datetime, *, before: int | None = None, accept: bool = False
) -> RunClock:
    """Compare ``now`` with the newest run before ``before`` (None = of all) whose clock was accepted."""
    query = select(counted_at(runs)).where(runs.c.clock_doubted.is_not(True)).order_by(runs.c.id.desc()).limit(1)
    newest = connection.execute(query if before is None else query.where(runs.c.id < before)).scalar()
    return run_clock(newest, now, accept=accept)


def count_from(connection: Connection, now: datetime) -> None:
    """Let runs of a clock that was ahead count as started ``now``, the time that a person accepted.

    So an absence that began in one of them ends after its `min_stay`, not when the clock reaches that run's time.
    """
    connection.execute(update(runs).where(counted_at(runs) > now).values(counted_at=now))
