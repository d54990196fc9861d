"""Set up the process: encodings for programs and for people, rare collections of garbage, and a quick end."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

#: New objects that start a collection. A run makes millions of calls and no cycles: with Python's default of 700 it
#: would spend half of its time on collections. Imports alone make 150,000 objects.
YOUNG = 500_000


def set_up_streams() -> None:
    """Make stdout and stderr accept every character: one that the encoding lacks becomes a question mark.

    A stream that the parent process closed is replaced by the null device. With an ASCII locale and without Python's
    UTF-8 mode, files with other names can't be opened: then the command restarts itself in that mode.
    """
    if sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the process ends
        _reconfigure(getattr(sys, name), errors="replace")


def write_utf8(stream: TextIO) -> None:
    """Write UTF-8 from now on, under every locale.

    Half a surrogate pair (from a file name that is not UTF-8) becomes an escape, which is valid in JSON.
    """
    _reconfigure(stream, encoding="utf-8", errors="backslashreplace")


def read_utf8(stream: TextIO) -> None:
    """Read UTF-8 from now on, with or without a byte order mark, under every locale."""
    _reconfigure(stream, encoding="utf-8-sig", errors="strict")


def _reconfigure(stream: TextIO, *, errors: str, encoding: str | None = None) -> None:
    if isinstance(stream, TextIOWrapper):  # a test or an embedding program may have replaced the stream
        stream.reconfigure(encoding=encoding, errors=errors)


def collect_garbage_rarely() -> None:
    """Collect rarely during the command, and never among imported modules: that would cost every command 0.1 s."""
    gc.set_threshold(YOUNG)


def end_quickly() -> Callable[[int], None]:
    """Return a function that sets the exit code. Then the process ends as soon as its exit handlers have run.

    Python would free every object before, which takes as long as a small run. The first handler is called last, so
    call this before another one is registered. If there is one already, the process ends as usual.
    """
    codes = list[int]()

    def end() -> None:
        if codes:
            with suppress(OSError, ValueError):  # Python reports it
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(codes[0])

    if not atexit._ncallbacks():
        atexit.register(end)
    return codes.append


def freeze_imports() -> None:
    """Exclude all existing objects from later collections, unless DuckDB is loaded: it would report them as leaked."""
    if "duckdb" not in sys.modules:
        gc.freeze()
