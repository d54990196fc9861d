"""Lay out answers for people: turn tables, label blocks, prose and commands into lines.

A terminal wraps prose and fits tables; a pipe gets every column of every row on one line, without colour.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Spaces between two columns, and between a label and its text.
GAP = "  "
#: The indent of lines that belong to the line above.
INDENT = "  "
#: The width of a normal terminal; a narrower one stacks tables rather than losing their columns.
NORMAL = 80

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}
#: Colour repeats a word, and never replaces it.
COLOURS = {
    "succeeded": "green",
    "ok": "green",
    "partial": "yellow",
    "waiting": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "FAILED": "red",
    "held": "red",
    "frozen": "cyan",
    "retired": "dim",
}


@dataclass(frozen=True, slots=True)
class Screen:
    """Where lines are shown. ``width``: columns of the terminal; None without a terminal."""

    width: int | None = None
    colour: bool = False

    @property
    def is_narrow(self) -> bool:
        return self.width is not None and self.width < NORMAL

    def styled(self, text: str, style: str | None) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and style and text else text

    def coloured(self, text: str, *words: str) -> str:
        """Colour the first of these words that has a colour and occurs in the text."""
        for word in words:
            if word in COLOURS and word in text:
                return text.replace(word, self.styled(word, COLOURS[word]), 1)
        return text


#: No terminal.
PIPE = Screen()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    ``right``: aligned right, for numbers. ``keep``: shown on a terminal even if it is empty or zero in all rows.
    ``lost``: the order in which a table that is too wide loses columns, from 1; None: never.
    """

    heading: str
    right: bool = False
    keep: bool = False
    lost: int | None = None


def width_of(text: str) -> int:
    """The columns of a terminal that a text fills."""
    if text.isascii():
        return len(text)
    return sum(_width_of_character(each) for each in text)


def _width_of_character(each: str) -> int:
    if unicodedata.combining(each):
        return 0
    return 2 if unicodedata.east_asian_width(each) in "WF" else 1


