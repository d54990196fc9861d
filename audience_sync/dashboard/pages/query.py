"""Run a query on the views, and list the documented questions and views."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.queries.empty_views import empty_views
from audience_sync.dashboard.sql_console.console import run_query, view_columns
from audience_sync.dashboard.sql_console.questions import Examples, about, document
from audience_sync.dashboard.sql_console.result import ROWS, SECONDS, QueryError, QueryResult, line_and_column
from audience_sync.dashboard.sql_console.tokens import TokenKind, tokens
from audience_sync.history.view_rows import read
from audience_sync.web.errors import WrongQueryError

_NAME = re.compile(r"\w[\w$]*")
#: The part of a result that the page shows.
MOST_SHOWN_ROWS, MOST_SHOWN_VALUES = 1_000, 50_000
_LARGEST_TRAIT = (
    "select key as name from {views}computed_traits where retired_at is null order by users desc, key limit 1"
)
_LARGEST = "select key from {views}audiences order by members desc, key limit 2"
_LAST_CHANGED = """
    select a.run, r.started_at, a.audience_key as key
    from {views}audience_syncs a join {views}sync_runs r on r.run = a.run
    where a.run > (select max(run) from {views}sync_runs) - 200 and a.entered + a."left" > 0 and a.status <> 'created'
    order by a.run desc, a.entered + a."left" desc limit 1
"""
_LAST_DAY_WITH_LEAVERS = """
    select r.started_at
    from {views}audience_syncs a join {views}sync_runs r on r.run = a.run
    where a.run > (select max(run) from {views}sync_runs) - 200 and a."left" > 0
    order by a.run desc limit 1
"""
_NEWEST_DESTINATION = "select name from {views}destinations order by last_run desc, name limit 1"
_CHANGED_USER = """
    select user_id as name from {views}trait_changes
    where run in (select run from {views}sync_runs where trait_users_changed > 0 order by run desc limit 20) limit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFault:
    """An error at a place of the query: ``before``, ``mark`` and ``after`` are its line."""

    message: str
    hint: str
    line: int | None = None
    column: int | None = None
    before: str = ""
    mark: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDataset(Dataset):
    """The result of a person's query, to be saved. If ids are masked, they are masked in it already."""

    result: QueryResult

    def table(self, visit: Visit, most: int = ROWS) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Return the columns and the rows of the result."""
        return self.result.columns, self.result.rows[:most]

    def text(self, connection: Connection) -> str:
        return self.sql


def query_page(visit: Visit) -> Page:
    """Show the query of the address with its result; without one the first question, not run."""
    sql = visit.query.get("sql", "").replace("\r\n", "\n")
    examples = _examples(visit)
    questions = [about(each, examples) for each in document().questions]
    mask = visit.site.id_mask
    result, fault = None, None
    if sql.strip():
        try:
            result = run_query(visit.connection, sql, mask_key=mask.key if mask is not None else None)
        except QueryError as error:
            if "format" in visit.query:
                hint = error.hint.replace("`", "")
                raise WrongQueryError(f"The query was not answered: {error}", remedy=hint) from None
            fault = fault_of(error, sql)
    columns, empty = view_columns(visit.connection), empty_views(visit.connection, visit.site.settings)
    named = names_in(sql, is_sqlite=visit.connection.dialect.name == "sqlite")
    documented = document().views
    context = {
        "title": "Query",
        "here": "query",
        "sql": sql or (questions[0].sql if questions else ""),
        "result": result,
        "numeric": _numeric(result) if result else [],
        "fault": fault,
        "questions": questions,
        "empty": empty,
        "asked_empty": [view for view in empty if view in named],
        "views": [(name, documented.get(name), names) for name, names in columns.items()],
        "seconds": SECONDS,
        "most_rows": ROWS,
        "shown_rows": max(1, min(MOST_SHOWN_ROWS, MOST_SHOWN_VALUES // max(1, len(result.columns)))) if result else 0,
    }
    datasets = [ResultDataset("result", sql, result=result)] if result is not None else []
    return Page(template="query.html", context=context, datasets=datasets)


def names_in(sql: str, *, is_sqlite: bool) -> set[str]:
    """The names in a query, in lower case."""
    return {each.text.lower() for each in tokens(sql, is_sqlite=is_sqlite) if each.kind is TokenKind.NAME}


def fault_of(error: QueryError, sql: str) -> QueryFault:
    """Show the place of an error in its line."""
    message, hint = str(error), error.hint
    if error.position is None:
        return QueryFault(message=message, hint=hint)
    line, column = line_and_column(sql, error.position)
    text = sql.split("\n")[line - 1]
    name = _NAME.match(text, column - 1)
    end = name.end() if name else column
    return QueryFault(
        message=message,
        hint=hint,
        line=line,
        column=column,
        before=text[: column - 1],
        mark=text[column - 1 : end] or " ",
        after=text[end:],
    )


def _examples(visit: Visit) -> Examples:
    """Choose names that have answers: of the last run that changed a membership, and the largest.

    The day is the last one on which somebody left: that run need not be the last one that changed a membership.
    """
    connection = visit.connection
    last, largest = read(connection, _LAST_CHANGED), read(connection, _LARGEST)
    days = read(connection, _LAST_DAY_WITH_LEAVERS) or last
    run = last[0]["run"] if last else None
    user, mask = _first(connection, _CHANGED_USER), visit.site.id_mask
    return Examples(
        audiences=list(dict.fromkeys(row["key"] for row in (*last, *largest)))[:2],
        run=run,
        day=f"{days[0]['started_at']:%Y-%m-%d}" if days else None,
        trait=_first(connection, _LARGEST_TRAIT),
        destination=_first(connection, _NEWEST_DESTINATION),
        user=mask.id(user) if mask is not None and user is not None else user,
    )


def _first(connection: Connection, query: str) -> str | None:
    found = read(connection, query)
    return str(found[0]["name"]) if found else None


def _numeric(result: QueryResult) -> list[bool]:
    """Return, for each column, whether all its values are numbers: they are aligned at the right."""
    return [_is_numeric([row[index] for row in result.rows]) for index in range(len(result.columns))]


def _is_numeric(values: Sequence[Any]) -> bool:
    kept = [each for each in values if each is not None]
    return bool(kept) and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in kept)
