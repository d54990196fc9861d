"""A project with a destination of each protocol, its receivers, and the command run inside the tests' own process."""

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
from audience_sync.delivery.send.sender import BatchSender

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
#: What each protocol's service says to a success.
TAKEN = {"segment": b'{"success": true}', "rudderstack": b"ok", "zendesk_connect": b"", "webhook": b"thanks"}
PROTOCOLS = tuple(TAKEN)
#: Where each protocol's calls go.
PATHS = {
    "segment": {"/v1/batch"},
    "rudderstack": {"/v1/batch"},
    "zendesk_connect": {"/v2/identify", "/v2/identify/batch"},
    "webhook": {"/hook"},
}
#: Seconds of pause between two attempts, instead of the growing ones of a real run.
PAUSE = 0.02


def options(protocol: str, url: str, **more: Any) -> dict[str, Any]:
    """The destination's config; one request at a time, so that what comes is in order."""
    own: dict[str, dict[str, Any]] = {
        "segment": {"write_key": WRITE_KEY, "url": url},
        "rudderstack": {"write_key": WRITE_KEY, "url": url},
        "zendesk_connect": {"private_key": PRIVATE_KEY, "url": url},
        "webhook": {"url": f"{url}/hook", "body": "batch", "headers": {"Authorization": f"Bearer {TOKEN}"}},
    }
    return {"type": protocol, "concurrency": 1, **own[protocol], **more}


class FaultHarness(Project):
    """``servers``: a receiver for each destination, which has the name of its protocol."""

    def __init__(self, folder: Path, servers: dict[str, FaultServer]) -> None:
        super().__init__(folder)
        self.servers = servers

    def connect(self, address: str | None = None, *, only: str | None = None, **more: Any) -> None:
        """The config: every destination at its receiver, or (``only`` one of them) at ``address`` and with these
        options more."""
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
        """The command as a process would run it, faster."""
        out, err = StringIO(), StringIO()
        with as_a_process(self.folder, arguments), redirect_stdout(out), redirect_stderr(err):
            code = run(group)
        return Result(code, out.getvalue(), err.getvalue())


@contextmanager
def as_a_process(folder: Path, arguments: tuple[str, ...]) -> Iterator[None]:
    """Folder and arguments are this command's; what it sets for its whole process is put back."""
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
    """Between two attempts: what a run does is the same, it only takes less time."""
    with mock.patch.dict(BatchSender.__init__.__kwdefaults__ or {}, {"retry_delay": lambda attempt: PAUSE}):
        yield


@contextmanager
def servers(*protocols: str) -> Iterator[dict[str, FaultServer]]:
    with ExitStack() as stack:
        yield {protocol: stack.enter_context(running(TAKEN[protocol])) for protocol in protocols}
