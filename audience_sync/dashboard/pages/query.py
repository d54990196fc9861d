"""Run a query on the views, and list the documented questions and views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.queries.empty_views import empty_views
from audience_sync.dashboard.queries.rows import read, utc
from audience_sync.dashboard.sql_console.console import run_query, view_columns
from audience_sync.dashboard.sql_console.questions import Examples, Question, about, document
from audience_sync.dashboard.sql_console.result import ROWS, SECONDS, QueryError, QueryResult, line_and_column
from audience_sync.dashboard.sql_console.tokens import TokenKind, tokens
from audience_sync.web.errors import WrongQueryError


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A documented question with this store's names."""

    title: str
    sql: str


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


@dataclass(frozen=True, slots=True)
class ResultDataset(Dataset):
    """The result of a person's query, to be saved. If ids are masked, they are masked in it already."""

    result: QueryResult | None = None

    @property
    def is_masked(self) -> bool:
        return True

    def read(self, connection: Connection, most: int = ROWS) -> tuple[list[str], list[list[Any]]]:
        """Return the columns and the rows of the result."""
        if self.result is None:
            return [], []
        return list(self.result.columns), [list(row) for row in self.result.rows[:most]]

    def text(self, connection: Connection) -> str:
        return self.sql


def query_page(visit: Visit) -> Page:
    """Show the query of the address with its result; without one the first question, not run."""
    sql = visit.query.get("sql", "").replace("\r\n", "\n")
    questions = _questions(visit.connection)
    result, fault = None, None
    if sql.strip():
        try:
            result = result_of(visit, sql)
        except QueryError as error:
            fault = fault_of(error, sql)
    columns, empty = view_columns(visit.connection), empty_views(visit.connection, visit.site.settings)
    named = names_in(sql, is_sqlite=visit.connection.dialect.name == "sqlite")
    documented = document().views
    context = {
        "title": "Query",
        "here": "query",
        "sql": sql or (questions[0].sql if questions else ""),
        "is_run": bool(sql.strip()),
        "result": result,
        "numeric": _numeric(result) if result else [],
        "fault": fault,
        "questions": questions,
        "empty": empty,
        "asked_empty": [view for view in empty if view in named],
        "views": [(name, documented.get(name), names) for name, names in columns.items()],
        "seconds": SECONDS,
        "most_rows": ROWS,
        "is_masked": visit.site.id_mask is not None,
    }
    if fault is not None and "format" in visit.query:
        raise WrongQueryError(f"The query was not answered: {fault.message}", remedy=fault.hint.replace("`", ""))
    datasets = [ResultDataset("result", sql, {}, result)] if result is not None else []
    return Page(template="query.html", context=context, datasets=datasets)


def result_of(visit: Visit, sql: str) -> QueryResult:
    """Run the query. Raises QueryError."""
    mask = visit.site.id_mask
    return run_query(visit.connection, sql, mask_key=mask.key if mask is not None else None)


def names_in(sql: str, *, is_sqlite: bool) -> set[str]:
    """The names in a query, in lower case."""
    return {each.text.lower() for each in tokens(sql, is_sqlite=is_sqlite) if each.kind is TokenKind.NAME}


def fault_of(error: QueryError, sql: str) -> QueryFault:
    """Show the place of an error in its line."""
    message, hint = str(error), error.hint
    if error.position is None:
        return QueryFault(message=message, hint=hint)
    line, column = line_and_column(sql, error.position)
    text = (sql.split("\n")[line - 1 : line] or [""])[0]
    end = column
    while (
        end < len(text)
        and (text[end].isalnum() or text[end] in "_$")
        and (text[column - 1].isalnum() or text[column - 1] == "_")
    ):
        end += 1
    return QueryFault(
        message=message,
        hint=hint,
        line=line,
        column=column,
        before=text[: column - 1],
        mark=text[column - 1 : end] or " ",
        after=text[end:],
    )


def _questions(connection: Connection) -> list[AskedQuestion]:
    examples = _examples(connection)
    run = examples.run
    return [
        AskedQuestion(each.title.replace("run 42", f"run {run}") if run else each.title, about(each, examples))
        for each in _documented()
    ]


def _documented() -> Sequence[Question]:
    return document().questions


def _examples(connection: Connection) -> Examples:
    """Choose names that have answers: the largest audiences, the last run that changed a membership, and its day."""
    largest = read(
        connection, "select key from {views}audiences where members is not null order by members desc, key limit 2"
    )
    last = read(
        connection,
        """
        select a.run, r.started_at from {views}audience_syncs a join {views}sync_runs r on r.run = a.run
        where a.run > (select max(run) from {views}sync_runs) - 200 and a.entered + a."left" > 0
        order by a.run desc limit 1
        """,
    )
    run = last[0]["run"] if last else None
    at = utc(last[0]["started_at"]) if last else None
    return Examples([row["key"] for row in largest], run, f"{at:%Y-%m-%d}" if at else None)


def _numeric(result: QueryResult) -> list[bool]:
    """Return, for each column, whether all its values are numbers: they are aligned at the right."""
    return [_is_numeric([row[index] for row in result.rows]) for index in range(len(result.columns))]


def _is_numeric(values: Sequence[Any]) -> bool:
    kept = [each for each in values if each is not None]
    return bool(kept) and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in kept)
