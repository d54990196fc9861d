"""Define what a page reads: stored calls, requests, users, events and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from audience_sync.sandbox.changes import Change
from audience_sync.sandbox.values import Outcome, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """One call as it came, with its answer."""

    call: int
    request: int
    at: datetime
    destination: str
    service: str
    type: str
    user_id: str
    event: str
    outcome: Outcome
    status: int | None
    message_id: str
    message: str
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """One request with its answer. ``status`` None: it got no answer."""

    request: int
    at: datetime
    destination: str
    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    bytes: int
    calls: int
    status: int | None
    answer: str
    answer_headers: Mapping[str, str]
    seconds: float
    problems: tuple[Problem, ...]
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls the feed shows. ``before``: only those with a smaller number; ``after``: only with a larger one."""

    destination: str = ""
    user: str = ""
    property_name: str = ""
    value: str = ""
    type: str = ""
    answer: str = ""
    problem: str = ""
    before: int | None = None
    after: int | None = None

    @property
    def is_empty(self) -> bool:
        return not any(
            (self.destination, self.user, self.property_name, self.value, self.type, self.answer, self.problem)
        )


class StoredUser(NamedTuple):
    """A user: values last received with the time of their last change."""

    destination: str
    user_id: str
    properties: Mapping[str, tuple[Any, datetime]]
    calls: int
    first_at: datetime
    last_at: datetime


class EventCount(NamedTuple):
    destination: str
    event: str
    day: int
    week: int


class Destination(NamedTuple):
    destination: str
    service: str
    requests: int
    calls: int
    first_at: datetime
    last_at: datetime
    users: int


class PropertyCount(NamedTuple):
    """How many users have each kind of value last received."""

    property: str
    true: int
    false: int
    null: int
    other: int
