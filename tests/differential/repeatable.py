"""Make a command repeatable: what is random in it follows from its number.

It runs inside the version under test, which may be an older one: it imports the standard library alone.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import uuid
from hashlib import sha256
from itertools import count


def prepare(command: int, bug: str | None = None) -> None:
    """In the process of a command, before it starts. ``command``: its number. ``bug``: one of model/bugs.py."""
    numbers = count(1)

    def token(nbytes: int | None = None) -> str:
        return sha256(f"{command} {next(numbers)}".encode()).hexdigest()[: 2 * (nbytes or 16)]

    secrets.token_hex = token
    uuid.uuid4 = lambda: uuid.UUID(token(16))
    getpass.getuser = lambda: "ana"
    os.environ["SUDO_USER"] = "ana"
    socket.gethostname = lambda: "laptop"
    if bug:
        from model.bugs import plant

        plant(bug)
