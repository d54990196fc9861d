"""Share commands, receivers and stores between the histories of a search."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from .commands import Commands
from .project_files import DESTINATIONS, TYPES
from .receiver import Destination, Receivers
from .vendors import Account


class Harness:
    """The server of commands, the receivers, and new stores.

    ``types``: the types of the destinations. ``warehouse``: the URL of a database with the audiences, which compares
    them; None: they are files. ``state``: the URL of a folder or a bucket with the snapshots; None: the store has them.
    """

    def __init__(
        self,
        folder: Path,
        new_store: Callable[[], str],
        bug: str | None = None,
        types: tuple[str, ...] = TYPES,
        warehouse: str | None = None,
        state: str | None = None,
    ) -> None:
        self.folder = folder
        self.new_store = new_store
        self.bug = bug
        self.numbers = count(1)
        self.commands = Commands(folder)
        self.types = types
        self.warehouse = warehouse
        self.state = state
        self.receivers = Receivers(*DESTINATIONS, new=dict(zip(DESTINATIONS, map(_receiver, types), strict=True)))
        self.failures: list[str] = []
        self.done = {"commands": 0, "kills": 0, "messages": 0, "checks": 0}

    def close(self) -> None:
        self.receivers.close()


def _receiver(kind: str) -> Callable[[], Destination]:
    return Destination if kind in TYPES else partial(Account, vendor=kind)
