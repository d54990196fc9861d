"""Run a command of ``audience-sync`` with slices of a few users, so that a small project has many of them.

    python -m crash.in_slices USERS KILLED_BEFORE sync --json

``KILLED_BEFORE``: the number of the slice before which the process kills itself, counted from 1; 0 is none.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

#: The folder of the packages of tests, for ``PYTHONPATH``.
TESTS = Path(__file__).parents[1]


def command(users: int, *arguments: str, killed_before: int = 0) -> list[str]:
    return [sys.executable, "-m", "crash.in_slices", str(users), str(killed_before), *arguments]


def cut(users: int, killed_before: int = 0) -> None:
    """Let the commands of this process make slices of so many users."""
    from audience_sync.sync.deliver import pending

    pending.SLICE_USERS = users
    make, numbers = pending._CursorOf.make_slice, count(1)

    def make_or_be_killed(each: Any, workspace: Any, part: Any) -> Any:
        if next(numbers) == killed_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return make(each, workspace, part)

    pending._CursorOf.make_slice = make_or_be_killed  # type: ignore[method-assign, assignment]


def main() -> None:
    users, killed_before, *arguments = sys.argv[1:]
    cut(int(users), int(killed_before))
    from audience_sync.cli import main as run_command

    sys.argv = ["audience-sync", *arguments]
    run_command()


if __name__ == "__main__":
    main()
