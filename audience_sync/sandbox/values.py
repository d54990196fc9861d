"""Define the values of the sandbox: a request, its calls and their problems, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Service(StrEnum):
    """A service that the sandbox stands in for."""

    SEGMENT = "segment"
    RUDDERSTACK = "rudderstack"
    CONNECT = "zendesk_connect"
    WEBHOOK = "webhook"


class Outcome(StrEnum):
    """What became of a call."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"  # the answer is a success, and the service loses the call
    REPEAT = "repeat"  # accepted before under the same message id, and not applied twice
    REFUSED = "refused"
    SLOW_DOWN = "slow down"
    FAILED = "failed"
    CUT_OFF = "cut off"  # accepted, and the connection was closed in place of an answer
    NO_ANSWER = "no answer"


class Problem(NamedTuple):
    """What is wrong with a call or a request. A fatal one keeps the call from being used."""

    code: str
    text: str
    is_fatal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request. Names of headers are in lower case; ``query`` has the first value of each parameter.

    ``problem``: why the body did not arrive whole; it is left out then.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: Problem | None = None


class ListChange(NamedTuple):
    """Values that are added to a property which is a list, or removed from it. No values: all are removed."""

    property: str
    is_added: bool
    values: tuple[Any, ...] = ()


class Call(NamedTuple):
    """One call. ``message`` is its JSON text, ``sets`` the user's properties that it sets.

    ``type`` is that of the protocol (identify, track, page, ...), or ``request`` if the request has no readable call.
    ``event`` is the name of an event with ``properties``; ``previous_id`` is merged into the user. ``group_sets``:
    properties that the call sets for the members of the user's group.
    """

    type: str
    user_id: str
    message: str
    message_id: str = ""
    event: str = ""
    sets: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    lists: tuple[ListChange, ...] = ()
    group_sets: Mapping[str, Any] = {}
    previous_id: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def is_usable(self) -> bool:
        return not self.problems or not any(each.is_fatal for each in self.problems)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A request as its service reads it.

    ``destination`` names what the key belongs to (``segment``, ``connect production``, ``webhook /hooks/crm``).
    ``request_id`` is the same when the whole request is sent again, where the protocol has such an id.
    """

    service: Service
    destination: str
    calls: tuple[Call, ...] = ()
    problems: tuple[Problem, ...] = ()
    answer: Answer = Answer()
    request_id: str = ""

    @property
    def is_usable(self) -> bool:
        return not self.problems or not any(each.is_fatal for each in self.problems)
