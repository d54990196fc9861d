"""Make a project with a destination of each protocol and its receivers, and run the command inside the tests."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

from cli.conftest import Project, Result

from audience_sync.cli import group
from audience_sync.cli.base.errors import run
from audience_sync.delivery.send.request_sender import RequestSender

from .server import Fault, FaultServer, running

WRITE_KEY = "wk-3f9c51d7e2"
PRIVATE_KEY = "pk-8842aa19cd"
TOKEN = "tok-77c1b0e5f4"
SECRETS = {
    "segment": (WRITE_KEY,),
    "rudderstack": (WRITE_KEY,),
    "zendesk_connect": (PRIVATE_KEY,),
    "webhook": (TOKEN,),
}
#: The body of a success, by protocol.
SUCCESSES = {"segment": b'{"success": true}', "rudderstack": b"ok", "zendesk_connect": b"", "webhook": b"thanks"}
PROTOCOLS = tuple(SUCCESSES)
#: The paths of calls, by protocol.
PATHS = {
    "segment": {"/v1/batch"},
    "rudderstack": {"/v1/batch"},
    "zendesk_connect": {"/v2/identify", "/v2/identify/batch"},
    "webhook": {"/hook"},
}
#: Seconds between two attempts; a real run waits longer each time.
PAUSE = 0.02


def options(protocol: str, url: str, **more: Any) -> dict[str, Any]:
    """The config of a destination, with one request at a time, so that requests arrive in order."""
    own: dict[str, dict[str, Any]] = {
        "segment": {"write_key": WRITE_KEY, "url": url},
        "rudderstack": {"write_key": WRITE_KEY, "url": url},
        "zendesk_connect": {"private_key": PRIVATE_KEY, "url": url},
        "webhook": {"url": f"{url}/hook", "body": "batch", "headers": {"Authorization": f"Bearer {TOKEN}"}},
    }
    return {"type": protocol, "concurrency": 1, **own[protocol], **more}


class FaultHarness(Project):
    """A project with a destination named after each protocol. ``servers``: their receivers."""

    def __init__(self, folder: Path, servers: dict[str, FaultServer]) -> None:
        super().__init__(folder)
        self.servers = servers

    def connect(self, address: str | None = None, *, only: str | None = None, **more: Any) -> None:
        """Write a config with every destination at its receiver.

        ``address`` and further options are those of all destinations, or of the one named ``only``.
        """
        self.configure(
            audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
            destinations={
                name: options(name, address or server.url, **more)
                if only in (None, name)
                else options(name, server.url)
                for name, server in self.servers.items()
            },
        )

    def meet_with(self, fault: Fault | None) -> None:
        for server in self.servers.values():
            server.meet_with(fault)

    def run(self, *arguments: str) -> Result:
        """Run the command in this process, which is faster."""
        out, err = StringIO(), StringIO()
        with as_a_process(self.folder, arguments), redirect_stdout(out), redirect_stderr(err):
            code = run(group)
        return Result(code, out.getvalue(), err.getvalue())


@contextmanager
def as_a_process(folder: Path, arguments: tuple[str, ...]) -> Iterator[None]:
    """Set the folder and the arguments for a command, and restore what it changes in the process."""
    handler, level = signal.getsignal(signal.SIGTERM), logging.getLogger("audience_sync").level
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUDIENCE_SYNC")}
    try:
        with (
            chdir(folder),
            mock.patch.object(sys, "argv", ["audience-sync", *arguments]),
            mock.patch.dict(os.environ, kept, clear=True),
        ):
            yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        logging.getLogger("audience_sync").setLevel(level)


@contextmanager
def short_pauses() -> Iterator[None]:
    """Shorten the pauses between two attempts; a run does the same in less time."""
    with mock.patch.dict(RequestSender.__init__.__kwdefaults__ or {}, {"retry_delay": lambda attempt: PAUSE}):
        yield


@contextmanager
def servers(*protocols: str) -> Iterator[dict[str, FaultServer]]:
    with ExitStack() as stack:
        yield {protocol: stack.enter_context(running(SUCCESSES[protocol])) for protocol in protocols}
