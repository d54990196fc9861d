"""Define the calls about one user: the requests with the user in their range, and the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from audience_sync.history.explain.value_history import ValueChange
from audience_sync.model import NO_RUN, RunId

SEED, RETRY = "seed", "retry"


class UnacceptedCall(Struct, frozen=True):
    """A call that was not accepted. ``reason`` None: it was not sent, because the user had just been suppressed.

    ``properties``: the refused ones, if the rest was sent; empty for the whole call.
    """

    reason: str | None
    http_status: int | None
    properties: frozenset[str] = frozenset()


class Request(Struct, frozen=True, kw_only=True):
    """A request with the user in its range, and the state of its cursor at that time.

    ``id`` None: the run sent nothing, because the user was suppressed. ``seeding``: the key of the audience that it
    seeds. ``committed_at``: the commit of its run, after which a suppression counts for the next run. ``refused``: the
    number of refused calls.
    """

    id: int | None
    run: RunId
    command: str
    committed_at: datetime | None
    answered_at: datetime
    seeding: str | None = None
    position: RunId = NO_RUN
    attempted_run: RunId | None = None
    retried: bool = False
    refused: int = 0
    http_status: int | None = None
    answer: str | None = None
    unaccepted: UnacceptedCall | None = None


class CallOutcome(StrEnum):
    """The outcome of a call. A withheld call was not sent."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    WITHHELD = "withheld"


class Call(Struct, frozen=True):
    """A call about the user that was answered or withheld."""

    request: Request
    values: Mapping[str, ValueChange]
    outcome: CallOutcome


class Suppression(Struct, frozen=True):
    """A time in which the user was suppressed. ``until`` None: still is."""

    origin: str
    since: datetime
    until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)
