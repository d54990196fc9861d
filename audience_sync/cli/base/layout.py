"""Lay out answers for people: turn tables, label blocks, prose and commands into lines.

A terminal wraps prose and fits tables; a pipe gets every column of every row on one line, without colour.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

from msgspec import Struct

from audience_sync.command_line import with_options

#: Spaces between two columns, and between a label and its text.
GAP = "  "
#: The indent of lines that belong to the line above.
INDENT = "  "
#: The width of a normal terminal; a narrower one stacks tables rather than losing their columns.
NORMAL = 80

#: A JSON text up to a comma between two values, or to its end.
_JSON_PIECE = re.compile(r'(?:"(?:\\.|[^"\\])*"?|[^",])+,?|,', re.DOTALL)
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


class Screen(Struct, frozen=True):
    """Where lines are shown. ``width``: columns of the terminal; None without a terminal.

    ``blocks``: the terminal and its locale have block characters. ``options``: those that commands in the lines need to
    find the same project.
    """

    width: int | None = None
    colour: bool = False
    blocks: bool = False
    options: str = ""

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


class Column(Struct, frozen=True):
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

    ``notes``: texts under each row, wrapped. A table that does not fit loses columns; one that still does not fit is
    stacked: the first column on a line, the others under it. ``stack_if_narrow``: a narrow terminal stacks it at once.
    """
    if not rows:
        return []
    texts = ([with_options(cell(value), screen.options) for value in row] for row in rows)
    cells = [[each.heading for each in columns], *texts]
    widths = [max(width_of(row[i]) for row in cells) for i in range(len(columns))]
    shown = list(range(len(columns)))
    is_stacked = False
    if screen.width is not None:
        shown = [i for i in shown if i == 0 or columns[i].keep or any(_has_content(row[i]) for row in rows)]
        lost = sorted((i for i in shown if columns[i].lost), key=lambda i: columns[i].lost or 0)
        if stack_if_narrow and screen.is_narrow:
            lost = []
        while (is_stacked := _width(widths, shown, indent) > screen.width) and lost:
            shown.remove(lost.pop(0))
    in_line = shown[1:] if is_stacked else shown
    start = indent + INDENT if is_stacked else indent
    under = indent + " " * (widths[0] + len(GAP)) if columns[0].right and not is_stacked else indent + INDENT
    lines = list[str]()
    for number, row in enumerate(cells):
        styles = ["bold" if number == 0 else COLOURS.get(text) for text in row]
        if is_stacked:
            lines.append(indent + screen.styled(row[0], "bold" if number == 0 else None))
        if in_line:
            padded = [_padded(columns[i], row[i], widths[i], screen.styled(row[i], styles[i])) for i in in_line]
            lines.append((start + GAP.join(padded)).rstrip())
        for note in notes[number - 1] if 0 < number <= len(notes) else ():
            lines += prose(note, screen, indent=under)
    return lines


def _has_content(value: object) -> bool:
    return value is not None and value != "" and value is not False and value != 0


def _width(widths: Sequence[int], shown: Sequence[int], indent: str) -> int:
    return len(indent) + sum(widths[i] for i in shown) + len(GAP) * (len(shown) - 1)


def _padded(column: Column, text: str, width: int, styled: str) -> str:
    space = " " * (width - width_of(text))
    return space + styled if column.right else styled + space


def prose(text: str, screen: Screen, *, indent: str = "", hanging: str | None = None) -> list[str]:
    """Wrap text between words; a word is never broken. ``hanging``: the indent of further lines."""
    following = indent if hanging is None else hanging
    lines = list[str]()
    for part in with_options(text, screen.options).splitlines() or [""]:
        current, is_empty = following if lines else indent, True
        for word in [part] if screen.width is None else part.split(" "):
            if not is_empty and width_of(current) + 1 + width_of(word) > (screen.width or 0):
                lines.append(current.rstrip())
                current, is_empty = following, True
            current += word if is_empty else f" {word}"
            is_empty = False
        lines.append(current.rstrip())
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


def command(text: str, screen: Screen, *, indent: str = INDENT) -> str:
    """Lay out a command to paste: one line, never wrapped, with the options of its project."""
    return indent + with_options(text, screen.options)


def advice(intro: str, *commands: str, screen: Screen, indent: str = "") -> list[str]:
    """Lay out what a person can do: an intro, and the commands below it."""
    return [*prose(intro, screen, indent=indent), *(command(each, screen, indent=indent + INDENT) for each in commands)]


def intro_and_command(intro: str, text: str, screen: Screen) -> list[str]:
    """Lay out a command after its intro: on one line if both fit, otherwise on two."""
    one = with_options(f"{intro} {text}", screen.options)
    fits = screen.width is None or width_of(one) <= screen.width
    return [one] if fits else advice(intro, text, screen=screen)


def json_lines(text: str, screen: Screen, *, start: str, most: int | None = None) -> list[str]:
    """Lay out JSON on one line, or broken after commas on a narrower terminal. ``start``: the text before it.

    ``most``: the largest number of lines; the values that are left out are counted.
    """
    if screen.width is None or width_of(start) + width_of(text) <= screen.width:
        return [start + text]
    hanging = " " * (width_of(start) + 1)
    pieces = _JSON_PIECE.findall(text)
    lines, current = list[str](), start
    for number, piece in enumerate(pieces):
        is_empty = current in (start, hanging)
        if not is_empty and width_of(current) + width_of(piece) > screen.width:
            if most is not None and len(lines) == most - 1:
                more = f"... {len(pieces) - number} more}}"
                fits = width_of(current) + 1 + len(more) <= screen.width
                return [*lines, f"{current} {more}"] if fits else [*lines, current, hanging + more]
            lines.append(current)
            current = hanging
        current += piece
    return [*lines, current]


def escape(text: str) -> str:
    """Write each control character as in JSON, so that a terminal does not act on it."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def printable(text: str) -> str:
    """Write a text with control characters as a JSON text in quotes."""
    return text if text.isprintable() else json.dumps(text, ensure_ascii=True)


def printable_lines(text: str) -> str:
    """Escape the control characters of each line of a text."""
    return "\n".join(printable(part) for part in text.split("\n"))


def one_line(text: str) -> str:
    """Put a text on one line, with control characters escaped."""
    return printable(" ".join(text.split()))


def display_id(value: str) -> str:
    """Format a user id for people: an id with invisible characters is written as in JSON."""
    is_visible = value.isprintable() and value == value.strip()
    return value if is_visible else escape(json.dumps(value, ensure_ascii=False))


def joined(parts: Iterable[Sequence[str]]) -> list[str]:
    """Join the parts of an answer, with an empty line between two; empty parts are left out."""
    lines = list[str]()
    for part in parts:
        if part:
            lines += [*([""] if lines else []), *part]
    return lines
