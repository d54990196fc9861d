"""A number in a CSV file is written as its double is, and numbers of other spellings make no difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience_sync.sources.rows.scan import Column, Scan
from audience_sync.sources.rows.type_inference import FIRST_ROWS, infer_types
from audience_sync.sources.values.json_sql import number_json, sql_json
from audience_sync.sql import Expression, Relation, quote_literal
from audience_sync.workspace import Workspace

from .conftest import Read, Write

NUMBERS = r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?"
SMALL = r"-?0\.0{1,6}[1-9]?0?"
TEXTS = st.from_regex(NUMBERS, fullmatch=True) | st.from_regex(SMALL, fullmatch=True) | st.sampled_from(["007", "+1"])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-20", "0"], ["1", "-20", "0"]),
        (["1.0", "2.50", "0.00", "-0.10"], ["1", "2.5", "0", "-0.1"]),
        (["100", "100.0", "10.01"], ["100", "100", "10.01"]),
        (["0.0001", "0.00001"], ["0.0001", "1e-05"]),
        (["-0", "-0.0"], ["0", "0"]),
        (["1e3", "1.5E-2"], ["1000", "0.015"]),
        (["999999999999999", "0.1"], ["999999999999999", "0.1"]),
        (["1234567890123456", "0.1"], ['"1234567890123456"', '"0.1"']),
        (["12345678901234.56"], ['"12345678901234.56"']),
        (["1", "1.", "2"], ['"1"', '"1."', '"2"']),
        (["1", ""], ["1", None]),
    ],
    ids=str,
)
def test_numbers_of_a_column(cells: list[str], values: list[str | None], write: Write, read: Read) -> None:
    rows = "".join(f"u{index},{cell}\n" for index, cell in enumerate(cells))
    write("a.csv", f"user_id,total\n{rows}")
    assert [value for _, value in sorted(read(file="a.csv", traits={"total": "total"}).rows)] == values


@pytest.mark.parametrize(("last", "value"), [("1e3", "1000"), ("12.50", "12.5"), ("x", '"x"')])
def test_a_late_value_counts_for_the_whole_column(last: str, value: str, write: Write, read: Read) -> None:
    rows = "".join(f"u{index},7\n" for index in range(FIRST_ROWS + 10))
    write("a.csv", f"user_id,total\n{rows}z,{last}\n")
    values = read(file="a.csv", traits={"total": "total"}).values
    assert values["z"] == value
    assert values["u0"] == ('"7"' if last == "x" else "7")


@pytest.fixture(scope="module")
def shared() -> Iterator[Workspace]:
    with Workspace(400_000_000) as workspace:
        yield workspace


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_every_column_of_numbers_has_the_values_of_doubles(texts: list[str], shared: Workspace) -> None:
    assert inferred(shared, texts) == as_doubles(shared, texts)


def inferred(workspace: Workspace, texts: Sequence[str]) -> list[str]:
    rows = ", ".join(f"({index}, {quote_literal(text)})" for index, text in enumerate(texts))
    cells = Scan(
        name="a.csv",
        scan=Relation(f"(values {rows}) t(place, cell)"),
        columns={"total": Column(Expression("cell"), "VARCHAR")},
        is_text=True,
    )
    [typed], _ = infer_types(workspace, [cells], ["total"])
    column = typed.columns["total"]
    return [value for (value,) in workspace.all(f"select {sql_json(column.sql, column.type)} from {cells.scan}")]


def as_doubles(workspace: Workspace, texts: Sequence[str]) -> list[str]:
    """The values of a column that is cast to doubles if all of its texts are short numbers, and text if not."""
    if not all(re.fullmatch(NUMBERS, text) and has_few_digits(text) for text in texts):
        return [f'"{text}"' for text in texts]
    return [workspace.one(f"select {number_json(f'({text})::double')}")[0] for text in texts]


def has_few_digits(text: str) -> bool:
    return len(text) <= 24 and len(re.sub(r"[eE].*|[^0-9]", "", text)) <= 15
