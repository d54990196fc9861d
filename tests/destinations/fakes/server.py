"""Serve fakes on loopback, each below its own name: ``/braze/users/track``."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from destinations.receiver import Received, Receiver, Reply

from . import FAKES
from .state import Properties, State


class FakeServer(Receiver):
    """``states``: the account at each vendor. ``answers``: the vendor and the status of each answer."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.states = {name: State(key=FAKES[name].key) for name in names}
        self.answers: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    def answer(self, request: Received) -> Reply:
        with self._lock:
            self.requests.append(request)
            name, inner = split_name(request)
            self.states[name], reply = FAKES[name].answer(self.states[name], inner)
            self.answers.append((name, reply.status))
            return reply

    def change(self, name: str, **faults: Any) -> None:
        """Give the account at a vendor these faults."""
        with self._lock:
            self.states[name] = replace(self.states[name], **faults)

    def users(self, name: str) -> dict[str, Properties]:
        return FAKES[name].users(self.states[name])

    def destination(self, name: str, **options: Any) -> dict[str, Any]:
        return FAKES[name].destination(name, f"{self.url}/{name}", **options)


def split_name(request: Received) -> tuple[str, Received]:
    """Return the name that a request's path begins with, and the request without it."""
    _, name, rest = request.path.split("/", 2)
    return name, replace(request, path=f"/{rest}")
