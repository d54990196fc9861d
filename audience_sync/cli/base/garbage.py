"""Keep Python from looking for cycles among the objects of imported modules, which takes 0.1 s of every command."""

from __future__ import annotations

import atexit
import gc
import sys

#: New objects before Python looks for cycles among them. A run makes millions of calls and no cycles: with the 700
#: that Python looks after, it spends half of the time on looking. Imports alone make 150,000 objects.
YOUNG = 500_000


def collect_garbage_rarely() -> None:
    """Let Python look for cycles rarely while the command runs, and at its end not among what was imported."""
    gc.set_threshold(YOUNG)
    atexit.register(freeze_imports)


def freeze_imports() -> None:
    """Leave all objects that exist now out of every later look, unless DuckDB is loaded: it reports them as leaked."""
    if "duckdb" not in sys.modules:
        gc.freeze()
