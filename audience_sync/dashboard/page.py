"""Define what a page gets and what it gives: a visit, the page, and the queries of its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from textwrap import dedent
from typing import Any

from sqlalchemy import Connection

from audience_sync.dashboard.site import Site
from audience_sync.history.concerns import Attention
from audience_sync.history.view_rows import read_table, sqlite_time
from audience_sync.model import MAX_RUN
from audience_sync.sql import quote_literal
from audience_sync.store.tables.views import view_prefix
from audience_sync.web.errors import WrongQueryError
from audience_sync.web.formats import stored_time

#: The most rows of a file to save.
MOST_ROWS = 100_000
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request for a page: the open store in one transaction, and the values of the address."""

    connection: Connection
    site: Site
    now: datetime
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A value of the address; empty without one."""
        return self.path.get(name, self.query.get(name, "")).replace("\0", "")

    def number(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number of the address. Raises WrongQueryError if it is missing or not valid."""
        text = self.text(name).strip()
        if not text and default is not None:
            return default
        if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not least <= int(text) <= MAX_RUN:
            raise WrongQueryError(f"“{text[:40]}” is not valid for `{name}`: a whole number from {least} on is.")
        return int(text)

    def choice(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """One of the allowed words. Raises WrongQueryError for another one."""
        text = self.text(name) or default
        if text not in allowed and text != default:
            raise WrongQueryError(f"“{text[:40]}” is not valid for `{name}`. One of these is: {', '.join(allowed)}.")
        return text


@dataclass(frozen=True, slots=True)
class Dataset:
    """The query of a table or chart, so that its numbers can be saved and asked for again.

    ``sql``: with ``{views}`` before a view's name and ``:name`` for values, without the limit of a page.
    """

    name: str
    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def table(self, visit: Visit, most: int = MOST_ROWS) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """The columns and all rows, at most ``most``, with ids as pages show them."""
        query = f"select * from ({self.sql}) as t limit {most}"
        columns, rows = read_table(visit.connection, query, **self.values)
        return columns, [visit.site.shown_values(columns, row) for row in rows]

    def text(self, connection: Connection) -> str:
        """The query with its values, ready to be pasted."""
        is_sqlite = connection.dialect.name == "sqlite"
        query = self.sql.replace("{views}", view_prefix(connection))
        query = _PARAMETER.sub(lambda found: _literal(self.values[found[1]], is_sqlite=is_sqlite), query)
        return dedent(query).strip()


def _literal(value: Any, *, is_sqlite: bool) -> str:
    match value:
        case None:
            return "null"
        case bool() | int() | float():
            return str(value).lower()
        case datetime():
            return quote_literal(sqlite_time(value) if is_sqlite else f"{stored_time(value)}+00")
        case _:
            return quote_literal(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows: values for its template, and the queries of its tables and charts.

    ``attention``: what needs a person, if the page has read it.
    """

    template: str
    context: Mapping[str, Any]
    datasets: Sequence[Dataset] = ()
    attention: Attention | None = None

    def dataset(self, name: str) -> Dataset:
        """A dataset by name; the first one without a name. Raises WrongQueryError."""
        found = next((each for each in self.datasets if name in ("", each.name)), None)
        if found is None:
            names = ", ".join(each.name for each in self.datasets) or "none"
            raise WrongQueryError(f"This page has no table “{name[:40]}”. Its tables: {names}.")
        return found


PageFunction = Callable[[Visit], Page]
