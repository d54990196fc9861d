"""Texts are read from DuckDB's results as buffers, and are the ones that its rows have."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Sequence
from itertools import accumulate

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience_sync.arrow import TextColumn, text_columns
from audience_sync.errors import ArrowError

texts = st.none() | st.sampled_from(["", "é", "日本 😀", '"', "\n", "x" * 5_000]) | st.text(max_size=20)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=20))
def test_columns_have_the_texts_of_the_rows_in_utf_8_and_nothing_for_null(rows: list[tuple[str, str]]) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table texts (place integer, first varchar, second varchar)")
        connection.executemany("insert into texts values (?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
        [[first, second]] = text_columns(connection.sql("select first, second from texts order by place"))
    assert [first[n] for n in range(len(rows))] == [(text or "").encode() for text, _ in rows]
    assert [second[n] for n in range(len(rows))] == [(text or "").encode() for _, text in rows]


def column_of(rows: Sequence[bytes]) -> TextColumn:
    offsets = array("i", accumulate(map(len, rows), initial=2))
    return TextColumn(memoryview(offsets), memoryview(b"??" + b"".join(rows)))


def texts_of(column: TextColumn) -> list[bytes]:
    return [column[row] for row in range(len(column.offsets) - 1)]


@given(st.lists(st.sampled_from([b"", b"", b"a", b"bc", "日".encode()])), st.integers(0, 5), st.integers(0, 20))
def test_rows_without_a_text_are_filled(rows: list[bytes], start: int, size: int) -> None:
    start = min(start, len(rows))
    part = rows[start : start + size]
    texts = {row: b"new %d" % row for row, text in enumerate(part) if not text and row % 2}
    expected = [texts.get(row, text) for row, text in enumerate(part)]
    assert texts_of(column_of(rows).part(start, start + size).filled(texts)) == expected


def test_a_result_of_many_rows_comes_in_batches() -> None:
    with duckdb.connect() as connection:
        found = list(text_columns(connection.sql("select i::varchar, '#' || i from range(300_000) t(i) order by i")))
    assert len(found) > 1
    assert [column[-2] for column in ([b[n] for n in range(len(b.offsets) - 1)] for _, b in found)][-1] == b"#299998"
    assert sum(len(first.offsets) - 1 for first, _ in found) == 300_000


def test_a_view_of_a_column_stays_after_everything_else_is_gone() -> None:
    with duckdb.connect() as connection:
        views = [
            column.data[:40]
            for _ in range(5)
            for [column] in text_columns(connection.sql("select repeat('ab', 10) from range(100_000)"))
        ]
    gc.collect()
    assert [bytes(view) for view in views] == [b"ab" * 20] * len(views)


def test_no_rows_are_no_batches() -> None:
    with duckdb.connect() as connection:
        assert list(text_columns(connection.sql("select 'a' where false"))) == []


@pytest.mark.parametrize("row", [0, 250_000])
def test_a_query_that_fails_at_a_row_is_an_error(row: int) -> None:
    query = f"select case when i = {row} then error('no such row') else i::varchar end from range(300_000) t(i)"
    with duckdb.connect() as connection, pytest.raises((ArrowError, duckdb.Error), match="no such row"):
        list(text_columns(connection.sql(query)))
