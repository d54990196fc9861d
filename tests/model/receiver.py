"""Receive calls for several destinations, each with a fault that can be switched on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from crash.receiver import Belief
from destinations.fakes.server import split_name
from destinations.receiver import NO_ANSWER, Received, Receiver, Reply

#: By fault: whether the calls of a request are recorded, and the status; None = no answer.
FAULTS: dict[str, tuple[bool, int | None]] = {
    "down": (False, None),
    "failing": (False, 500),
    "limited": (False, 429),
    "wrong key": (False, 401),
    "answers lost": (True, None),
}
#: A fault of requests about several users, as by a proxy on the way: the sender has to divide them.
TOO_LARGE = "too large"
ACCEPTED: tuple[bool, int | None] = (True, 200)


@dataclass
class Destination:
    """The belief of one receiver, and its fault.

    ``fault``: from the request after the first ``spared`` on. ``refusing``: users whose requests are refused.
    ``forbidden``: users who must not be sent anything. ``joined``: previous ids, which are no longer sent anything.
    ``inherited``: by user, the properties that come from a previous id. ``unwanted``: the names of traits that this
    destination must not get.
    """

    belief: Belief = field(default_factory=Belief)
    requests: int = 0
    fault: str | None = None
    spared: int = 0
    refusing: Set[str] = frozenset()
    forbidden: set[str] = field(default_factory=set)
    messages: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    unwanted: set[str] = field(default_factory=set)
    inherited: dict[str, set[str]] = field(default_factory=dict)

    def answer(self, request: Received) -> Reply:
        """Record the calls of a request, or not, and answer it."""
        parsed = json.loads(request.body)
        status = self.meet(parsed["batch"] if isinstance(parsed, dict) else parsed)
        if status is None:
            return NO_ANSWER
        return Reply(status, headers={"Retry-After": "0"} if status == 429 else {})

    def meet(self, batch: list[dict[str, Any]]) -> int | None:
        """Record the calls, or not; returns the status."""
        users = {message["userId"] for message in batch}
        if users & self.forbidden:
            self.belief.wrong.append(f"sent although suppressed: {users & self.forbidden}")
        if users & self.refusing:
            return 400
        fault = self.next_fault()
        recorded, status = ACCEPTED if fault is None else FAULTS.get(fault) or _divided(batch)
        if recorded:
            self.messages += len(batch)
            for message in batch:
                if message["type"] == "track":
                    self._receive_event(message)
                elif message["type"] == "alias":
                    self._join(message["previousId"], message["userId"])
                else:
                    self._receive_properties(message)
        return status

    def next_fault(self) -> str | None:
        """The fault that the next request meets."""
        self.spared -= 1
        return self.fault if self.spared < 0 else None

    def _receive_properties(self, message: dict[str, Any]) -> None:
        if unwanted := self.unwanted & message["traits"].keys():
            self.belief.wrong.append(f"a trait that is not for it: {unwanted}")
        if message["userId"] in self.joined:
            self.belief.wrong.append(f"sent under a previous id: {message}")
        self.belief.receive(message)
        self._check_message_id(message)
        self.inherited.get(message["userId"], set()).difference_update(message["traits"])

    def _join(self, previous: str, new: str) -> None:
        """The new id gets the properties of the previous id, unless other values were sent for it."""
        if previous in self.joined:
            return
        self.joined.add(previous)
        mine, theirs = self.belief.users.get(new, {}), self.belief.users.get(previous, {})
        self.inherited[new] = theirs.keys() - mine.keys()
        self.belief.users[new] = {**theirs, **mine, "$alias": [previous]}

    def _receive_event(self, event: dict[str, Any]) -> None:
        """Check that an event is about a change just sent, and that each has one message id."""
        key = event["properties"]["audience_key"]
        if self.belief.users[event["userId"]][key] != event["properties"][key]:
            self.belief.wrong.append(f"an event of what is not so: {event}")
        sent = json.dumps([event["userId"], event["event"], event["properties"], event["timestamp"]], sort_keys=True)
        if self.events.setdefault(event["messageId"], sent) != sent:
            self.belief.wrong.append(f"one message id, two events: {event}")
        if list(self.events.values()).count(sent) > 1:
            self.belief.wrong.append(f"one event, two message ids: {event}")

    def _check_message_id(self, message: dict[str, Any]) -> None:
        """Check that the same change of a user has one message id, also when it is sent again."""
        change = json.dumps([message["userId"], message["traits"], message["timestamp"]], sort_keys=True)
        if self.ids.setdefault(change, message["messageId"]) != message["messageId"]:
            self.belief.wrong.append(f"one change, two message ids: {message}")

    def heal(self) -> None:
        self.fault, self.refusing = None, frozenset()


def _divided(batch: list[dict[str, Any]]) -> tuple[bool, int | None]:
    """A call and its event are sent together."""
    return ACCEPTED if len({message["userId"] for message in batch}) == 1 else (False, 413)


class Receivers(Receiver):
    """One server for all; ``/name/...`` is the destination of that name. ``new``: a receiver that was sent nothing."""

    def __init__(self, *names: str, new: Mapping[str, Callable[[], Destination]] | None = None) -> None:
        super().__init__()
        self._new = {name: (new or {}).get(name, Destination) for name in names}
        self._lock = threading.Lock()
        self.restart()
        self.start()

    def answer(self, request: Received) -> Reply:
        name, inner = split_name(request)
        with self._lock:
            self.each[name].requests += 1
            return self.each[name].answer(inner)

    def restart(self) -> None:
        """Start again with receivers that were sent nothing."""
        with self._lock:
            self.each = {name: make() for name, make in self._new.items()}
