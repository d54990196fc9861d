"""Read the documented views and questions from docs/database.md, which is part of the package."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from audience_sync.sql import quote_literal

_VIEW = re.compile(r"^### (\w+)\n\n((?:(?!^#).)*?)((?:^\|[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"`(\w+)`")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Question:
    """A documented question, and the query that answers it."""

    title: str
    sql: str


@dataclass(frozen=True, slots=True)
class DocumentedView:
    """A view, and the meanings of its columns as (names, meaning)."""

    name: str
    summary: str
    columns: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Examples:
    """Names of a store that a question is asked about, in the place of those in the documentation."""

    audiences: Sequence[str] = ()
    run: int | None = None
    day: str | None = None
    trait: str | None = None
    destination: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The questions and views of docs/database.md."""

    questions: Sequence[Question]
    views: Mapping[str, DocumentedView]


@cache
def document() -> Document:
    """Read docs/database.md: from the package when installed, else from the checkout."""
    packaged = Path(__file__).with_name("database.md")
    path = packaged if packaged.exists() else Path(__file__).parents[3] / "docs" / "database.md"
    return parse(path.read_text("utf-8"))


def parse(text: str) -> Document:
    """Parse the page: a view is a heading of the third level with a table, a question a paragraph before a query."""
    views = {
        name: DocumentedView(name, _plain(summary), _columns(table)) for name, summary, table in _VIEW.findall(text)
    }
    before, *queries = text.split("\n```sql\n")
    texts = [before, *(each.partition("```")[2] for each in queries[:-1])]
    questions = [
        Question(_title(paragraphs.rstrip()), query.partition("```")[0].strip())
        for paragraphs, query in zip(texts, queries, strict=True)
    ]
    return Document(questions, views)


def _title(paragraphs: str) -> str:
    """Return the question itself: the last paragraph up to its first question mark."""
    last = _plain(paragraphs.rpartition("\n\n")[2])
    return f"{last.partition('?')[0]}?" if "?" in last else last


def _columns(table: str) -> list[tuple[str, str]]:
    cells = [line.strip("|").split("|", 1) for line in table.splitlines()[2:]]
    return [(", ".join(_COLUMN.findall(names)), _plain(meaning)) for names, meaning in cells]


def _plain(text: str) -> str:
    return " ".join(_LINK.sub(r"\1", text).replace("`", "").split())


#: The names in the documentation: a shop's audiences, a trait, a destination, a user, a run, a day.
_AUDIENCES, _TRAIT, _DESTINATION, _USER = ("big_spenders", "new_customers"), "plan", "connect", "eve"
_RUN, _DAYS = 42, ("2026-03-05", "2026-03-04")


def about(question: Question, examples: Examples) -> Question:
    """Ask a question with names of this store, so that it has an answer here."""
    own = dict(zip(_AUDIENCES, examples.audiences, strict=False))
    for name, found in ((_TRAIT, examples.trait), (_DESTINATION, examples.destination), (_USER, examples.user)):
        own |= {} if found is None else {name: found}
    title = question.title
    sql = re.sub(r"'(\w+)'", lambda text: quote_literal(own.get(text[1], text[1])), question.sql)
    if examples.run is not None:
        title = title.replace(f"run {_RUN}", f"run {examples.run}")
        sql = re.sub(rf"\brun = {_RUN}\b", f"run = {examples.run}", sql)
    if examples.day is not None:
        for day in _DAYS:
            sql = sql.replace(f"'{day}", f"'{examples.day}")
    return Question(title, sql)
