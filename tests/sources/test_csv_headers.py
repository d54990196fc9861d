"""Headers as programs write them: line ends in names, a line for the separator, the header once more."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest

from .conftest import Read, Write

TWO = [("ada", '"pro"'), ("bob", '"free"')]
HEADERS = {
    "a line end in a name, as Excel writes it": codecs.BOM_UTF8
    + b'user_id;"Revenue, net\n(EUR)";plan\r\nada;10;pro\r\nbob;20;free\r\n',
    "a line end of the file's own": b'user_id,"Total\n(EUR)",plan\nada,10,pro\nbob,20,free\n',
    "CRLF in a name of a file with LF": b'user_id,"Total\r\n(EUR)",plan\nada,10,pro\nbob,20,free\n',
    "CR in a name of a file with CRLF": b'user_id,"Total\r(EUR)",plan\r\nada,10,pro\r\nbob,20,free\r\n',
    "in the first name": b'"Total\n(EUR; net)";user_id;plan\n10;ada;pro\n20;bob;free\n',
    "a doubled quote in it": b'"The ""total""\n, net";user_id;plan\n10;ada;pro\n20;bob;free\n',
    "CR alone": b"user_id;plan\rada;pro\rbob;free\r",
    "CR alone, commas in the rows": b"user_id;plan;note\rada;pro;a, b, c, d\rbob;free;d, e, f, g\r",
    "CR alone, LF in a name": b'user_id,"a\nb",plan\rada,1,pro\rbob,2,free\r',
    "a quote in a bare name": b'user_id,5" pipe,plan\nada,10,pro\nbob,20,free\n',
    "the separator": b"sep=;\r\nuser_id;plan\r\nada;pro\r\nbob;free\r\n",
    "the separator in quotes": b'"sep=;"\nuser_id;plan\nada;pro\nbob;free\n',
    "a tab as separator": b"sep=\t\nuser_id\tplan\tx,y,z,a\nada\tpro\t1\nbob\tfree\t2\n",
    "an unusual separator": b"SEP=^\nuser_id^plan\nada^pro\nbob^free\n",
    "a comma against semicolons in names": b"sep=,\nuser_id,plan,a;b;c;d\nada,pro,1\nbob,free,2\n",
    "the separator behind a byte order mark": codecs.BOM_UTF8 + b"sep=;\ruser_id;plan\rada;pro\rbob;free\r",
    "the separator's line ends otherwise": b"sep=;\nuser_id;plan\r\nada;pro\r\nbob;free\r\n",
    "separator and line end in a name": b'sep=;\r\n"a\nb";user_id;plan\r\n1;ada;pro\r\n2;bob;free\r\n',
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS.keys())
def test_the_rows_are_found_below_any_header(content: bytes, write: Write, read: Read) -> None:
    write("a.csv", content)
    write("b.csv.gz", gzip.compress(content))
    for name in ("a.csv", "b.csv.gz"):
        assert sorted(read(file=name, traits={"plan": "plan"}).rows) == TWO
        query = f"select user_id, plan from '{name}'"
        assert sorted(read(query=query, traits={"plan": "plan"}).rows) == TWO


def test_rows_and_lines_are_counted_as_in_the_file(write: Write, read: Read) -> None:
    from audience_sync.errors import SourceError

    write("a.csv", b'sep=;\nuser_id;"a\nb"\nada;1\n;2\n')
    assert read(file="a.csv").invalid_rows == [("a.csv", 2, "", "empty user id")]
    write("b.csv", b'sep=;\nuser_id;"a\nb"\nada;1\nbob;2;3\n')
    with pytest.raises(SourceError, match=r"b\.csv, line 5: 3 values where the header has 2"):
        read(file="b.csv")


AGAIN = {
    "put together": b"user_id,score\nada,1\nuser_id,score\nbob,2\n",
    "with byte order marks": b"\xef\xbb\xbfuser_id,score\nada,1\n\xef\xbb\xbfuser_id,score\nbob,2\n",
    "CRLF": b"user_id,score\r\nada,1\r\nuser_id,score\r\nbob,2\r\n",
    "CR": b"user_id,score\rada,1\ruser_id,score\rbob,2\r",
    "quoted the second time": b'user_id,score\nada,1\n"user_id","score"\nbob,2\n',
    "quoted the first time": b'"user_id","score"\nada,1\nuser_id,score\nbob,2\n',
    "quoted in part the second time": b'user_id,score\nada,1\n"user_id",score\nbob,2\n',
    "quoted where it must be": b'"user_id","score","a,b"\nada,1,\nuser_id,score,"a,b"\nbob,2,\n',
}


@pytest.mark.parametrize("content", AGAIN.values(), ids=AGAIN.keys())
def test_a_row_that_repeats_the_header_is_invalid(content: bytes, write: Write, read: Read) -> None:
    write("a.csv", content)
    members = read(file="a.csv")
    assert members.ids == ["ada", "bob"]
    assert members.invalid_rows == [("a.csv", 2, "user_id", "the header again")]
    scores = read(file="a.csv", traits={"score": "score"})
    assert sorted(row for row in scores.rows if row[0]) == [("ada", "1"), ("bob", "2")]
    assert len(scores.invalid_rows) == 1
    assert read(query="select user_id from 'a.csv' where score > 1").ids == ["bob"]


def test_the_members_of_a_gzip_file_may_each_have_a_header(write: Write, read: Read) -> None:
    write("a.csv.gz", gzip.compress(b"user_id,score\nada,1\n") + gzip.compress(b"user_id,score\nbob,2\n"))
    assert read(file="a.csv.gz").invalid_rows == [("a.csv.gz", 2, "user_id", "the header again")]


def test_files_that_were_put_together_may_each_have_a_line_with_the_separator(write: Write, read: Read) -> None:
    write("a.csv", "sep=;\r\nuser_id;score\r\nada;1\r\nsep=;\r\nuser_id;score\r\nbob;2\r\n")
    members = read(file="a.csv")
    assert members.ids == ["ada", "bob"]
    assert [each[3] for each in members.invalid_rows] == ["the header again", "the header again"]
    assert read(query="select user_id from 'a.csv'").ids == ["ada", "bob"]


def test_a_header_at_the_very_end_of_a_file_is_invalid(write: Write, read: Read) -> None:
    write("a.csv", "user_id,score\nada,1\nuser_id,score")
    write("b.csv", "user_id\nada\nuser_id")
    assert read(file="a.csv").ids == ["ada"]
    assert read(file="b.csv").ids == ["ada"]


def test_a_row_of_a_workbook_that_repeats_the_header_is_invalid(tmp_path: Path, read: Read) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["user_id", "score"], ["ada", 1], ["user_id", "score"], ["bob", 2], ["user_id", 3]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    scores = read(file="a.xlsx", traits={"score": "score"})
    assert sorted(row for row in scores.rows if row[0]) == [("ada", "1"), ("bob", "2"), ("user_id", "3")]
    assert scores.invalid_rows == [("a.xlsx", 2, "user_id", "the header again")]
    assert read(query="select user_id from 'a.xlsx'").ids == ["ada", "bob", "user_id"]


def test_a_user_who_is_called_like_the_column_is_a_user(write: Write, read: Read) -> None:
    write("a.csv", "user_id,plan\nada,pro\nuser_id,free\n")
    assert read(file="a.csv").ids == ["ada", "user_id"]


def test_a_header_of_one_column_that_repeats_is_invalid(write: Write, read: Read) -> None:
    write("a.csv", "user_id\nada\nuser_id\nuser_id 2\n")
    assert read(file="a.csv").ids == ["ada", "user_id 2"]


def test_an_empty_cell_of_a_repeated_header_is_one(write: Write, read: Read) -> None:
    write("a.csv", "user_id,,plan\nada,1,pro\nuser_id,,plan\n,1,plan\n")
    assert read(file="a.csv").invalid_rows == [
        ("a.csv", 2, "user_id", "the header again"),
        ("a.csv", 3, "", "empty user id"),
    ]
