"""How are answers shown? Tables for people, JSON for programs, on stdout; progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

#: Columns where the output is no terminal, so that nothing is cut or wrapped.
UNLIMITED = 10_000


def console(*, error: bool = False) -> Console:
    """Rich where there is a terminal; plain text, never cut, where there is none."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else UNLIMITED
    return Console(stderr=error, highlight=False, width=width, soft_wrap=not stream.isatty())


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def print_table(columns: Mapping[str, str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """A table; ``columns`` maps a heading to its alignment (``left`` or ``right``)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, header_style="bold")
    for heading, alignment in columns.items():
        table.add_column(heading, justify="right" if alignment == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(show(value)) for value in row))
    console().print(table)


def show(value: object) -> str:
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


def plural(count: int, thing: str) -> str:
    """``1 call``, ``1,234 calls``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def line(text: str) -> None:
    """A line of an answer, as it is (no markup)."""
    console().print(text, markup=False)
