"""Parquet files and Excel workbooks are read with the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from audience_sync.errors import SourceError

from .conftest import Read, Write


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[[str, str], Path]:
    def write_parquet(name: str, query: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"copy ({query}) to '{path}' (format parquet)")
        return path

    return write_parquet


Parquet = Callable[[str, str], Path]


def test_parquet_columns_have_their_types(parquet: Parquet, read: Read) -> None:
    parquet(
        "a.parquet",
        "select 42 as user_id, 12.50::DECIMAL(9, 2) as rev, true as vip, '007' as code, '2018-11-02'::DATE as day,"
        " 'nan'::DOUBLE as score, {'city': 'Köln', 'ok': [true]} as home",
    )
    columns = ("rev", "vip", "code", "day", "score", "home")
    assert read(file="a.parquet", traits={name: name for name in columns}).rows == [
        ("42", "12.5", "true", '"007"', '"2018-11-02T00:00:00.000Z"', None, '{"city":"Köln","ok":[true]}')
    ]


def test_a_parquet_file_without_rows_is_a_snapshot_of_nobody(parquet: Parquet, read: Read) -> None:
    parquet("a.parquet", "select 'x' as user_id where false")
    assert read(file="a.parquet").rows == []


def test_parquet_rejects_carry_their_row(parquet: Parquet, read: Read) -> None:
    parquet("a.parquet", "select case i when 150_000 then null else i end as user_id from range(1, 200_001) r(i)")
    assert read(file="a.parquet").invalid_rows == [("a.parquet", 150_000, None, "no user id")]


def test_files_of_one_snapshot_may_have_different_types(parquet: Parquet, read: Read) -> None:
    parquet("m/1.parquet", "select 42 as user_id, 1 as score")
    parquet("m/2.parquet", "select '007' as user_id, 1.5::DOUBLE as score")
    assert read(file="m", traits={"score": "score"}).values == {"42": "1", "007": "1.5"}


def test_a_column_that_parquet_does_not_have_is_an_error(parquet: Parquet, read: Read) -> None:
    parquet("a.parquet", "select 1 as customer_id")
    with pytest.raises(
        SourceError,
        match=r"a\.parquet: there is no column 'customerid'\. Columns: customer_id\. "
        r"Did you mean 'customer_id'\? Set `user_id: customer_id` in",
    ):
        read(file="a.parquet", user_id="customerid")


@pytest.mark.parametrize("keep", [0, 10, -1, -100], ids=["empty", "10 bytes", "a byte short", "without its footer"])
def test_a_parquet_file_that_is_not_whole_is_an_error(keep: int, parquet: Parquet, read: Read) -> None:
    path = parquet("a.parquet", "select i as user_id from range(1000) r(i)")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceError, match=r"a\.parquet is not a complete Parquet file"):
        read(file="a.parquet")


def test_parquet_pages_that_are_damaged_are_an_error(parquet: Parquet, read: Read) -> None:
    path = parquet("a.parquet", "select md5(i::VARCHAR) as user_id from range(20_000) r(i)")
    content = bytearray(path.read_bytes())
    content[1_000:3_000] = b"\xff" * 2_000
    path.write_bytes(bytes(content))
    with pytest.raises(SourceError, match=r"a\.parquet"):
        read(file="a.parquet")


@pytest.fixture
def excel(tmp_path: Path) -> Callable[..., Path]:
    def write_excel(name: str, *rows: list[Any], sheet: str = "Members") -> Path:
        import openpyxl

        book = openpyxl.Workbook()
        book.active.title = sheet
        for row in rows:
            book.active.append(row)
        book.create_sheet("Other").append(["user_id", "from the other sheet"])
        book.save(tmp_path / name)
        return tmp_path / name

    return write_excel


Excel = Callable[..., Path]


def test_a_workbooks_cells_have_their_types(excel: Excel, read: Read) -> None:
    excel(
        "a.xlsx", ["user_id", "v"], ["007", 1.5], [42, True], [43.0, "x"], ["d", datetime.fromisoformat("2018-11-02")]
    )
    assert read(file="a.xlsx", traits={"v": "v"}).values == {
        "007": "1.5",
        "42": "true",
        "43": '"x"',
        "d": '"2018-11-02T00:00:00.000Z"',
    }


def test_blank_rows_of_a_workbook_are_no_rows(excel: Excel, read: Read) -> None:
    excel("a.xlsx", ["user_id", "v"], ["ada", 1], [None, None], [None, 2], ["bob", None])
    snapshot = read(file="a.xlsx", traits={"v": "v"})
    assert snapshot.ids == ["ada", "bob"]
    assert snapshot.invalid_rows == [("a.xlsx", 2, None, "no user id")]


def test_the_sheet_is_the_first_or_the_one_named(excel: Excel, read: Read) -> None:
    excel("a.xlsx", ["user_id", "v"], ["ada", 1])
    assert read(file="a.xlsx").ids == ["ada"]
    assert read(file="a.xlsx", sheet="Other").ids == []


EXCEL_ERRORS = {
    "no such sheet": ({"sheet": "Mebers"}, "no sheet 'Mebers'. Did you mean 'Members'?"),
    "no such column": (
        {"user_id": "userid"},
        "there is no column 'userid'. Columns: user_id, v. Did you mean 'user_id'?",
    ),
    "a column twice": ({"user_id": "user_id", "file": "twice.xlsx"}, "'v' appears twice"),
    "no workbook": ({"file": "text.xlsx"}, "text.xlsx is not a whole Excel workbook"),
}


@pytest.mark.parametrize(("wanted", "words"), EXCEL_ERRORS.values(), ids=EXCEL_ERRORS.keys())
def test_a_workbook_that_cannot_be_used_is_an_error(
    wanted: dict[str, str], words: str, excel: Excel, write: Write, read: Read
) -> None:
    excel("a.xlsx", ["user_id", "v"], ["ada", 1])
    excel("twice.xlsx", ["user_id", "v", "v"], ["ada", 1, 2])
    write("text.xlsx", "user_id\nada\n")
    with pytest.raises(SourceError) as caught:
        read(**({"file": "a.xlsx"} | wanted))
    assert words in str(caught.value)
