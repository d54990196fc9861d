"""Run commands that may be killed at a named point, and may have a planted bug."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forks import forks

KILLED = -signal.SIGKILL

#: Few of the users of a history.
SLICE_USERS = 3
#: The points at which a child may be killed: before or after a function.
POINTS: dict[str, tuple[str, str, str]] = {
    "before the snapshots are read": ("audience_sync.sync.plan_run", "plan_run", "before"),
    "after the snapshots are read": ("audience_sync.sync.plan_run", "plan_run", "after"),
    "before the run is written": ("audience_sync.sync.commit.commit", "commit", "before"),
    "before the run is committed": ("audience_sync.sync.commit.commit", "commit", "after"),
    "before a request": ("audience_sync.destinations.http.transport.HttpTransport", "send", "before"),
    "after an answer": ("audience_sync.destinations.http.transport.HttpTransport", "send", "after"),
    "before the position moves": ("audience_sync.delivery.deliver", "acknowledge", "before"),
    "after the position has moved": ("audience_sync.delivery.deliver", "acknowledge", "after"),
    "before a slice of users is made": ("audience_sync.sync.deliver.pending._CursorOf", "make_slice", "before"),
    "after a slice of users is made": ("audience_sync.sync.deliver.pending._CursorOf", "make_slice", "after"),
    "before the position advances": ("audience_sync.delivery.deliver", "advance_position", "before"),
    "before a transaction": ("audience_sync.store.connection.lease.Lease", "transaction", "before"),
    "after a transaction": ("audience_sync.store.connection.lease.Lease", "transaction", "after"),
}


@dataclass(frozen=True)
class Ended:
    """The end of a command. ``code``: KILLED if it was killed."""

    code: int
    output: str


class Commands:
    """Run commands in ``folder``. The lease of a killed one expires after a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "AUDIENCE_SYNC_LEASE_SECONDS": "1"}

    def run(self, *arguments: str, crash: tuple[str, int] | None = None, bug: str | None = None) -> Ended:
        """Run a command. ``crash``: the point at which it is killed, and the number of times it reaches it first."""
        code, out, err = forks().run(
            arguments,
            folder=self._folder,
            environment=self._environment,
            prepare=("model.commands:prepare", crash, bug),
        )
        return Ended(code, (out + err).decode("utf-8", "replace"))

    def move_to(self, folder: Path) -> None:
        """Run later commands there."""
        self._folder = folder


def prepare(crash: tuple[str, int] | None, bug: str | None) -> None:
    """Prepare the child before the command. A delivery of more users than SLICE_USERS is made in slices."""
    from warehouse.kills import be_small

    from audience_sync.sync.deliver import pending

    pending.SLICE_USERS = SLICE_USERS
    be_small()
    if bug:
        from model.bugs import plant

        plant(bug)
    if crash:
        _crash_at(*crash)


def _crash_at(point: str, times: int) -> None:
    if point not in POINTS:
        from warehouse.kills import kill_at

        kill_at(point, times)
        return
    path, name, when = POINTS[point]
    owner, left = _owner(path), [times]

    def reached() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    original = getattr(owner, name)
    wrap = _around_a_context if name == "transaction" else _around
    setattr(owner, name, wrap(original, reached, before=when == "before"))


def _owner(path: str) -> Any:
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def _around(original: Callable[..., Any], reached: Callable[[], None], *, before: bool) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            reached()
        result = original(*arguments, **options)
        if not before:
            reached()
        return result

    return wrapped


def _around_a_context(original: Callable[..., Any], reached: Callable[[], None], *, before: bool) -> Callable[..., Any]:
    @contextmanager
    def wrapped(*arguments: Any) -> Any:
        if before:
            reached()
        with original(*arguments) as given:
            yield given
        if not before:
            reached()

    return wrapped
