"""Distinguish files that this program wrote from other files, by their beginning."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

#: Bytes that are read: enough for the first line of nearly every file of calls.
_BEGINNING_BYTES = 64 * 1024
_CALL_TYPES = ("identify", "track", "alias")
#: The beginnings of lines in a file of calls; a crash may have cut the first line at any byte.
_CALL_BEGINNINGS = tuple(f'{{"type":"{each}","messageId":"'.encode() for each in _CALL_TYPES)
_METRICS = re.compile(rb"# (?:HELP|TYPE) audience_sync_")


def contains_other_than_calls(file: int | str | Path) -> bool:
    """Whether an existing file has content, and does not begin with a message of a `file` destination."""
    content = _beginning(file).lstrip()
    if not content or any(content.startswith(each) or each.startswith(content) for each in _CALL_BEGINNINGS):
        return False
    try:  # another program may have reformatted the lines
        first = json.loads(content.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return True
    return not (isinstance(first, dict) and first.get("type") in _CALL_TYPES and "messageId" in first)


def contains_other_than_metrics(file: str | Path) -> bool:
    """Whether an existing file has content, and does not begin with a metric of this program."""
    content = _beginning(file).lstrip()
    return bool(content) and not _METRICS.match(content)


def _beginning(file: int | str | Path) -> bytes:
    """The first bytes; empty for a file that is missing, unreadable or a device, which its writer reports."""
    try:
        if isinstance(file, int):
            return os.pread(file, _BEGINNING_BYTES, 0)
        if not stat.S_ISREG(os.stat(file).st_mode):
            return b""
        with open(file, "rb") as opened:
            return opened.read(_BEGINNING_BYTES)
    except (OSError, ValueError):  # ValueError: a NUL character
        return b""
