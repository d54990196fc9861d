"""Read how far a run in progress is: what it does now, and for each destination rate, refusals and time left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from audience_sync.history.view_rows import read, read_as

#: The newest requests whose rate counts, so that a forecast follows a destination that slows down.
NEWEST_REQUESTS = 20
#: Without an answer for so long the rate is not known.
SILENCE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """A stage that has begun and not ended. ``subject``: an audience, a destination, or None."""

    stage: str
    subject: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRequest:
    """One of the newest requests to a destination. ``seconds``: until its answer. ``users``: how many it carried."""

    sent_at: datetime
    seconds: float | None
    users: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryProgress:
    """One destination of a run in progress. ``rate``: calls a second, by the newest requests. None: not known."""

    destination: str
    calls: int
    delivered: int
    refused: int
    pending: int
    rate: float | None = None

    @property
    def share(self) -> float:
        """The part of the calls that has an answer, 0 to 1."""
        return 1.0 if not self.calls else (self.calls - self.pending) / self.calls

    @property
    def left(self) -> timedelta | None:
        """The time until no call is pending; None if the rate is not known."""
        return timedelta(seconds=self.pending / self.rate) if self.rate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run in progress. ``stages``: those that have not ended.

    ``entries``: audiences and entries of computed traits that it is to load; None = not known yet.
    """

    run: int
    command: str
    elapsed: timedelta
    stages: Sequence[StageProgress]
    entries: int | None
    entries_loaded: int | None
    destinations: Sequence[DeliveryProgress]


def read_progress(connection: Connection, run: int, now: datetime) -> Progress:
    """Read the progress of a run that is running."""
    query = "select command, started_at, entries, entries_loaded from {views}sync_runs where run = :run"
    (row,) = read(connection, query, run=run)
    stages = """
        select stage, subject from {views}run_stages where run = :run and seconds is null order by started_at
    """
    deliveries = """
        select destination, calls, delivered, refused, pending from {views}deliveries
        where run = :run order by destination
    """
    return Progress(
        run=run,
        command=row["command"],
        elapsed=now - row["started_at"],
        stages=read_as(connection, StageProgress, stages, run=run),
        entries=row["entries"],
        entries_loaded=row["entries_loaded"],
        destinations=[
            replace(each, rate=recent_rate(_newest_requests(connection, run, each.destination), now))
            for each in read_as(connection, DeliveryProgress, deliveries, run=run)
        ],
    )


def _newest_requests(connection: Connection, run: int, destination: str) -> list[RecentRequest]:
    query = f"""
        select sent_at, seconds, users, status from {{views}}requests
        where run = :run and destination = :destination and sent_at is not null
        order by sent_at desc limit {NEWEST_REQUESTS}
    """
    return read_as(connection, RecentRequest, query, run=run, destination=destination)


def recent_rate(requests: Sequence[RecentRequest], now: datetime) -> float | None:
    """Calls a second by the newest requests; None without two of them, or after a silence. Waiting time counts."""
    if len(requests) < 2:
        return None
    last = max(each.sent_at + timedelta(seconds=each.seconds or 0) for each in requests)
    if now - last > SILENCE:
        return None
    answered = sum(each.users for each in requests if each.status not in ("sent again", "no answer"))
    elapsed = (max(now, last) - min(each.sent_at for each in requests)).total_seconds()
    return answered / elapsed if answered and elapsed > 0 else None
