"""SQL and Python write a trait's value as the same JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience_sync.errors import SourceError
from audience_sync.sources.base import TraitColumn
from audience_sync.sources.values.json_python import json_text, json_texts
from audience_sync.sources.values.json_sql import sql_json
from audience_sync.workspace import Workspace

from .conftest import Read, Write

BOTH = {
    "true": (True, "BOOLEAN", "true"),
    "false": (False, "BOOLEAN", "false"),
    "integer": (42, "BIGINT", "42"),
    "hugeint": (12345678901234567890123, "HUGEINT", "12345678901234567890123"),
    "whole double": (3.0, "DOUBLE", "3"),
    "minus zero": (-0.0, "DOUBLE", "0"),
    "fraction": (0.1, "DOUBLE", "0.1"),
    "small": (1e-7, "DOUBLE", "1e-07"),
    "whole and large": (1e15, "DOUBLE", "1000000000000000.0"),
    "larger": (1e20, "DOUBLE", "1e+20"),
    "not a number": (math.nan, "DOUBLE", None),
    "infinity": (-math.inf, "DOUBLE", None),
    "decimal": (Decimal("12.50"), "DECIMAL(9, 2)", "12.5"),
    "whole decimal": (Decimal("100.00"), "DECIMAL(9, 2)", "100"),
    "decimal zero": (Decimal("0.00"), "DECIMAL(9, 2)", "0"),
    "text": ('say "hi"\n', "VARCHAR", '"say \\"hi\\"\\n"'),
    "empty text": ("", "VARCHAR", '""'),
    "control characters": ("\0\x1f\x7f", "VARCHAR", '"\\u0000\\u001F\x7f"'),
    "backslash before u": ("\\u001f", "VARCHAR", '"\\\\u001f"'),
    "unicode": ("Zoë 😀", "VARCHAR", '"Zoë 😀"'),
    "date": (date(2018, 11, 2), "DATE", '"2018-11-02T00:00:00.000Z"'),
    "naive time is UTC": (
        datetime.fromisoformat("2018-11-02T09:30:01.123999"),
        "TIMESTAMP",
        '"2018-11-02T09:30:01.123Z"',
    ),
    "time with zone": (
        datetime(2018, 11, 2, 1, tzinfo=timezone(timedelta(hours=2))),
        "TIMESTAMP WITH TIME ZONE",
        '"2018-11-01T23:00:00.000Z"',
    ),
    "uuid": (UUID(int=1), "UUID", '"00000000-0000-0000-0000-000000000001"'),
    "time of day": (time(9, 30), "TIME", '"09:30:00"'),
    "list": ([1, 2], "BIGINT[]", "[1,2]"),
    "null": (None, "VARCHAR", None),
}


@pytest.fixture
def sql_text(workspace: Workspace) -> Callable[[Any, str], str | None]:
    def text(value: Any, duckdb_type: str) -> str | None:
        found: str | None = workspace.one(
            f"select {sql_json('v', duckdb_type)} from (select cast(? as {duckdb_type}) as v)", [value]
        )[0]
        return found

    return text


@pytest.mark.parametrize(("value", "duckdb_type", "text"), BOTH.values(), ids=BOTH.keys())
def test_sql_writes(value: Any, duckdb_type: str, text: str | None, sql_text: Callable[..., Any]) -> None:
    assert sql_text(value, duckdb_type) == text


@pytest.mark.parametrize(("value", "duckdb_type", "text"), BOTH.values(), ids=BOTH.keys())
def test_python_writes_the_same(value: Any, duckdb_type: str, text: str | None) -> None:
    assert json_text(value) == text


PROPERTIES = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@PROPERTIES
@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_sql_and_python_agree_about_any_text(value: str, sql_text: Callable[..., Any]) -> None:
    assert sql_text(value, "VARCHAR") == json_text(value)


@PROPERTIES
@given(value=st.floats())
def test_sql_and_python_agree_about_any_double(value: float, sql_text: Callable[..., Any]) -> None:
    assert sql_text(value, "DOUBLE") == json_text(value)


@PROPERTIES
@given(value=st.datetimes(timezones=st.just(UTC)))
def test_sql_and_python_agree_about_any_time(value: datetime, sql_text: Callable[..., Any]) -> None:
    assert sql_text(value, "TIMESTAMP WITH TIME ZONE") == json_text(value)


@pytest.mark.parametrize("values", [["a", "b"], ["é"], ['"'], ["a\n"], [1, "a"], [None], [True, 1.5]])
def test_many_values_at_once_are_written_as_one_by_one(values: list[Any]) -> None:
    assert json_texts(values) == [json_text(value) for value in values]


def test_half_a_surrogate_pair_makes_an_invalid_value() -> None:
    assert json_text("a\ud800") == "!has half a surrogate pair in its text"
    assert json_text({"k\udfff": 1}) == "!has half a surrogate pair in its text"
    assert json_text({"k": ["\ud800"]}) == "!has half a surrogate pair in its text"


def test_lists_and_objects_lose_what_is_no_json() -> None:
    value = {"a": [1.0, math.nan, date(2018, 11, 2)], "b": {"c": Decimal("1.50")}}
    assert json_text(value) == '{"a":[1,null,"2018-11-02T00:00:00.000Z"],"b":{"c":1.5}}'


def test_bytes_make_an_invalid_value() -> None:
    assert json_text(b"a") == "!holds bytes, which have no form in JSON"
    assert json_text([memoryview(b"a")]) == "!holds bytes, which have no form in JSON"


NOT_FINITE = {
    "NaN in a list": ("[NaN,1]", "[null,1]"),
    "infinity in an object": ('{"a":-Infinity}', '{"a":null}'),
    "a number beyond doubles": ('{"a":[1e400]}', '{"a":[null]}'),
    "the word in a text": ('["NaN, Infinity"]', '["NaN, Infinity"]'),
    "both": ('{"NaN":"a\\"NaN","b":NaN}', '{"NaN":"a\\"NaN","b":null}'),
    "alone": ("NaN", None),
    "alone beyond doubles": ("1e400", None),
}


@pytest.mark.parametrize(("written", "text"), NOT_FINITE.values(), ids=NOT_FINITE.keys())
def test_nan_and_infinity_never_come_out_of_json_lines(written: str, text: str, write: Write, read: Read) -> None:
    write("a.jsonl", f'{{"user_id": "ada", "score": {written}}}\n')
    assert read(file="a.jsonl", traits={"score": "score"}).values == {"ada": text}


def test_nan_in_a_parquet_list_is_null(read: Read) -> None:
    query = "select 'ada' as user_id, [1.5, 'nan'::DOUBLE] as scores"
    assert read(query=query, traits={"scores": "scores"}).values == {"ada": "[1.5,null]"}


def test_a_column_of_bytes_is_an_error_with_its_name(read: Read) -> None:
    with pytest.raises(SourceError, match="'photo' holds bytes"):
        read(query="select 'ada' as user_id, 'a'::BLOB as photo", traits={"photo": "photo"})


OVERRIDES = {
    "number as text": ("00123", "text", '"00123"'),
    "text as number": ("1.50", "number", "1.5"),
    "leading zeros as number": ("007", "number", "7"),
    "long number": ("12345678901234567890", "number", "12345678901234567890"),
    "NaN as number": ("NaN", "number", None),
    "1 as boolean": ("1", "boolean", "true"),
    "No as boolean": ("No", "boolean", "false"),
    "date": ("2018-11-02", "date", '"2018-11-02T00:00:00.000Z"'),
    "time with zone": ("2018-11-02 09:30+02:00", "date", '"2018-11-02T07:30:00.000Z"'),
    "json": ('{"a":[1]}', "json", '{"a":[1]}'),
    "json null": ("null", "json", None),
    "no value": ("", "number", None),
}


@pytest.mark.parametrize(("cell", "kind", "text"), OVERRIDES.values(), ids=OVERRIDES.keys())
def test_the_type_of_a_trait_says_how_it_is_read(
    cell: str, kind: str, text: str | None, write: Write, read: Read
) -> None:
    quoted = cell.replace('"', '""')
    write("a.csv", f'user_id,value\nada,"{quoted}"\n')
    assert read(file="a.csv", traits={"value": TraitColumn("value", kind)}).values == {"ada": text}


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("many", "number"), ("1,5", "number"), ("maybe", "boolean"), ("02.11.2018", "date"), ("{", "json")],
)
def test_a_value_that_is_not_of_its_type_is_an_error_with_file_row_and_column(
    cell: str, kind: str, write: Write, read: Read
) -> None:
    write("a.csv", f'user_id,value\nada,\nbob,"{cell}"\n')
    with pytest.raises(SourceError) as caught:
        read(file="a.csv", traits={"value": TraitColumn("value", kind)})
    assert str(caught.value).startswith(f"a.csv, row 2, column 'value': the value can't be read as {kind}")


def test_a_type_is_kept_to_in_json_lines_too(write: Write, read: Read) -> None:
    write("a.jsonl", '{"user_id": 1, "zip": 123}\n{"user_id": 2, "zip": "0123"}\n')
    snapshot = read(file="a.jsonl", traits={"zip": TraitColumn("zip", "text")})
    assert snapshot.values == {"1": '"123"', "2": '"0123"'}


def test_every_text_is_json(sql_text: Callable[..., Any]) -> None:
    assert json.loads(sql_text("\u2028</script>\\", "VARCHAR")) == "\u2028</script>\\"
