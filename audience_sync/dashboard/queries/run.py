"""Read one run: its stages, audiences, deliveries and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import Connection

from audience_sync.dashboard.queries.audiences import read_names
from audience_sync.history.view_rows import read, read_as
from audience_sync.project.history import PastAudienceSync, PastDelivery

#: The most reasons of a list, and users of each.
MOST_REASONS, MOST_USERS = 50, 20
STAGES = """select run, stage, subject, started_at, seconds
from {views}run_stages
where run = :run
order by started_at, stage, subject"""
AUDIENCES = """select run, audience_key, status, members_before, members_after, entered, "left", invalid, held_out,
    absent, returned, error
from {views}audience_syncs
where run = :run
order by audience_key"""
DELIVERIES = """select run, destination, calls, delivered, refused, pending, retries, requests, seconds, error
from {views}deliveries
where run = :run
order by destination"""
REFUSALS = """select run, destination, user_id, reason, http_status, refused_at, outcome, accepted_run
from {views}refusals
where run = :run
order by destination, reason, user_id"""
INVALID = """select run, audience_key, file, "row", user_id, reason
from {views}invalid_rows
where run = :run
order by audience_key, file, "row\""""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``seconds``: None while the stage is running, or if its process ended before it."""

    stage: str
    subject: str | None
    started_at: datetime
    seconds: float | None


class AudienceResult(PastAudienceSync, frozen=True, kw_only=True):
    """``name``: the audience's; its key for one that the store no longer has."""

    name: str = ""


class Delivery(PastDelivery, frozen=True, kw_only=True):
    @property
    def state(self) -> str:
        """The worst that applies: a destination that stopped early, pending or refused calls, or all accepted."""
        if self.pending:
            return "pending"
        if self.error:
            return "partial"
        return "refused" if self.refused else "accepted" if self.calls else "none"

    @property
    def rate(self) -> float | None:
        """Calls with an answer a second."""
        answered = self.delivered + self.refused
        return answered / self.seconds if answered and self.seconds else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedReason:
    """Calls that were refused for one reason. ``open``: how many of them are still refused. ``users``: some of them."""

    destination: str
    reason: str
    http_status: int | None
    calls: int
    open: int
    users: Sequence[tuple[str, str]]


def read_stages(connection: Connection, run: int) -> list[Stage]:
    return read_as(connection, Stage, STAGES, run=run)


def read_audience_results(connection: Connection, run: int) -> list[AudienceResult]:
    """The results of all audiences, by name."""
    found = read_as(connection, AudienceResult, AUDIENCES, run=run)
    names = read_names(connection, [each.audience_key for each in found])
    named = [replace(each, name=names.get(each.audience_key, each.audience_key)) for each in found]
    return sorted(named, key=lambda each: (each.name.casefold(), each.audience_key))


def read_deliveries(connection: Connection, run: int) -> list[Delivery]:
    return read_as(connection, Delivery, DELIVERIES, run=run)


def read_refused(connection: Connection, run: int) -> list[RefusedReason]:
    """The refusals of a run by destination and reason, the most frequent first, with some users of each."""
    groups = f"""
        select destination, reason, http_status, count(*) as calls,
            sum(case when outcome = 'refused' then 1 else 0 end) as open
        from {{views}}refusals where run = :run group by destination, reason, http_status
        order by count(*) desc, destination, reason limit {MOST_REASONS}
    """
    users = f"""
        select user_id, outcome from {{views}}refusals
        where run = :run and destination = :destination and reason = :reason order by user_id limit {MOST_USERS}
    """
    return [
        RefusedReason(
            **group,
            users=[
                (each["user_id"], each["outcome"])
                for each in read(connection, users, run=run, destination=group["destination"], reason=group["reason"])
            ],
        )
        for group in read(connection, groups, run=run)
    ]
