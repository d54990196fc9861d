"""A stand-in for Segment on loopback that refuses some users, is down, or answers only as fast as a test lets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection

from destinations.receiver import Received, Receiver, Reply

ACCEPTED = Reply(body=b'{"success": true}')
REFUSED = Reply(400, body=b'{"error": "Invalid email address for user"}')
DOWN = Reply(503, body=b'{"error": "maintenance"}')
SLOW_DOWN = Reply(429, body=b'{"error": "slow down"}', headers={"Retry-After": "1"})


class Vendor(Receiver):
    """``refused``: ids of users whose calls it refuses. ``instead``: answers that come first, instead of its own."""

    def __init__(self, refused: Collection[str] = ()) -> None:
        super().__init__()
        self.refused = frozenset(refused)
        self.instead: list[Reply] = []
        self.is_down = False
        self._may_answer = threading.Semaphore(0)
        self._is_slow = False

    def slow_down(self) -> None:
        """Answer nothing until ``let`` allows it."""
        self._is_slow = True

    def let(self, answers: int) -> None:
        """Give so many answers."""
        for _ in range(answers):
            self._may_answer.release()

    def hurry(self) -> None:
        """Answer everything at once again."""
        self._is_slow = False
        self.let(1_000)

    def answer(self, request: Received) -> Reply:
        self.requests.append(request)
        while self._is_slow and not self._may_answer.acquire(timeout=0.05) and not self.closing.is_set():
            pass
        if self.is_down:
            return DOWN
        if self.instead:
            return self.instead.pop(0)
        users = {each["userId"] for each in json.loads(request.body)["batch"]}
        return REFUSED if users & self.refused else ACCEPTED
