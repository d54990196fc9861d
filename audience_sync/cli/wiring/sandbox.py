"""Run the sandbox: check the rules of access, open its file, and serve until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from audience_sync.cli.base.layout import Screen, advice, prose
from audience_sync.cli.base.output import screen, write
from audience_sync.cli.base.session import Session
from audience_sync.cli.wiring.web import Listener, access_of, open_socket
from audience_sync.sandbox.app import POSTS, sandbox_app
from audience_sync.sandbox.config import ADDRESS
from audience_sync.sandbox.state.state import State
from audience_sync.web.serve import address_of, serve


def run_sandbox(session: Session, listener: Listener, *, file: Path, keep: int) -> None:
    """Serve the sandbox until it is stopped. Raises ConfigError or click.ClickException."""
    access = access_of(listener, cookie="audience_sync_sandbox", posts=POSTS)
    with open_socket(listener) as opened:
        address = address_of(opened).rstrip("/")
        app = sandbox_app(State(file, keep=keep), address=address, access=access, zone=local_zone())
        try:
            serve(app, opened, announce=lambda _: _announce(session, address, file))
        finally:
            app.close()


def local_zone() -> ZoneInfo:
    """Return the zone of this machine; UTC if it has no name in the tz database."""
    name = os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")[2]
    try:
        return ZoneInfo(name.removeprefix("Etc/") if name.endswith("UTC") else name or "UTC")
    except (KeyError, ValueError, OSError):  # no such zone, or a rule such as CET-1CEST
        return ZoneInfo("UTC")


def _announce(session: Session, address: str, file: Path) -> None:
    """State where the sandbox listens, and what to do next: on stderr, or with --json as a document on stdout."""
    if session.as_json:
        session.answer({"address": address, "file": str(file)}, lambda _: [])
        return
    shown = screen(error=True)
    lines = [
        f"Sandbox: {address}",
        *prose(f"It keeps what it receives in {file}, and sends nothing on. Ctrl-C ends it.", shown),
        *_sending_here(address, shown),
    ]
    write(lines, error=True)


def _sending_here(address: str, shown: Screen) -> list[str]:
    """How to send calls to this address."""
    if address != ADDRESS:
        return prose(f"Destinations that send here, to copy into a config: {address}/setup", shown)
    make = ("audience-sync init --sandbox shop", "cd shop && audience-sync sync")
    return advice("A sample project that sends here, in another terminal:", *make, screen=replace(shown, options=""))
