"""docs/database.md is true: every column, every query, every answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import VIEWS as VIEW_NAMES
from audience_sync.store.tables import metadata

from . import example_week

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "database.md").read_text("utf-8")
VIEWS = re.findall(r"^### (\w+)\n.*?\n((?:\|[^\n]*\n)+)", DOCUMENT, re.MULTILINE | re.DOTALL)
INDEXES = re.findall(r"^\| `(\w+)` \| (.+) \| (?:primary key of )?`(\w+)` \|$", DOCUMENT, re.MULTILINE)
EXAMPLES = re.findall(r"^```sql\n(.*?)```\n\n((?:\|[^\n]*\n)+)", DOCUMENT, re.MULTILINE | re.DOTALL)


#: What the text lets a session on PostgreSQL start with.
SEARCH_PATH = "set search_path = audience_sync, public"


def schema(store: Store) -> str | None:
    return None if store.is_sqlite else "audience_sync"


@pytest.mark.parametrize(("view", "table"), VIEWS, ids=[view for view, _ in VIEWS])
def test_a_view_has_the_columns_that_are_documented(store: Store, view: str, table: str) -> None:
    documented = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    with store.reading() as connection:
        assert [column["name"] for column in inspect(connection).get_columns(view, schema=schema(store))] == documented


@pytest.mark.parametrize(("view", "columns", "index"), INDEXES)
def test_a_condition_uses_the_index_that_the_text_names(
    new_store: Callable[..., Store], view: str, columns: str, index: str
) -> None:
    names = re.findall(r"`(\w+)`", columns)
    condition = " and ".join(f"{name} = '43'" for name in names)
    with new_store("sqlite", with_schema=True).reading() as connection:
        query = f"explain query plan select * from {view} where {condition}"
        plan = [str(row[-1]) for row in connection.execute(text(query))]
        definition = connection.execute(text(f"select sql from sqlite_master where name = '{view}'")).scalar_one()
    alias = re.findall(rf"(?:from|join) {index} (\w+)", definition)  # of a primary key SQLite names the table's alias
    name = rf"(INDEX {index} |{alias[0] if alias else '-'} USING .*(PRIMARY KEY|autoindex_{index}_1) )"
    assert any(re.match(f"SEARCH .*{name}", each) for each in plan), plan


def test_every_view_is_documented(store: Store) -> None:
    with store.reading() as connection:
        assert sorted(view for view, _ in VIEWS) == sorted(inspect(connection).get_view_names(schema(store)))


def test_the_role_that_reads_gets_every_view() -> None:
    granted = (ROOT / "docs" / "operations" / "roles.sql").read_text("utf-8").rpartition("grant select on")[2]
    assert [view for view in VIEW_NAMES if not re.search(rf"\b{view}\b", granted)] == []


def test_every_table_is_named() -> None:
    tables = DOCUMENT.partition("## The tables")[2]
    assert sorted(re.findall(r"`(\w+)`", tables)) == sorted(metadata.tables)


@pytest.mark.parametrize(("query", "answer"), EXAMPLES, ids=[query.splitlines()[0][:40] for query, _ in EXAMPLES])
def test_a_query_gives_the_answer_that_is_printed(store: Store, query: str, answer: str) -> None:
    example_week.fill(store)
    with store.reading() as connection:
        if not store.is_sqlite:
            connection.execute(text("set time zone 'UTC'"))
            connection.execute(text(SEARCH_PATH))
        result = connection.execute(text(query))
        assert table_of(list(result.keys()), result.all()) == answer


def test_the_text_says_how_a_session_on_postgresql_starts() -> None:
    assert f"`{SEARCH_PATH}`" in DOCUMENT


def test_every_query_has_its_answer() -> None:
    assert len(EXAMPLES) == DOCUMENT.count("```sql") == 26


@pytest.mark.parametrize(
    ("database", "age"),
    [("sqlite", "unixepoch() - unixepoch(max(finished_at))"), ("postgresql", "now() - max(finished_at)")],
)
def test_the_age_of_the_last_good_run_is_as_the_text_says(store: Store, database: str, age: str) -> None:
    assert f"`{age}`" in DOCUMENT
    example_week.fill(store)
    with store.reading() as connection:
        if not store.is_sqlite:
            connection.execute(text(SEARCH_PATH))
        assert connection.execute(text(f"select {age} from sync_runs")).scalar_one() is not None


def table_of(names: Sequence[str], rows: Sequence[Any]) -> str:
    """A Markdown table, as the document prints it."""
    lines = [names, ["---"] * len(names), *([printed(value) for value in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


def printed(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value).removesuffix(".000000")
