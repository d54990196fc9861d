"""User ids are read as they are written from every source, or are invalid."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience_sync.errors import SourceError
from audience_sync.sources.values.user_ids import (
    EMPTY,
    HAS_NUL,
    MISSING,
    NOT_TEXT,
    NOT_WHOLE,
    TOO_LONG,
    WHITESPACE,
    python_id,
    python_ids,
    sql_id,
)
from audience_sync.workspace import Workspace

from .conftest import Read, Write
from .source_kinds import KINDS, source_of

USABLE = {
    "leading zeros": "007",
    "looks like a number": "1e5",
    "the word NULL": "NULL",
    "the word NaN": "NaN",
    "the word null": "null",
    "the word None": "None",
    "the word NA": "NA",
    "the word true": "true",
    "looks like a date": "2018-11-02",
    "20 digits": "12345678901234567890",
    "30 digits": "123456789012345678901234567890",
    "spaces around": "  ada  ",
    "unicode": "Zoë 例え 😀",
    "1,000 characters": "x" * 1_000,
    "2,500 bytes": "é" * 1_250,
    "comma and quotes": 'a,"b";c|d',
    "line ends": "a\nb",
    "a sign": "-5",
    "a decimal point": "42.0",
    "a hash": "#1",
    "a backslash": "a\\nb",
    "an apostrophe": "o'hara",
    "a formula": "=1+1",
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "xlsx"])
def test_ids_are_exactly_as_written_in_every_source(kind: str, tmp_path: Path, read: Read) -> None:
    source, wanted = source_of(kind, tmp_path, list(USABLE.values()))
    assert read(source, **wanted).ids == sorted(USABLE.values())


def test_texts_of_a_workbook_are_exactly_as_written(tmp_path: Path, read: Read) -> None:
    source, wanted = source_of("xlsx", tmp_path, ["007", "1e5", "NULL", "NaN", "12345678901234567890", "Zoë"])
    assert read(source, **wanted).ids == ["007", "12345678901234567890", "1e5", "NULL", "NaN", "Zoë"]


REJECTED = {
    "empty": ("", EMPTY),
    "a space": (" ", EMPTY),
    "unicode spaces": ("\u2003\u00a0\u3000", EMPTY),
    "tab and line end": ("\t\n", EMPTY),
    "2,501 bytes": ("x" + "é" * 1_250, TOO_LONG),
    "a NUL character": ("a\0b", HAS_NUL),
}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "sqlite"])
@pytest.mark.parametrize(("user_id", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_unusable_ids_are_rejected_with_row_and_reason_in_every_source(
    kind: str, user_id: str, reason: str, tmp_path: Path, read: Read
) -> None:
    source, wanted = source_of(kind, tmp_path, ["ada", user_id, "bob"])
    snapshot = read(source, **wanted)
    file = "the query" if kind == "sqlite" else f"members.{kind}"
    assert snapshot.ids == ["ada", "bob"]
    assert snapshot.invalid_rows == [(file, 2, user_id[:200].replace("\0", "\ufffd"), reason)]


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "sqlite", "jsonl_query", "parquet_query"])
def test_null_is_no_user_id(kind: str, tmp_path: Path, read: Read) -> None:
    source, wanted = source_of(kind, tmp_path, ["ada", None])
    snapshot = read(source, **wanted)
    assert snapshot.ids == ["ada"]
    assert [(row, user_id, reason) for _, row, user_id, reason in snapshot.invalid_rows] == [(2, None, MISSING)]


NUMBERS = {
    "an integer": (42, "42"),
    "zero": (0, "0"),
    "a negative integer": (-7, "-7"),
    "a whole double": (42.0, "42"),
    "the largest whole double": (float(2**53), "9007199254740992"),
}


@pytest.mark.parametrize("kind", ["jsonl", "json", "xlsx", "sqlite", "jsonl_query"])
@pytest.mark.parametrize(("number", "user_id"), NUMBERS.values(), ids=NUMBERS.keys())
def test_an_integer_column_gives_42_and_never_42_0(
    kind: str, number: float, user_id: str, tmp_path: Path, read: Read
) -> None:
    source, wanted = source_of(kind, tmp_path, [number])
    assert read(source, **wanted).ids == [user_id]


@pytest.mark.parametrize("number", [1.5, float(2**53) * 2, -0.25], ids=["a fraction", "above 2^53", "minus a fraction"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "xlsx", "sqlite"])
def test_a_number_that_is_not_whole_is_rejected(kind: str, number: float, tmp_path: Path, read: Read) -> None:
    source, wanted = source_of(kind, tmp_path, [number])
    snapshot = read(source, **wanted)
    assert snapshot.ids == []
    assert [each[3] for each in snapshot.invalid_rows] == [NOT_WHOLE]


@pytest.mark.parametrize("number", [12345678901234567890, 99999999999999999999999999])
@pytest.mark.parametrize("kind", ["jsonl", "json", "jsonl_query"])
def test_long_integers_in_json_keep_every_digit(kind: str, number: int, tmp_path: Path, read: Read) -> None:
    source, wanted = source_of(kind, tmp_path, [number, 1])
    assert read(source, **wanted).ids == ["1", str(number)]


@pytest.mark.parametrize("value", [True, False, ["a"], {"a": 1}], ids=["true", "false", "a list", "an object"])
def test_other_json_values_cost_their_row(value: Any, tmp_path: Path, read: Read) -> None:
    source, wanted = source_of("jsonl", tmp_path, ["ada", value])
    snapshot = read(source, **wanted)
    assert snapshot.ids == ["ada"]
    assert [(each[1], each[3]) for each in snapshot.invalid_rows] == [(2, NOT_TEXT)]


TYPED = {
    "int32": ("42::INTEGER", "42"),
    "hugeint": ("12345678901234567890123::HUGEINT", "12345678901234567890123"),
    "decimal": ("42.00::DECIMAL(9, 2)", "42"),
    "long decimal": ("12345678901234567890::DECIMAL(38, 0)", "12345678901234567890"),
    "double": ("42::DOUBLE", "42"),
    "uuid": ("'6f1d3f0e-0000-4000-8000-000000000001'::UUID", "6f1d3f0e-0000-4000-8000-000000000001"),
    "date": ("'2018-11-02'::DATE", "2018-11-02"),
    "enum": ("'gold'::ENUM('gold', 'red')", "gold"),
}


@pytest.mark.parametrize(("value", "user_id"), TYPED.values(), ids=TYPED.keys())
def test_typed_columns_are_taken_as_text(value: str, user_id: str, read: Read) -> None:
    assert read(query=f"select {value} as user_id").ids == [user_id]


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        ("true", "BOOLEAN"),
        ("['a']", "VARCHAR[]"),
        ("[1.5]", "DECIMAL(2,1)[]"),
        ("{'a': 1}", "STRUCT"),
        ("'a'::BLOB", "BLOB"),
        ("now()", "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_a_typed_column_that_holds_no_ids_is_an_error_with_its_name_and_type(
    value: str, type_name: str, read: Read
) -> None:
    with pytest.raises(SourceError) as caught:
        read(query=f"select {value} as user_id")
    assert "'user_id'" in str(caught.value)
    assert type_name in str(caught.value)


DAYS = {
    "infinity": ("date 'infinity'", "no user id"),
    "minus infinity": ("date '-infinity'", "no user id"),
    "before Christ": ("date '0044-03-15 (BC)'", "user id is a time outside of the years 1 to 9999 (UTC)"),
    "a year of five digits": ("date '12026-01-01'", "user id is a time outside of the years 1 to 9999 (UTC)"),
}


@pytest.mark.parametrize(("day", "reason"), DAYS.values(), ids=DAYS.keys())
def test_a_day_that_has_no_iso_date_is_not_a_user_id(day: str, reason: str, read: Read) -> None:
    found = read(query=f"select unnest([{day}, date '0001-01-01', date '9999-12-31']) as user_id")
    assert found.ids == ["0001-01-01", "9999-12-31"]
    assert [each[3] for each in found.invalid_rows] == [reason]


def test_an_id_rejected_for_its_length_is_shown_by_its_first_200_characters(write: Write, read: Read) -> None:
    write("a.csv", "user_id\n" + "x" * 3_000 + "\n")
    assert [len(each[2]) for each in read(file="a.csv").invalid_rows] == [200]


PYTHON = {
    "text": ("ada", ("ada", None)),
    "none": (None, (None, MISSING)),
    "blank": ("\x1f \u2028", (None, EMPTY)),
    "half a surrogate pair": ("a\ud800", (None, "user id contains half a surrogate pair")),
    "not a number": (math.nan, (None, NOT_WHOLE)),
    "infinity": (math.inf, (None, NOT_WHOLE)),
    "decimal": (Decimal("42.00"), ("42", None)),
    "long decimal": (Decimal("12345678901234567890"), ("12345678901234567890", None)),
    "decimal fraction": (Decimal("1.5"), (None, NOT_WHOLE)),
    "minus zero": (-0.0, ("0", None)),
    "true": (True, (None, NOT_TEXT)),
    "bytes": (b"a", (None, NOT_TEXT)),
    "list": (["a"], (None, NOT_TEXT)),
    "moment": (datetime(2018, 11, 2, tzinfo=UTC), (None, NOT_TEXT)),
    "time": (time(1, 2), (None, NOT_TEXT)),
    "date": (date(2018, 11, 2), ("2018-11-02", None)),
    "uuid": (UUID(int=1), ("00000000-0000-0000-0000-000000000001", None)),
}


@pytest.mark.parametrize(("value", "judged"), PYTHON.values(), ids=PYTHON.keys())
def test_values_met_in_python_follow_the_same_rule(value: Any, judged: tuple[str | None, str | None]) -> None:
    assert python_id(value) == judged


@pytest.mark.parametrize("values", [["ada", "bob"], ["ada", " "], ["x" * 2_501], ["a\0"], ["é"], [1, "a"], [None]])
def test_many_ids_at_once_are_judged_as_one_by_one(values: list[Any]) -> None:
    judged = [python_id(value) for value in values]
    assert python_ids(values) == ([user_id for user_id, _ in judged], [reason for _, reason in judged])


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
doubles = st.floats(width=64)
PROPERTIES = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def sql_judge(workspace: Workspace) -> Callable[[Any, str], tuple[str | None, str | None]]:
    def judge(value: Any, duckdb_type: str) -> tuple[str | None, str | None]:
        user_id, reason = sql_id("v", duckdb_type)
        row = workspace.one(f"select {user_id}, {reason} from (select cast(? as {duckdb_type}) as v)", [value])
        return (None, row[1]) if row[1] else (row[0], None)

    return judge


@PROPERTIES
@given(text=any_text)
def test_sql_and_python_agree_about_any_text(text: str, sql_judge: Callable[..., Any]) -> None:
    assert sql_judge(text, "VARCHAR") == python_id(text)


@PROPERTIES
@given(number=doubles | st.integers(-(2**60), 2**60).map(float))
def test_sql_and_python_agree_about_any_double(number: float, sql_judge: Callable[..., Any]) -> None:
    assert sql_judge(number, "DOUBLE") == python_id(number)


@PROPERTIES
@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20))
def test_sql_and_python_agree_about_any_decimal(number: Decimal, sql_judge: Callable[..., Any]) -> None:
    assert sql_judge(number, "DECIMAL(38, 3)") == python_id(number)


usable_text = any_text.filter(lambda text: python_id(text)[0] is not None)


@settings(PROPERTIES, max_examples=20)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "sqlite", "csv_query", "jsonl_query"])
@given(ids=st.lists(usable_text, min_size=1, max_size=20))
def test_any_usable_id_survives_any_source_unchanged(kind: str, ids: list[str], tmp_path: Path, read: Read) -> None:
    source, wanted = source_of(kind, tmp_path, ids)
    assert read(source, **wanted).ids == sorted(ids)


def test_whitespace_is_what_python_calls_so() -> None:
    assert set(WHITESPACE) == {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}


@pytest.mark.parametrize(
    ("number", "usable"),
    [
        (Decimal("9" * 2500), True),
        (Decimal("9" * 2501), False),
        (-(10**2498), True),
        (-(10**2499), False),
        (10**6000, False),
        (Decimal("1E+1000000"), False),
    ],
    ids=["2,500 digits", "2,501", "a sign and 2,499", "a sign and 2,500", "6,001", "a million"],
)
def test_a_number_is_an_id_of_at_most_2500_bytes(number: Decimal | int, usable: bool) -> None:
    assert (python_id(number)[1] is None) == usable
