"""CSV and TSV files are read with cells as written, and errors name their lines."""

from __future__ import annotations

import gzip

import pytest

from audience_sync.errors import SourceError

from .conftest import Read, Write

HEADERS = {
    "comma": ("a.csv", "user_id,plan\nada,pro\n"),
    "semicolon": ("a.csv", "user_id;plan\nada;pro\n"),
    "tab": ("a.csv", "user_id\tplan\nada\tpro\n"),
    "pipe": ("a.csv", "user_id|plan\nada|pro\n"),
    "tsv": ("a.tsv", "user_id\tplan\nada\tpro\n"),
    "delimiters in a quoted name": ("a.csv", 'user_id;plan;"a,b,c"\nada;pro;1\n'),
    "quoted names": ("a.csv", '"user_id","plan"\n"ada","pro"\n'),
    "byte order mark": ("a.csv", "\ufeffuser_id,plan\nada,pro\n"),
    "lines of Windows": ("a.csv", "user_id,plan\r\nada,pro\r\n"),
    "no line end at the end": ("a.csv", "user_id,plan\nada,pro"),
    "blank lines": ("a.csv", "user_id,plan\n\nada,pro\n\n\n"),
    "columns without a name": ("a.csv", "user_id,plan,,\nada,pro,,\n"),
    "names that differ in case": ("a.csv", "USER_ID,user_id,plan,Plan\nbob,ada,pro,free\n"),
}


@pytest.mark.parametrize(("name", "content"), HEADERS.values(), ids=HEADERS.keys())
def test_headers_of_all_kinds_are_understood(name: str, content: str, write: Write, read: Read) -> None:
    write(name, content)
    assert read(file=name, traits={"plan": "plan"}).rows == [("ada", '"pro"')]


def test_a_gzipped_file_is_unpacked(write: Write, read: Read) -> None:
    write("a.csv.gz", gzip.compress(b"user_id\n007\n") + gzip.compress(b"008\n"))
    assert read(file="a.csv.gz").ids == ["007", "008"]


def test_a_header_without_rows_is_a_snapshot_of_nobody(write: Write, read: Read) -> None:
    write("a.csv", "user_id,plan\n")
    snapshot = read(file="a.csv", traits={"plan": "plan"})
    assert (snapshot.rows, snapshot.invalid_rows) == ([], [])


def test_a_blank_line_is_no_row_and_an_empty_value_is_one(write: Write, read: Read) -> None:
    write("a.csv", 'user_id\nada\n\n""\nbob\n\n')
    snapshot = read(file="a.csv")
    assert snapshot.ids == ["ada", "bob"]
    assert snapshot.invalid_rows == [("a.csv", 2, "", "empty user id")]


def test_rejects_carry_the_rows_number_in_a_long_file(write: Write, read: Read) -> None:
    lines = [f"u{number},x" for number in range(1, 200_001)]
    lines[149_999] = " ,x"
    write("a.csv", "user_id,plan\n" + "\n".join(lines))
    assert read(file="a.csv").invalid_rows == [("a.csv", 150_000, " ", "empty user id")]


