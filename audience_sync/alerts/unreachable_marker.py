"""Name the file that marks that people were notified of an unreachable store, which can't keep the alert."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = "audience-sync"


def marker_paths(label: str) -> Iterator[Path]:
    """Possible paths of the marker of a store, the best first: the folder of systemd's service, the user's, the host's.

    ``label``: the store's address for people.
    """
    name = f"unreached-{hashlib.sha256(label.encode()).hexdigest()[:16]}"
    given, home = os.environ.get("STATE_DIRECTORY", "").split(":")[0], os.environ.get("HOME")
    if given:
        yield Path(given, name)
    if states := os.environ.get("XDG_STATE_HOME") or (home and f"{home}/.local/state"):
        yield Path(states, FOLDER, name)
    yield Path(tempfile.gettempdir(), f"{FOLDER}-{os.getuid()}", name)
