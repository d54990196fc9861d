"""Collect garbage rarely, and never among imported modules, which would cost every command 0.1 s."""

from __future__ import annotations

import atexit
import gc
import sys

#: New objects that start a collection. A run makes millions of calls and no cycles: with Python's default of 700 it
#: would spend half of its time on collections. Imports alone make 150,000 objects.
YOUNG = 500_000


def collect_garbage_rarely() -> None:
    """Collect rarely during the command, and leave imported modules out of the last collection."""
    gc.set_threshold(YOUNG)
    atexit.register(freeze_imports)


def freeze_imports() -> None:
    """Exclude all existing objects from later collections, unless DuckDB is loaded: it would report them as leaked."""
    if "duckdb" not in sys.modules:
        gc.freeze()
