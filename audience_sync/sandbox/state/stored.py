"""Define what a page reads: stored calls, requests, users, events and counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from audience_sync.sandbox.json_text import json_value
from audience_sync.sandbox.state.changes import Change
from audience_sync.sandbox.values import Outcome, Problem


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """One call as it came, with its answer. Its fields are the columns of ``calls``."""

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

    @classmethod
    def of(cls, row: sqlite3.Row) -> StoredCall:
        values: dict[str, Any] = dict(row)
        values["at"], values["outcome"] = moment(row["at"]), Outcome(row["outcome"])
        values["changes"] = tuple(Change(*each) for each in json_value(row["changes"]))
        values["problems"] = _problems(row["problems"])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """One request with its answer; its fields are the columns of ``requests``. ``status`` None: it got no answer."""

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

    @classmethod
    def of(cls, row: sqlite3.Row) -> StoredRequest:
        values: dict[str, Any] = dict(row)
        values["at"], values["problems"] = moment(row["at"]), _problems(row["problems"])
        values["headers"], values["answer_headers"] = json_value(row["headers"]), json_value(row["answer_headers"])
        return cls(**values)


def _problems(text: str) -> tuple[Problem, ...]:
    return tuple(Problem(*each) for each in json_value(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """A user: values last received with the time of their last change. Its fields are the columns of ``users``."""

    destination: str
    user_id: str
    properties: Mapping[str, tuple[Any, datetime]]
    calls: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, row: sqlite3.Row) -> StoredUser:
        values: dict[str, Any] = dict(row)
        values["properties"] = {
            name: (value, moment(at)) for name, (value, at) in json_value(row["properties"]).items()
        }
        values["first_at"], values["last_at"] = moment(row["first_at"]), moment(row["last_at"])
        return cls(**values)


class EventCount(NamedTuple):
    destination: str
    event: str
    day: int
    week: int


class Destination(NamedTuple):
    destination: str
    calls: int
    users: int


class Totals(NamedTuple):
    """What all destinations have received, ever."""

    destinations: int
    requests: int
    calls: int
    users: int
    last_at: datetime | None


class PropertyCount(NamedTuple):
    """How many users have each kind of value last received."""

    property: str
    true: int
    false: int
    other: int


class Goal(NamedTuple):
    """How many users began and how many reached the goal.

    ``users``: the destination and the id of each, when they began, and when they reached it.
    """

    began: int
    reached: int
    users: list[tuple[str, str, datetime, datetime | None]]
