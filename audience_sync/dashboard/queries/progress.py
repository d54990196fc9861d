"""Read how far a run in progress is: what it does now, and for each destination rate, refusals and time left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from audience_sync.dashboard.queries.rows import read, utc

#: The newest requests whose rate counts, so that a forecast follows a destination that slows down.
NEWEST_REQUESTS = 20
#: Without an answer for so long the rate is not known.
SILENCE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class CurrentStage:
    """A stage that has begun and not ended. ``subject``: an audience, a destination, or None."""

    stage: str
    subject: str | None
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryProgress:
    """One destination of a run in progress. ``rate``: calls a second, by the newest requests. None: not known."""

    destination: str
    calls: int
    delivered: int
    refused: int
    pending: int
    rate: float | None
    left: timedelta | None
    last_status: str | None

    @property
    def share(self) -> float:
        """The part of the calls that has an answer, 0 to 1."""
        return 1.0 if not self.calls else (self.calls - self.pending) / self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """``entries``: audiences and entries of computed traits that the run is to load; None = not known yet."""

    run: int
    command: str
    started_at: datetime
    elapsed: timedelta
    stages: Sequence[CurrentStage]
    entries: int | None
    entries_loaded: int | None
    destinations: Sequence[DeliveryProgress]

    @property
    def refused(self) -> int:
        return sum(each.refused for each in self.destinations)


def read_progress(connection: Connection, run: int, now: datetime) -> Progress:
    """Read the progress of a run that is running."""
    query = "select command, started_at, entries, entries_loaded from {views}sync_runs where run = :run"
    row = read(connection, query, run=run)[0]
    started = utc(row["started_at"]) or now
    open_stages = """
        select stage, subject, started_at from {views}run_stages
        where run = :run and seconds is null order by started_at
    """
    current = [
        CurrentStage(each["stage"], each["subject"], utc(each["started_at"]) or now)
        for each in read(connection, open_stages, run=run)
    ]
    return Progress(
        run=run,
        command=row["command"],
        started_at=started,
        elapsed=now - started,
        stages=current,
        entries=row["entries"],
        entries_loaded=row["entries_loaded"],
        destinations=[_delivery(connection, run, each, now) for each in _deliveries(connection, run)],
    )


def _deliveries(connection: Connection, run: int) -> list[dict[str, object]]:
    query = """
        select destination, calls, delivered, refused, pending from {views}deliveries
        where run = :run order by destination
    """
    return read(connection, query, run=run)


def _delivery(connection: Connection, run: int, row: dict[str, object], now: datetime) -> DeliveryProgress:
    query = f"""
        select sent_at, seconds, users, status from {{views}}requests
        where run = :run and destination = :destination and sent_at is not null
        order by sent_at desc limit {NEWEST_REQUESTS}
    """
    newest = read(connection, query, run=run, destination=row["destination"])
    pending = int(str(row["pending"] or 0))
    rate = recent_rate([(utc(each["sent_at"]), each["seconds"], each["users"], each["status"]) for each in newest], now)
    return DeliveryProgress(
        destination=str(row["destination"]),
        calls=int(str(row["calls"] or 0)),
        delivered=int(str(row["delivered"] or 0)),
        refused=int(str(row["refused"] or 0)),
        pending=pending,
        rate=rate,
        left=timedelta(seconds=pending / rate) if rate and pending else None,
        last_status=newest[0]["status"] if newest else None,
    )


def recent_rate(requests: Sequence[tuple[datetime | None, float | None, int, str]], now: datetime) -> float | None:
    """Calls a second by the newest requests; None without two of them, or after a silence.

    ``requests``: when each was sent, its seconds, users and status, the newest first. Time without an answer counts.
    """
    times = [sent for sent, _, _, _ in requests if sent is not None]
    if len(times) < 2:
        return None
    last = max(sent + timedelta(seconds=took or 0) for sent, took, _, _ in requests if sent is not None)
    if now - last > SILENCE:
        return None
    answered = sum(users for _, _, users, status in requests if status not in ("sent again", "no answer"))
    elapsed = (max(now, last) - min(times)).total_seconds()
    return answered / elapsed if answered and elapsed > 0 else None
