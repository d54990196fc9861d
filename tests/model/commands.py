"""The command line, many times a second: a process that has imported it forks a child for each command.

A child may be killed by itself at a named point, and may run with a planted bug.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STUCK = 60
KILLED = -signal.SIGKILL
NOT_BEGUN = 70
#: What a child imports too late to share it with the next.
IMPORTED = (
    *(
        f"audience_sync.cli.{name}"
        for name in (
            "sync",
            "plan",
            "seed",
            "resync",
            "retry",
            "suppress",
            "decide",
            "undo",
            "retire",
            "freeze",
            "runs",
            "errors",
        )
    ),
    *(f"audience_sync.destinations.{name}" for name in ("http", "segment", "webhook")),
    *("audience_sync.sources.files", "audience_sync.store.migrate", "duckdb", "psycopg", "requests", "rich.progress"),
)

#: Where a child is killed: before or after a function, wherever that is called.
POINTS: dict[str, tuple[str, str, str]] = {
    "before the snapshots are read": ("audience_sync.sync.run", "look", "before"),
    "after the snapshots are read": ("audience_sync.sync.run", "look", "after"),
    "before the run is written": ("audience_sync.sync.run", "commit", "before"),
    "before the run is committed": ("audience_sync.sync.run", "commit", "after"),
    "before a request": ("audience_sync.destinations.http.HttpTransport", "send", "before"),
    "after an answer": ("audience_sync.destinations.http.HttpTransport", "send", "after"),
    "before the position moves": ("audience_sync.delivery.deliver", "acknowledge", "before"),
    "after the position has moved": ("audience_sync.delivery.deliver", "acknowledge", "after"),
    "before everyone is told": ("audience_sync.delivery.deliver", "complete", "before"),
    "before a transaction": ("audience_sync.store.lease.Lease", "transaction", "before"),
    "after a transaction": ("audience_sync.store.lease.Lease", "transaction", "after"),
}


@dataclass(frozen=True)
class Ended:
    """``code`` is KILLED for a command that was."""

    code: int
    output: str


class Commands:
    """A server in ``folder``; use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = {**os.environ, "AUDIENCE_SYNC_LEASE_SECONDS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "model.commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=folder,
            text=True,
        )

    def run(self, *arguments: str, crash: tuple[str, int] | None = None, bug: str | None = None) -> Ended:
        """``crash``: the point, and at which passing of it."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"arguments": arguments, "folder": str(self._folder), "crash": crash, "bug": bug}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the server of commands is gone"
        ended = Ended(*json.loads(answer))
        if ended.code == NOT_BEGUN:
            raise RuntimeError(f"the command could not be begun, or the bug {bug} not be planted")
        return ended

    def move_to(self, folder: Path) -> None:
        """Later commands run there."""
        self._folder = folder

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(STUCK)


def serve() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        log = Path(order["folder"]) / "output.log"
        child = os.fork()
        if not child:
            _carry_out(order, log)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([code, log.read_text("utf-8", "replace")]), flush=True)


def _carry_out(order: dict[str, Any], log: Path) -> None:
    """In the child; it ends here."""
    from audience_sync.cli import group
    from audience_sync.cli.errors import run
    from model.bugs import plant

    code = NOT_BEGUN
    try:
        os.chdir(order["folder"])
        with log.open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        signal.alarm(STUCK)
        sys.argv = ["audience-sync", *order["arguments"]]
        if order["bug"]:
            plant(order["bug"])
        if order["crash"]:
            _crash_at(*order["crash"])
        code = run(group)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _crash_at(point: str, passing: int) -> None:
    place, name, when = POINTS[point]
    owner, left = _owner(place), [passing]

    def passed() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    original = getattr(owner, name)
    wrap = _around_a_context if name == "transaction" else _around
    setattr(owner, name, wrap(original, passed, before=when == "before"))


def _owner(place: str) -> Any:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError:
        module, _, name = place.rpartition(".")
        return getattr(importlib.import_module(module), name)


def _around(original: Callable[..., Any], passed: Callable[[], None], *, before: bool) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            passed()
        result = original(*arguments, **options)
        if not before:
            passed()
        return result

    return wrapped


def _around_a_context(original: Callable[..., Any], passed: Callable[[], None], *, before: bool) -> Callable[..., Any]:
    @contextmanager
    def wrapped(*arguments: Any) -> Any:
        if before:
            passed()
        with original(*arguments) as given:
            yield given
        if not before:
            passed()

    return wrapped


if __name__ == "__main__":
    serve()
