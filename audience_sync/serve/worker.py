"""Carry out one request in a process of its own, which Ctrl-C ends as it ends a command.

The process gets its work as JSON on stdin once it may begin, and answers with events on stdout, one JSON document a
line. Its log goes to stderr. If the server dies, it finishes its run.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from audience_sync.store.connection.process_identity import process_name

#: Seconds after which an interrupted process ends itself as by `kill -9`, and after which it is killed. The server
#: itself has 15.
ENDS_WITHIN, PATIENCE = 10.0, 12.0


class Worker:
    """A process that waits for its work. ``name``: the process, as the store records it for the run."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True, encoding="utf-8"
        )
        self.name = process_name(self._process.pid)
        self.answer: Mapping[str, Any] = {}
        self._begun, self._ended = threading.Event(), threading.Event()
        self._reader = threading.Thread(target=self._read, name="worker", daemon=True)

    def begin(self, work: Mapping[str, Any]) -> None:
        """Let it begin. ``work``: the method of the project, and its arguments."""
        assert self._process.stdin is not None
        self._reader.start()
        with suppress(OSError):  # a process that can't start has its reason on stderr
            self._process.stdin.write(json.dumps(work))
            self._process.stdin.close()

    def wait_begun(self) -> None:
        """Wait until the run has begun to load, or the process has ended."""
        self._begun.wait()

    def wait(self) -> Mapping[str, Any]:
        """Wait for the end. Returns the answer: ``result``, or ``error`` with its class and message."""
        self._ended.wait()
        return self.answer

    @property
    def has_begun(self) -> bool:
        """Whether its run has begun to load, or has ended."""
        return self._begun.is_set()

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    def discard(self) -> None:
        """End it before it has begun."""
        self._process.kill()
        self._process.wait()

    def interrupt(self) -> None:
        """End it as Ctrl-C does: every answer received so far is recorded. It may be called again."""
        with suppress(OSError):
            self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """Interrupt it, and kill it if it does not end in time. The next run continues from what it recorded."""
        self.interrupt()
        if not self._ended.wait(PATIENCE):
            self._process.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "ended":
                self.answer = event
            self._begun.set()
        code = self._process.wait()
        if not self.answer:
            self.answer = {"error": "WorkerError", "message": f"The process of the run ended with code {code}."}
        self._begun.set()
        self._ended.set()
