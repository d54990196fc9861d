"""Run a command as a person does at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from forks import forks

from .conftest import Project


class Seen(NamedTuple):
    """The exit code, what is on the screen, and what comes on stderr if that is no terminal."""

    code: int
    screen: str
    err: str


def at_a_terminal(
    project: Project,
    *arguments: str,
    typed: str | None = None,
    width: int = 80,
    environment: Mapping[str, str] | None = None,
) -> Seen:
    """stdout is a terminal of this width. With what a person has ``typed``, stdin and stderr are the same one."""
    screen, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    if typed is not None:
        os.write(screen, typed.encode())
    name = os.ttyname(theirs)
    stdin, err = (os.devnull, None) if typed is None else (name, name)
    kept = {name: value for name, value in project.environment.items() if name != "COLUMNS"}

    def run() -> tuple[int, bytes, bytes]:
        try:
            variables = kept | dict(environment or {})
            return forks().run(arguments, folder=project.folder, environment=variables, stdin=stdin, out=name, err=err)
        finally:
            os.close(theirs)

    seen = b""
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run)
        with suppress(OSError):  # the command has ended
            while part := os.read(screen, 65536):
                seen += part
        code, _, errors = running.result()
    os.close(screen)
    return Seen(code, seen.decode().replace("\r\n", "\n"), errors.decode())