BROKEN = {
    "too many values": (b"user_id,plan\nada,pro\nbob,a,b\n", ["a.csv, line 3", "3 values where the header has 2"]),
    "too few values": (b"user_id,plan\nada,pro\nbob\n", ["a.csv, line 3", "1 value where the header has 2"]),
    "an open quote": (b'user_id,plan\nada,pro\nbob,"a\n', ["a.csv, line 3", "double quote"]),
    "text behind a quote": (b'user_id,plan\n"ada"x,pro\n', ["a.csv, line 2", "double quote"]),
    "latin-1": (
        b"user_id,plan\nada,1\nbob,\xe9\n",
        ["a.csv, line 3", "not UTF-8", "byte 0xE9 at offset 23", "`encoding: cp1252`"],
    ),
    "latin-1 in the header": (b"user_id,caf\xe9\nada,1\n", ["a.csv, line 1", "not UTF-8", "`encoding: cp1252`"]),
    "utf-16": ("user_id\nada\n".encode("utf-16"), ["a.csv is UTF-16", "`encoding: utf-16`"]),
    "empty": (b"", ["a.csv is empty (0 bytes)", "header"]),
    "blank first line": (b"\nuser_id\nada\n", ["a.csv, line 1 is blank"]),
    "an open quote in the header": (b'"user_id,plan\nada,pro\n', ["a.csv, line 1", "quotes are broken"]),
    "two columns of one name": (b"user_id,user_id\nada,bob\n", ["a.csv, line 1", "'user_id' appears twice"]),
    "two other columns of one name": (b"user_id,x,x\nada,1,2\n", ["a.csv, line 1", "'x' appears twice"]),
    "missing column": (b"userid,plan\nada,pro\n", ["a.csv", "'user_id'", "Did you mean 'userid'?", "userid, plan"]),
    "a long line": (
        b"user_id,plan\nada,pro\nbob," + b"x" * 2_000_000 + b"\neve,pro\n",
        ["a.csv, line 3 is longer than"],
    ),
    "a long last line": (b"user_id,plan\nada,pro\nbob," + b"x" * 40_000_000, ["a.csv, line 3 is longer than"]),
    "zeros at the end": (b"user_id,plan\r\nada,pro\r\n" + bytes(40_000_000), ["a.csv, line 3 is longer than"]),
    "too many columns": (b"user_id" + b"".join(b",c%d" % n for n in range(10_000)) + b"\n", ["has 10,001 columns"]),
    "two kinds of line ends": (b"user_id,plan\r\nada,pro\nbob,pro\r\n", ["a.csv", "different line ends"]),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_an_error_with_its_line_and_the_remedy(
    content: bytes, words: list[str], write: Write, read: Read
) -> None:
    write("a.csv", content)
    with pytest.raises(SourceError) as caught:
        read(file="a.csv")
    assert [word for word in words if word not in str(caught.value)] == []


def test_errors_repeat_nothing_of_the_data(write: Write, read: Read) -> None:
    write("a.csv", "user_id,email\nada,ada@example.com,secret\n")
    with pytest.raises(SourceError) as caught:
        read(file="a.csv")
    assert "ada" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_line_is_right_far_into_a_large_file(write: Write, read: Read) -> None:
    rows = b"".join(b"%07d,plan\n" % number for number in range(600_000))
    write("a.csv", b"user_id,plan\n" + rows + b"bob\n")
    with pytest.raises(SourceError, match=r"a\.csv, line 600002: 1 value where"):
        read(file="a.csv")


def test_the_line_of_another_encoding_is_right_far_into_a_large_file(write: Write, read: Read) -> None:
    write("a.csv", b"user_id\n" + b"0123456789\n" * 300_000 + b"Zo\xeb\n")
    with pytest.raises(SourceError, match=r"a\.csv, line 300002: this is not UTF-8"):
        read(file="a.csv")


PACKED = gzip.compress(b"user_id\n" + b"".join(b"%d\n" % (number * 7919) for number in range(20_000)))
DAMAGED = bytearray(PACKED)
DAMAGED[-6] ^= 0xFF

GZIP = {
    "cut in the middle": (PACKED[: len(PACKED) // 2], "cut off"),
    "cut in its last bytes": (PACKED[:-3], "cut off"),
    "a wrong checksum": (bytes(DAMAGED), "damaged"),
    "no gzip at all": (b"user_id\nada\n", "not gzip"),
    "nothing in it": (gzip.compress(b""), "empty"),
    "nothing at all": (b"", "empty"),
}


@pytest.mark.parametrize(("content", "word"), GZIP.values(), ids=GZIP.keys())
def test_a_broken_gzip_is_an_error(content: bytes, word: str, write: Write, read: Read) -> None:
    write("a.csv.gz", content)
    with pytest.raises(SourceError, match=rf"a\.csv\.gz.*{word}"):
        read(file="a.csv.gz")


COLUMNS = {
    "whole numbers": (["1", "-20", "0"], ["1", "-20", "0"]),
    "numbers": (["1.50", "2", "-0.25"], ["1.5", "2", "-0.25"]),
    "numbers of 15 digits": (["123456789012345"], ["123456789012345"]),
    "16 digits are text": (["1234567890123456"], ['"1234567890123456"']),
    "leading zeros are text": (["00123", "5"], ['"00123"', '"5"']),
    "a plus sign is text": (["+1", "2"], ['"+1"', '"2"']),
    "a space is text": ([" 1", "2"], ['" 1"', '"2"']),
    "booleans": (["true", "FALSE", "True"], ["true", "false", "true"]),
    "yes and no are text": (["yes", "no"], ['"yes"', '"no"']),
    "dates": (["2018-11-02", "2020-02-29"], ['"2018-11-02T00:00:00.000Z"', '"2020-02-29T00:00:00.000Z"']),
    "times": (
        ["2018-11-02T09:30:00+02:00", "2018-11-02 09:30"],
        ['"2018-11-02T07:30:00.000Z"', '"2018-11-02T09:30:00.000Z"'],
    ),
    "dates and times": (
        ["2018-11-02", "2018-11-02T09:30:00Z"],
        ['"2018-11-02T00:00:00.000Z"', '"2018-11-02T09:30:00.000Z"'],
    ),
    "no date": (["2018-02-30", "2018-11-02"], ['"2018-02-30"', '"2018-11-02"']),
    "a German date": (["02.11.2018"], ['"02.11.2018"']),
    "empty cells": (["1", "", "2"], ["1", None, "2"]),
    "nothing but empty cells": (["", ""], [None, None]),
    "words for nothing are text": (["NULL", "NaN", "None"], ['"NULL"', '"NaN"', '"None"']),
    "mixed": (["1", "x", "true"], ['"1"', '"x"', '"true"']),
    "infinity is text": (["1", "Infinity"], ['"1"', '"Infinity"']),
}


@pytest.mark.parametrize(("cells", "values"), COLUMNS.values(), ids=COLUMNS.keys())
def test_the_type_of_a_trait_is_what_all_its_values_are(
    cells: list[str], values: list[str | None], write: Write, read: Read
) -> None:
    rows = [f"u{place},{cell}\n" for place, cell in enumerate(cells)]
    write("a.csv", "user_id,score\n" + "".join(rows))
    snapshot = read(file="a.csv", traits={"score": "score"})
    assert sorted(snapshot.rows) == [(f"u{place}", value) for place, value in enumerate(values)]


def test_one_odd_value_at_the_end_makes_a_long_column_text(write: Write, read: Read) -> None:
    rows = "".join(f"u{number},{number}\n" for number in range(5_000))
    write("a.csv", f"user_id,score\n{rows}last,many\n")
    values = read(file="a.csv", traits={"score": "score"}).values
    assert (values["u7"], values["last"]) == ('"7"', '"many"')


def test_a_column_that_begins_with_empty_cells_has_a_type_all_the_same(write: Write, read: Read) -> None:
    rows = "".join(f"u{number},\n" for number in range(5_000))
    write("a.csv", f"user_id,score\n{rows}last,42\n")
    assert read(file="a.csv", traits={"score": "score"}).values["last"] == "42"


def test_each_of_many_columns_has_its_own_type(write: Write, read: Read) -> None:
    names = [f"c{number}" for number in range(150)]
    values = [("7", "true", "x")[number % 3] for number in range(150)]
    write("a.csv", f"user_id,{','.join(names)}\nada,{','.join(values)}\n")
    typed = ", ".join(f"typeof({name})" for name in names[120:])
    found = read(query=f"select concat_ws(' ', {typed}) as user_id from 'a.csv'").ids
    assert found == [" ".join(["BIGINT", "BOOLEAN", "VARCHAR"] * 10)]


@pytest.mark.parametrize("name", ["email", "phone", "first_name", "firstName", "zip", "device_token", "timezone"])
def test_profile_traits_stay_text_whatever_they_look_like(name: str, write: Write, read: Read) -> None:
    write("a.csv", f"user_id,{name}\nada,4930123456\n")
    assert read(file="a.csv", traits={"key": name}).values == {"ada": '"4930123456"'}


def test_the_user_id_stays_text_even_where_it_is_a_trait_too(write: Write, read: Read) -> None:
    write("a.csv", "user_id\n1.50\n")
    assert read(file="a.csv", traits={"shop_number": "user_id"}).rows == [("1.50", '"1.50"')]
