"""Identify the process that owns the lease and the person who started it, and find out whether it still runs."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from audience_sync.text import storable, utc_time

#: Characters of a user's or host's name. The environment may hold anything.
MAX_NAME = 200
#: The variables that name the user, the first one with sudo.
NAME_VARIABLES = ("SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME")


def current_process() -> str:
    """This process, for people and for ``is_dead``: host and process id, with the ids that make them unique."""
    return process_name(os.getpid())


def process_name(process: int) -> str:
    """The same for another process of this machine, by its id."""
    return f"process {process} on {socket.gethostname()} ({_machine_id()}/{_start_time(process)})"


def current_user() -> str:
    """The name of the person who gives the command: with sudo, of the one who used it.

    It is that of ``getpass.getuser``, whose module loads a millisecond of others.
    """
    if name := next(filter(None, map(os.environ.get, NAME_VARIABLES)), None):
        return _name(name)
    import pwd

    try:
        return _name(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container may have a number without a name
        return f"uid {os.getuid()}"


def current_host() -> str:
    return _name(socket.gethostname())


def _name(text: str) -> str:
    return storable("".join(sign for sign in text if sign.isprintable() or "\ud800" <= sign <= "\udfff"))[:MAX_NAME]


def busy_message(name: str, since: float) -> str:
    when = utc_time(datetime.fromtimestamp(since, UTC))
    return (
        f"Another run is in progress ({name.partition(' (')[0]}, since {when}). Nothing was done.\n"
        "Try again when it has finished. If its process has died, the next run replaces it: at once on the same "
        "machine, after one minute from another."
    )


def is_dead(name: str) -> bool:
    """Whether the owner was a process of this machine (and container) that has ended."""
    return _is_running(name) is False


def is_alive(name: str) -> bool:
    """Whether it is a process of this machine (and container) that has not ended."""
    return _is_running(name) is True


def _is_running(name: str) -> bool | None:
    """None for a process of another machine."""
    process, _, identity = name.partition(" (")
    machine, _, started = identity.rstrip(")").partition("/")
    if not machine or machine != _machine_id():
        return None
    return _start_time(int(process.split()[1])) == started


def _machine_id() -> str:
    """The boot id and process namespace, within which a process id is unique; empty if the system hides them."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _start_time(process: int) -> str:
    """The start time of a process, in clock ticks since boot; empty if it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