def cell(value: object) -> str:
    """Format a value for a table: counts with thousands separators; None is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    screen: Screen,
    *,
    notes: Sequence[Sequence[str]] = (),
    stack_if_narrow: bool = False,
    indent: str = "",
) -> list[str]:
    """Lay out a table without a frame: a line of headings, and one line a row.

    ``notes``: texts under each row, wrapped. ``stack_if_narrow``: on a narrow terminal, stack a table that does not fit
    (the first column on a line, the others under it) instead of leaving out columns.
    """
    if not rows:
        return []
    cells = [[cell(value) for value in row] for row in rows]
    shown = list(range(len(columns)))
    if screen.width is None:
        return _rows_table(columns, cells, shown, screen, notes, indent)
    shown = [i for i in shown if i == 0 or columns[i].keep or any(_has_content(row[i]) for row in rows)]
    fits = _width(columns, cells, shown, indent) <= screen.width
    if not fits and not (stack_if_narrow and screen.is_narrow):
        for index in sorted((i for i in shown if columns[i].lost), key=lambda i: columns[i].lost or 0):
            shown.remove(index)
            fits = _width(columns, cells, shown, indent) <= screen.width
            if fits:
                break
    lay = _rows_table if fits else _stacked_table
    return lay(columns, cells, shown, screen, notes, indent)


def _has_content(value: object) -> bool:
    return value is not None and value != "" and value is not False and value != 0


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], shown: Sequence[int]) -> dict[int, int]:
    return {i: max(width_of(columns[i].heading), *(width_of(row[i]) for row in cells)) for i in shown}


def _width(columns: Sequence[Column], cells: Sequence[Sequence[str]], shown: Sequence[int], indent: str) -> int:
    widths = _widths(columns, cells, shown)
    return len(indent) + sum(widths.values()) + len(GAP) * (len(shown) - 1)


def _rows_table(
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    shown: Sequence[int],
    screen: Screen,
    notes: Sequence[Sequence[str]],
    indent: str,
) -> list[str]:
    widths = _widths(columns, cells, shown)
    bold = [_padded(columns[i], columns[i].heading, widths[i], "bold", screen) for i in shown]
    lines = [_joined(bold, indent)]
    under = indent + " " * (widths[0] + len(GAP)) if columns[0].right else indent + INDENT
    for number, row in enumerate(cells):
        texts = [_padded(columns[i], row[i], widths[i], COLOURS.get(row[i]), screen) for i in shown]
        lines.append(_joined(texts, indent))
        for note in notes[number] if number < len(notes) else ():
            lines += prose(note, screen, indent=under)
    return lines


def _stacked_table(
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    shown: Sequence[int],
    screen: Screen,
    notes: Sequence[Sequence[str]],
    indent: str,
) -> list[str]:
    first, *others = shown
    lines = [indent + screen.styled(columns[first].heading, "bold")]
    deeper = indent + INDENT
    if not others:
        return [*lines, *(indent + row[first] for row in cells)]
    widths = _widths(columns, cells, others)
    lines.append(_joined([_padded(columns[i], columns[i].heading, widths[i], "bold", screen) for i in others], deeper))
    for number, row in enumerate(cells):
        lines.append(indent + row[first])
        texts = [_padded(columns[i], row[i], widths[i], COLOURS.get(row[i]), screen) for i in others]
        lines.append(_joined(texts, deeper))
        for note in notes[number] if number < len(notes) else ():
            lines += prose(note, screen, indent=deeper)
    return lines


def _padded(column: Column, text: str, width: int, style: str | None, screen: Screen) -> str:
    space = " " * (width - width_of(text))
    styled = screen.styled(text, style)
    return space + styled if column.right else styled + space


def _joined(texts: Sequence[str], indent: str) -> str:
    return (indent + GAP.join(texts)).rstrip()


def prose(text: str, screen: Screen, *, indent: str = "", hanging: str | None = None) -> list[str]:
    """Wrap text between words; a word is never broken. ``hanging``: the indent of further lines."""
    following = indent if hanging is None else hanging
    if screen.width is None:
        return [f"{indent if i == 0 else following}{part}".rstrip() for i, part in enumerate(text.splitlines() or [""])]
    lines, before = list[str](), indent
    for part in text.splitlines() or [""]:
        current, used = before, 0
        for word in part.split(" "):
            if used and width_of(current) + 1 + width_of(word) > screen.width:
                lines.append(current.rstrip())
                current, used = following, 0
            current += f" {word}" if used else word
            used += 1
        lines.append(current.rstrip())
        before = following
    return lines


def labelled(pairs: Iterable[tuple[str, str]], screen: Screen, *, indent: str = INDENT) -> list[str]:
    """Lay out a block of ``Label  text``, all texts at one indent; empty texts are left out.

    If the labels fill more than half of a terminal's line, each text stands under its label.
    """
    found = [(label, text) for label, text in pairs if text]
    width = max((width_of(label) for label, _ in found), default=0)
    lines = list[str]()
    for label, text in found:
        if fills_half(label, screen, width):
            lines += [indent + label, *prose(text, screen, indent=indent + INDENT)]
            continue
        start = f"{indent}{label}{' ' * (width - width_of(label))}{GAP}"
        lines += prose(text, screen, indent=start, hanging=" " * width_of(start))
    return lines


def fills_half(text: str, screen: Screen, width: int | None = None) -> bool:
    """Whether a text fills more than half of a terminal's line."""
    return screen.width is not None and (width_of(text) if width is None else width) > screen.width // 2


def command(text: str, *, indent: str = INDENT) -> str:
    """Lay out a command to paste: one line, never wrapped."""
    return indent + text


def intro_and_command(intro: str, text: str, screen: Screen) -> list[str]:
    """Lay out a command after its intro: on one line if both fit, otherwise on two."""
    one = f"{intro} {text}"
    return [one] if screen.width is None or width_of(one) <= screen.width else [*prose(intro, screen), command(text)]


def json_lines(text: str, screen: Screen, *, start: str, most: int | None = None) -> list[str]:
    """Lay out JSON on one line, or broken after commas on a narrower terminal. ``start``: the text before it.

    ``most``: the largest number of lines; the values that are left out are counted.
    """
    if screen.width is None or width_of(start) + width_of(text) <= screen.width:
        return [start + text]
    hanging = " " * (width_of(start) + 1)
    pieces = _json_pieces(text)
    lines, current, shown = list[str](), start, 0
    for number, piece in enumerate(pieces):
        empty = current in (start, hanging)
        if not empty and width_of(current) + width_of(piece) > screen.width:
            if most is not None and len(lines) == most - 1:
                return [*lines, *_truncated(current, len(pieces) - shown, screen, hanging)]
            lines.append(current)
            current = hanging
        current += piece
        shown = number + 1
    return [*lines, current]


def _truncated(current: str, left: int, screen: Screen, hanging: str) -> list[str]:
    more = f"... {left} more}}"
    if width_of(current) + 1 + len(more) <= (screen.width or 0):
        return [f"{current} {more}"]
    return [current, hanging + more]


def _json_pieces(text: str) -> list[str]:
    """Split a JSON text after each comma between two values."""
    pieces, begin, quoted, escaped = list[str](), 0, False, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            pieces.append(text[begin : at + 1])
            begin = at + 1
    return [*pieces, text[begin:]]


def printable(text: str) -> str:
    """Write a text with control characters as in JSON, so that a terminal does not act on them."""
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)
