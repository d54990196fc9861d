"""Set the encodings of stdin, stdout and stderr: UTF-8 for programs, the terminal's own for people."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO


def set_up_streams() -> None:
    """Let no character end a command: what an encoding can't write becomes a question mark.

    A stream that was closed by the parent process is replaced by one that goes nowhere. Where the locale is ASCII and
    Python was kept from its UTF-8 mode, no file with another name can be opened: the command starts again with it.
    """
    if sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the process ends
        _reconfigure(getattr(sys, name), errors="replace")


def write_utf8(stream: TextIO) -> None:
    """Write UTF-8 from now on, whatever the locale is.

    Half a surrogate pair (from a file name that is not UTF-8) becomes an escape, which is valid in JSON.
    """
    _reconfigure(stream, encoding="utf-8", errors="backslashreplace")


def read_utf8(stream: TextIO) -> None:
    """Read UTF-8 from now on, with or without a byte order mark, whatever the locale is."""
    _reconfigure(stream, encoding="utf-8-sig", errors="strict")


def _reconfigure(stream: TextIO, *, errors: str, encoding: str | None = None) -> None:
    if isinstance(stream, TextIOWrapper):  # a test or a program around this one may have put something else there
        stream.reconfigure(encoding=encoding, errors=errors)
