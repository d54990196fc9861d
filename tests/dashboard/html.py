"""Read a page as a person does: its tables by head and row, its sentences, its links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "hr", "img", "path", "rect", "circle", "line", "use", "wbr"}
_HIDDEN = {"svg", "script", "style", "button", "small", "details"}


@dataclass
class Table:
    """A table under the last heading before it: the words of its head, and its rows of cells."""

    heading: str
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def column(self, name: str) -> dict[str, str]:
        """The cells of a column by the first cell of their rows."""
        index = self.head.index(name)
        return {row[0]: row[index] for row in self.rows}


class Reader(HTMLParser):
    """Collects tables, links, ids and texts. Second lines of cells (class ``sub``) are left out."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[Table] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.errors: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._heading, self._in_head = "", False
        self._cell: list[str] | None = None
        self.feed(html)
        self.close()
        self.errors += [f"<{tag}> is not closed" for tag, _ in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "id" in given:
            self.ids.append(given["id"])
        self.errors += [f"inline {name} in <{tag}>" for name in given if name == "style" or name.startswith("on")]
        if tag in ("h2", "h3"):
            self._heading = ""
        if tag == "table":
            self.tables.append(Table(" ".join(self._heading.split())))
        if tag == "thead":
            self._in_head = True
        if tag == "tr" and self.tables and not self._in_head:
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            self._cell = []
        if tag not in _VOID:
            self._open.append((tag, given.get("class", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.errors += [f"inline {name} in <{tag}>" for name in given if name == "style" or name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open[-1][0] != tag:
            self.errors.append(f"</{tag}> closes {self._open[-1:]}")
            return
        self._open.pop()
        if tag == "thead":
            self._in_head = False
        if tag in ("th", "td") and self._cell is not None and self.tables:
            text = " ".join("".join(self._cell).split())
            (self.tables[-1].head if self._in_head else self.tables[-1].rows[-1]).append(text)
            self._cell = None

    def handle_data(self, data: str) -> None:
        hidden = any(tag in _HIDDEN or "sub" in kind.split() for tag, kind in self._open)
        if self._open and self._open[-1][0] in ("h2", "h3"):
            self._heading += data
        if self._cell is not None and not hidden:
            self._cell.append(data)
        if not any(tag in ("svg", "script") for tag, _ in self._open):
            self.text += data

    def table(self, heading: str) -> Table:
        found = [each for each in self.tables if each.heading.startswith(heading)]
        assert found, f"there is no table {heading!r} in {[each.heading for each in self.tables]}"
        return found[0]


def read(html: str) -> Reader:
    """The page. It is well formed, has no inline style or script, and no id twice."""
    found = Reader(html)
    assert found.errors == []
    assert len(found.ids) == len(set(found.ids))
    return found


def number(text: str) -> int:
    """``1,505``, ``+72``, ``−34``, ``–``."""
    digits = re.sub(r"[^\d−-]", "", text.replace("−", "-"))
    return int(digits) if digits not in ("", "-") else 0
