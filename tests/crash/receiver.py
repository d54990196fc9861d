"""Receive calls as Segment and other vendors do, keep what they say of each user, and fail now and then."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from destinations.fakes import FAKES
from destinations.fakes.server import split_name
from destinations.fakes.state import Properties, State
from destinations.receiver import NO_ANSWER, Received, Receiver, Reply

Message = dict[str, Any]


@dataclass
class Belief:
    """The received messages, each once by its id, and the properties of users that follow from them."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[str, Message] = field(default_factory=dict)
    newest: dict[tuple[str, str], str] = field(default_factory=dict)  # user, key -> timestamp of the newest message
    unanswered: set[str] = field(default_factory=set)  # ids whose repeat is this receiver's own fault
    repeats: int = 0
    repeats_by_kills: int = 0
    wrong: list[str] = field(default_factory=list)
    untimed: set[str] = field(default_factory=set)  # keys whose current values travel with older changes

    def receive(self, message: Message) -> None:
        known = self.bodies.get(message["messageId"])
        if known is not None:
            self.repeats += 1
            self.repeats_by_kills += message["messageId"] not in self.unanswered
            if known != message:
                self.wrong.append(f"one message id, two contents: {known} and {message}")
            return
        self.bodies[message["messageId"]] = message
        user = message["userId"]
        known_traits = self.users.get(user, {})
        # A repeated value may be older: the change that made its call newer may no longer be sent.
        timed = {key: value for key, value in message["traits"].items() if key not in self.untimed}
        changed = [key for key, value in timed.items() if known_traits.get(key) != value]
        if any(message["timestamp"] < self.newest.get((user, key), "") for key in changed):
            self.wrong.append(f"older than what was sent before: {message}")
        self.users.setdefault(user, {}).update(message["traits"])
        self.newest |= {
            (user, key): max(message["timestamp"], self.newest.get((user, key), "")) for key in message["traits"]
        }


class BeliefReceiver(Receiver):
    """Segment's ``/v1/batch`` on loopback, and below ``/NAME/`` the accounts of ``vendors``.

    ``failures``: the share of requests that fail, before or after they were recorded; ``delay``: seconds an answer
    takes. ``vendor_faults``: the share of requests that meet a fault of their vendor's own.
    """

    def __init__(
        self, chance: random.Random, *, failures: float, delay: float, vendors: Sequence[str] = (), users: int = 0
    ) -> None:
        super().__init__()
        self.belief = Belief()
        self.accounts = {name: State(key=FAKES[name].key) for name in vendors}
        self.vendor_faults = failures
        self._failures, self._chance, self._delay, self._users = failures, chance, delay, users
        self._lock = threading.Lock()

    def answer(self, request: Received) -> Reply:
        time.sleep(self._delay)
        with self._lock:
            draw = self._chance.random()
            if draw < self._failures / 2:  # before anything was recorded
                return NO_ANSWER
            name, inner = split_name(request)
            is_answered = draw >= self._failures  # the sender can't distinguish a lost answer from a lost request
            if name in self.accounts:
                reply = self._answer_of(name, inner)
            else:
                reply = Reply(body=b'{"success": true}')
                self._believe(json.loads(request.body)["batch"], is_answered=is_answered)
            return reply if is_answered else NO_ANSWER

    def _believe(self, batch: list[Message], *, is_answered: bool) -> None:
        for message in batch:
            self.belief.receive(message)
        ids = {message["messageId"] for message in batch}
        self.belief.unanswered -= ids
        if not is_answered:
            self.belief.unanswered |= ids

    def _answer_of(self, vendor: str, request: Received) -> Reply:
        account = self.accounts[vendor]
        if self._chance.random() < self.vendor_faults:
            account = replace(account, **self._fault())
        after, reply = FAKES[vendor].answer(account, request)
        faultless = State(key=after.key)
        self.accounts[vendor] = replace(
            after,
            blocked=faultless.blocked,
            limited=faultless.limited,
            silent=faultless.silent,
            most_bytes=faultless.most_bytes,
        )
        return reply

    def _fault(self) -> dict[str, Any]:
        some = frozenset(f"user-{number:05d}" for number in self._chance.sample(range(self._users), self._users // 20))
        return self._chance.choice([{"blocked": some}, {"limited": 1}, {"silent": 1}, {"most_bytes": 2_000}])

    def users(self, vendor: str) -> dict[str, Properties]:
        """The users' properties at a vendor."""
        return FAKES[vendor].users(self.accounts[vendor])
