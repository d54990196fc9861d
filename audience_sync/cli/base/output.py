"""How are answers shown? Tables for people, JSON for programs, on stdout; progress on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from audience_sync.cli.base.layout import PIPE, Screen
from audience_sync.cli.base.streams import write_utf8

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Columns where the output is no terminal, so that nothing is cut or wrapped.
UNLIMITED = 10_000
#: Columns that are shown only where some row has something in them.
ONLY_IF_ANY = (
    *("refused", "pending", "held", "invalid", "absent", "returned", "held_out"),
    *("retries", "http_status", "error"),
)
#: How words that need a look stand out on a terminal.
STYLES = {
    "failed": "bold red",
    "held": "bold red",
    "partial": "yellow",
    "waiting": "yellow",
    "frozen": "cyan",
    "retired": "dim",
    "succeeded": "green",
}


def screen(*, error: bool = False) -> Screen:
    """Where an answer is shown: the terminal's width and whether it has colour, or a pipe."""
    stream = sys.stderr if error else sys.stdout
    if not stream.isatty():
        return PIPE
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(shutil.get_terminal_size().columns, colour)


def write(lines: Iterable[str], *, error: bool = False) -> None:
    """Lines as they were laid out, at once."""
    text = "".join(f"{each}\n" for each in lines)
    stream = sys.stderr if error else sys.stdout
    stream.write(text)
    stream.flush()


def console(*, error: bool = False) -> Console:
    """Rich where there is a terminal; plain text, never cut, where there is none."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else UNLIMITED
    return Console(stderr=error, highlight=False, width=width, soft_wrap=not stream.isatty())


def print_json(value: Any) -> None:
    write_utf8(sys.stdout)
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def print_table(columns: Mapping[str, str], rows: Sequence[Sequence[object]]) -> None:
    """A table; ``columns`` maps a heading to its alignment (``left`` or ``right``). Only the last column wraps."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = box.SIMPLE_HEAD if sys.stdout.isatty() else None
    table = Table(box=lines, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0) if lines is None else (0, 1))
    for heading, alignment in columns.items():
        last = heading == list(columns)[-1]
        table.add_column(heading, justify="right" if alignment == "right" else "left", no_wrap=not last)
    for row in rows:
        table.add_row(*(Text(format_value(value), style=STYLES.get(str(value), "")) for value in row))
    _print_without_ends(table)


def _print_without_ends(table: Table) -> None:
    """Where it is no terminal, lines end with their last sign."""
    to = console()
    if to.is_terminal:
        to.print(table)
        return
    with to.capture() as captured:
        to.print(table)
    print("\n".join(text.rstrip() for text in captured.get().splitlines()))


def print_columns(columns: Mapping[str, tuple[str, str]], rows: Sequence[Mapping[str, object]]) -> None:
    """A table of a view's rows, without the columns that only matter when something is in them."""
    shown = {
        name: heading for name, heading in columns.items() if name not in ONLY_IF_ANY or any(row[name] for row in rows)
    }
    print_table(dict(shown.values()), [[_cell(name, row[name]) for name in shown] for row in rows])


def _cell(name: str, value: object) -> object:
    match name:
        case "run":
            return str(value)
        case "error":
            return str(value or "").partition("\n")[0]
        case _:
            return value


def format_value(value: object) -> str:
    """A value for people: counts with thousands, times to the second in UTC."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.1f}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case _:
            return str(value)


def path_text(text: str) -> str:
    """A path as short as it can be said from here."""
    here = os.path.relpath(text)
    return text if "://" in text or here.startswith("..") else here


def line(text: str, *, error: bool = False) -> None:
    """A line of an answer, as it is (no markup); ``error``: on stderr."""
    console(error=error).print(text, markup=False)


def print_truncated(text: str) -> None:
    """A line that may be long: cut at the end of a terminal's line, whole elsewhere."""
    console().print(text, markup=False, no_wrap=True, overflow="ellipsis")


def short_duration(seconds: float | None) -> str:
    """``0.1 s``, ``10 s``, ``3 min``; empty where it is not stored."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"
