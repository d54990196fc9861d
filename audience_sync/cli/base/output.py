"""Print answers: lines for people, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from audience_sync.cli.base.layout import Screen
from audience_sync.cli.base.process import write_utf8
from audience_sync.command_line import given_options
from audience_sync.text import iso_time

if TYPE_CHECKING:
    from rich.console import Console

#: Columns without a terminal, so that nothing is cut or wrapped.
UNLIMITED = 10_000


def screen(*, error: bool = False) -> Screen:
    """The screen of stdout or stderr: the terminal's width and colour, or a pipe."""
    stream = sys.stderr if error else sys.stdout
    if not stream.isatty():
        return pipe()
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    blocks = has_blocks(stream.encoding, os.environ)
    return Screen(shutil.get_terminal_size().columns, colour, blocks, given_options())


def pipe() -> Screen:
    """No terminal, for lines of this process."""
    return Screen(options=given_options())


def has_blocks(encoding: str | None, variables: Mapping[str, str]) -> bool:
    """Whether block characters can be shown: not in the locale C, on a console of Linux, or a dumb terminal.

    Python replaces the locale C of ``LANG`` by a ``LC_CTYPE`` of its own; the terminal still is as ``LANG`` states.
    """
    chosen = next((text for name in ("LC_ALL", "LC_CTYPE", "LANG") if (text := variables.get(name))), "")
    if not variables.get("LC_ALL") and variables.get("LANG") in ("C", "POSIX"):
        chosen = "C"
    is_utf8 = chosen.lower().replace("-", "").partition("@")[0].endswith(".utf8")
    can_encode = (encoding or "").lower().replace("-", "") == "utf8"
    return is_utf8 and can_encode and variables.get("TERM", "dumb") not in ("dumb", "linux")


def write(lines: Iterable[str], *, error: bool = False) -> None:
    """Print lines and flush."""
    text = "".join(f"{each}\n" for each in lines)
    stream = sys.stderr if error else sys.stdout
    stream.write(text)
    stream.flush()


def console(*, error: bool = False) -> Console:
    """A console of rich on stdout or stderr; without a terminal it never wraps."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else UNLIMITED
    return Console(stderr=error, highlight=False, width=width, soft_wrap=not stream.isatty())


def print_json(value: Any) -> None:
    write_utf8(sys.stdout)
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return iso_time(value, "auto") if isinstance(value, datetime) else str(value)


def time_text(moment: datetime | None) -> str:
    """Format a time to the second, in the zone that it has (UTC in the store); empty for None."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def short_duration(seconds: float | None) -> str:
    """Format ``0.1 s``, ``10 s`` or ``3 min``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
