"""What the histories of a search share: commands, receivers, stores."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from .commands import Commands
from .project_files import DESTINATIONS
from .receiver import Receivers


class Harness:
    """What the machines share: the server of commands, the receivers, and new stores."""

    def __init__(self, folder: Path, new_store: Callable[[], str], bug: str | None = None) -> None:
        self.folder = folder
        self.new_store = new_store
        self.bug = bug
        self.numbers = count(1)
        self.commands = Commands(folder)
        self.receivers = Receivers(*DESTINATIONS)
        self.failures: list[str] = []
        self.done = {"commands": 0, "kills": 0, "messages": 0, "checks": 0}

    def close(self) -> None:
        self.receivers.close()
