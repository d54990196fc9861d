"""Files as people have them: odd ids, cases, hidden sheets, line ends, encodings and repeated headers."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop"}
SENT = [("ada", {"vip": True}), ("bob", {"vip": True})]


def workbook(path: Path, *rows: list[Any]) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


# Row 4: a column that a query passes through as an id is text, as written.

IDS = ["1e5", "2E3", "100000", "7.00", "7", "007", "true", "TRUE", "2026-01-01", "NaN", "-0", "0x10", "1_000", " x "]
#: Each gives every id of the file.
PASSING = {
    "renamed": "select customer as user_id from 'codes.csv'",
    "quoted": 'select "customer" as user_id from "codes.csv"',
    "distinct": "select distinct customer as user_id from 'codes.csv'",
    "grouped": "select customer as user_id from 'codes.csv' group by all having count(*) > 0",
    "from a CTE": "with c as (from 'codes.csv') select c.customer as user_id from c",
    "from a subquery": "select u as user_id from (select customer, n from 'codes.csv') t(u, n)",
    "from a union": "select customer as user_id from 'codes.csv' union select customer from 'codes.csv'",
    "joined": "select a.customer as user_id from 'codes.csv' a join 'codes.csv' b using (customer)",
    "in a condition": "select case when n >= 0 then customer end as user_id from 'codes.csv'",
    "as the first of a group": "select first(customer order by n) as user_id from 'codes.csv' group by n",
    "from a struct": "select s.c as user_id from (select struct_pack(c := customer) as s from 'codes.csv')",
    "ordered by its number": "select customer as user_id from 'codes.csv' order by try_cast(customer as double)",
    "by a function that reads": "select customer as user_id from read_csv('codes.csv')",
    "packed": "select customer as user_id from 'codes.csv.gz'",
    "tabs": "select customer as user_id from 'codes.tsv'",
    "a workbook": "select customer as user_id from 'codes.xlsx'",
}


def test_ids_that_a_query_passes_on_are_sent_as_they_are_written(vip: Project) -> None:
    content = "customer,n\n" + "".join(f"{user},{number}\n" for number, user in enumerate(IDS))
    vip.write("codes.csv", content)
    vip.write("codes.csv.gz", gzip.compress(content.encode()))
    vip.write("codes.tsv", content.replace(",", "\t"))
    workbook(vip.folder / "codes.xlsx", ["customer", "n"], *([user, n] for n, user in enumerate(IDS)))
    vip.configure(
        audiences=[{"name": f"By {name}", "source": "shop", "query": query} for name, query in PASSING.items()]
    )
    result = vip.sync()
    assert result.code == 0
    assert {each["key"]: each["invalid"] for each in result.json["audiences"] if each["invalid"]} == {}
    assert [user for user, _ in vip.sent()] == sorted(IDS)
    assert {each["members"] for each in result.json["audiences"]} == {14}


def test_an_id_that_a_query_calculates_is_what_it_calculates(vip: Project) -> None:
    vip.write("codes.csv", "customer,n\n007,1\n010,2\n")
    vip.configure(
        audiences=[{**VIP, "query": "select cast(customer as bigint) + 1 as user_id from 'codes.csv' where n < 2"}]
    )
    assert vip.sync().code == 0
    assert vip.sent() == [("8", {"vip": True})]


# Row 30: columns whose names differ in case only are two columns, in every format.


def two_cases(kind: str, folder: Path) -> None:
    path = folder / f"a.{kind}"
    if kind == "xlsx":
        workbook(path, ["user_id", "Plan", "plan"], ["ada", "pro", "free"])
    elif kind == "parquet":  # DuckDB writes no two such columns
        duckdb.sql(f"copy (select 'ada' as user_id, 'pro' as \"Plan\", 'free' as \"p1an\") to '{path}'")
        path.write_bytes(path.read_bytes().replace(b"p1an", b"plan"))
    else:
        record = '{"user_id": "ada", "Plan": "pro", "plan": "free"}'
        contents = {
            "csv": "user_id,Plan,plan\nada,pro,free\n",
            "tsv": "user_id\tPlan\tplan\nada\tpro\tfree\n",
            "jsonl": f"{record}\n",
            "json": f"[{record}]",
        }
        path.write_text(contents[kind])


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"])
def test_columns_whose_names_differ_in_case_only_are_two_traits(kind: str, vip: Project) -> None:
    two_cases(kind, vip.folder)
    vip.configure(
        computed_traits=[
            {
                "source": "shop",
                "file": f"a.{kind}",
                "traits": [{"column": "Plan", "name": "Upper"}, {"column": "plan", "name": "Lower"}],
            },
            {"source": "shop", "query": f"select user_id, plan_2 as q from 'a.{kind}'", "traits": ["q"]},
        ]
    )
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"upper": "pro", "lower": "free", "q": "free"})]


# Row 30c: of a workbook the first sheet that a person sees.


def sheets(path: Path, states: dict[str, str]) -> None:
    """A workbook with a sheet for each user, shown or not."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for user, state in states.items():
        sheet = book.create_sheet(user)
        sheet.append(["user_id"])
        sheet.append([user])
        sheet.sheet_state = state
    book.active = list(states.values()).index("visible")
    book.save(path)


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
@pytest.mark.parametrize(
    "asked", [{"file": "a.xlsx"}, {"query": "select user_id from 'a.xlsx'"}], ids=["file", "query"]
)
def test_the_rows_of_a_hidden_sheet_are_not_members(asked: dict[str, str], state: str, vip: Project) -> None:
    sheets(vip.folder / "a.xlsx", {"eve": state, "mallory": state, "ada": "visible", "trent": "visible"})
    vip.configure(audiences=[{**VIP, **asked}])
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"vip": True})]


def test_a_hidden_sheet_is_read_where_the_config_names_it(vip: Project) -> None:
    sheets(vip.folder / "a.xlsx", {"eve": "hidden", "ada": "visible"})
    vip.configure(audiences=[{**VIP, "file": "a.xlsx", "sheet": "eve"}])
    assert vip.sync().code == 0
    assert vip.sent() == [("eve", {"vip": True})]


# Rows 31 and 34: line ends within names and of every kind, and a first line that gives the separator.

READ = {
    "a name with a line end": b'user_id,"plan\nname"\nada,1\nbob,2\n',
    "a name with CRLF, rows with CRLF": b'"plan\r\nname",user_id\r\n1,ada\r\n2,bob\r\n',
    "CR alone": b"user_id,plan\rada,1\rbob,2\r",
    "CR alone, one column, not at the end": b"user_id\rada\rbob",
    "CR within a value": b'user_id,plan\nada,"1\r2"\nbob,2\n',
    "LF within a value, CR between rows": b'user_id,plan\rada,"1\n2"\rbob,2\r',
    "CRLF within a value, LF between rows": b'user_id,plan\nada,"1\r\n2"\nbob,2\n',
    "sep with a semicolon": b"sep=;\nuser_id;plan\nada;1\nbob;2\n",
    "sep with a tab": b"sep=\t\r\nuser_id\tplan\r\nada\t1\r\nbob\t2\r\n",
    "sep with a bar": b"sep=|\nuser_id|plan\nada|1\nbob|2\n",
    "sep in quotes": b'"sep=;"\nuser_id;plan\nada;1\nbob;2\n',
    "sep in capitals, against what the header has more of": b"SEP=,\nuser_id,a;b;c;d\nada,1\nbob,2\n",
    "a byte order mark and sep": codecs.BOM_UTF8 + b"sep=;\r\nuser_id;plan\r\nada;1\r\nbob;2\r\n",
    "sep and a name with a line end": b'sep=;\nuser_id;"plan\nname"\nada;1\nbob;2\n',
}


@pytest.mark.parametrize("content", READ.values(), ids=READ.keys())
def test_members_of_files_with_odd_lines_are_read(content: bytes, vip: Project) -> None:
    vip.write("a.csv", content)
    vip.configure(
        audiences=[
            {**VIP, "file": "a.csv"},
            {"name": "By query", "source": "shop", "query": "select user_id from 'a.csv'"},
        ]
    )
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"vip": True, "by_query": True}), ("bob", {"vip": True, "by_query": True})]


UNREAD = {
    "nothing": (b"", "a.csv is empty (0 bytes)"),
    "a byte order mark": (codecs.BOM_UTF8, "a.csv has a byte order mark and no text"),
    "a line end": (b"\n", "a.csv, line 1 is blank: it must have the columns' names"),
    "sep alone": (b"sep=;\n", "a.csv, line 1 is blank: it must have the columns' names"),
    "CRLF, then LF": (b"user_id,n\r\nada,1\nbob,2\r\n", "different line ends (\\r\\n and \\n) in one file"),
    "LF, then CR": (b"user_id,n\nada,1\rbob,2\r", "the rows can't be separated"),
}


@pytest.mark.parametrize(("content", "words"), UNREAD.values(), ids=UNREAD.keys())
def test_a_file_that_can_not_be_read_changes_nothing_and_says_why(content: bytes, words: str, vip: Project) -> None:
    vip.write("a.csv", "user_id\nada\nbob\n")
    vip.configure(audiences=[{**VIP, "file": "a.csv"}])
    vip.sync()
    assert vip.sent() == SENT
    vip.write("a.csv", content)
    result = vip.sync()
    assert (result.code, result.audience("vip")["status"], vip.sent()) == (3, "failed", [])
    assert words in result.audience("vip")["error"]


def test_a_header_alone_is_an_audience_without_members_for_a_person_to_approve(vip: Project) -> None:
    vip.write("a.csv", "user_id\rada\rbob\r")
    vip.configure(audiences=[{**VIP, "file": "a.csv"}])
    vip.sync()
    assert vip.sent() == SENT
    vip.write("a.csv", "user_id\r")
    assert vip.sync().audience("vip")["status"] == "held"
    vip.run("approve", "2", "vip")
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False})]


# Row 33: a row that repeats the header is invalid.

AGAIN = {
    "put together": b"user_id,plan\nada,pro\nuser_id,plan\nbob,free\n",
    "in quotes": b'user_id,plan\nada,pro\n"user_id","plan"\nbob,free\n',
    "in quotes in part": b'user_id,plan\nada,pro\nuser_id,"plan"\nbob,free\n',
    "with a byte order mark": "\ufeffuser_id,plan\nada,pro\n\ufeffuser_id,plan\nbob,free\n".encode(),
    "with CR": b"user_id,plan\rada,pro\ruser_id,plan\rbob,free\r",
    "with semicolons": b"user_id;plan\r\nada;pro\r\nuser_id;plan\r\nbob;free\r\n",
}


@pytest.mark.parametrize("content", AGAIN.values(), ids=AGAIN.keys())
def test_a_repeated_header_is_an_invalid_row_and_not_a_user(content: bytes, vip: Project) -> None:
    vip.write("a.csv", content)
    vip.configure(
        audiences=[{**VIP, "file": "a.csv"}],
        computed_traits=[{"source": "shop", "file": "a.csv", "traits": ["plan"]}],
    )
    result = vip.sync()
    assert (result.code, result.audience("vip")["invalid"]) == (0, 1)
    assert vip.sent() == [("ada", {"vip": True, "plan": "pro"}), ("bob", {"vip": True, "plan": "free"})]
    assert set(vip.query("select file, row, user_id, reason from invalid_rows")) == {
        ("a.csv", 2, "user_id", "the header again")
    }


def test_a_repeated_header_of_a_packed_file_and_of_a_workbook_is_not_a_user(vip: Project) -> None:
    vip.write("a.csv.gz", gzip.compress(b"user_id,n\nada,1\n") + gzip.compress(b"user_id,n\nbob,2\n"))
    workbook(vip.folder / "a.xlsx", ["user_id", "n"], ["ada", 1], ["user_id", "n"], ["bob", 2])
    vip.configure(
        audiences=[{**VIP, "file": "a.csv.gz"}, {"name": "Book", "source": "shop", "file": "a.xlsx"}],
        computed_traits=[{"source": "shop", "file": "a.xlsx", "traits": ["n"]}],
    )
    assert vip.sync().code == 0
    assert vip.sent() == [
        ("ada", {"vip": True, "book": True, "n": 1}),
        ("bob", {"vip": True, "book": True, "n": 2}),
    ]


# Row 39: one text that is no Unicode costs one row.

HALVES = {
    "an id": ('{"user_id": "\\ud800", "plan": "pro"}', [], "user id contains half a surrogate pair"),
    "a value": (
        '{"user_id": "bob", "plan": "x\\uDFFF"}',
        [("bob", {"vip": True})],
        "column 'plan' has half a surrogate pair in its text",
    ),
    "a name within a value": (
        '{"user_id": "bob", "plan": {"\\ud83d": 1}}',
        [("bob", {"vip": True})],
        "column 'plan' has half a surrogate pair in its text",
    ),
    "a pair the wrong way round": (
        '{"user_id": "bob", "plan": ["\\ude00\\ud83d"]}',
        [("bob", {"vip": True})],
        "column 'plan' has half a surrogate pair in its text",
    ),
    "a pair": ('{"user_id": "bob", "plan": "\\ud83d\\ude00"}', [("bob", {"vip": True, "plan": "😀"})], None),
    "another column": (
        '{"user_id": "bob", "plan": "pro", "note": "\\ud800"}',
        [("bob", {"vip": True, "plan": "pro"})],
        None,
    ),
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
@pytest.mark.parametrize(("record", "sent", "reason"), HALVES.values(), ids=HALVES.keys())
def test_half_a_surrogate_pair_costs_one_value_or_one_user(
    record: str, sent: list[Any], reason: str | None, name: str, vip: Project
) -> None:
    other = '{"user_id": "ada", "plan": "free"}'
    content = f"[{record},\n{other}]" if name == "a.json" else f"{record}\n{other}\n"
    vip.write(name, gzip.compress(content.encode()) if name.endswith(".gz") else content)
    vip.configure(
        audiences=[{**VIP, "file": name}],
        computed_traits=[{"source": "shop", "file": name, "traits": ["plan"]}],
    )
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"vip": True, "plan": "free"}), *sent]
    assert {row[0] for row in vip.query("select reason from invalid_rows")} == ({reason} if reason else set())


# Row 21: every encoding that Python knows, by any name; the message recommends what is right.

ENCODED = {
    "utf-16": ("user_id,name\nada,Zoë 10 €\n".encode("utf-16"), "Zoë 10 €"),
    "utf-16-le": ("user_id,name\nada,Zoë 10 €\n".encode("utf-16-le"), "Zoë 10 €"),
    "UTF-16BE": (codecs.BOM_UTF16_BE + "user_id,name\nada,Zoë 10 €\n".encode("utf-16-be"), "Zoë 10 €"),
    "utf-8": (codecs.BOM_UTF8 + "user_id,name\nada,Zoë 10 €\n".encode(), "Zoë 10 €"),
    "cp1250": (b"user_id,name\nada,\x8elu\x9dou\xe8k\xfd \x80\n", "Žluťoučký €"),
    "windows-1252": (b"user_id,name\nada,O\x92Brien \x96 10 \x80\n", "O’Brien – 10 €"),
    "latin-1": (b"user_id,name\nada,O\x92Brien \x96 10 \x80\n", "O’Brien – 10 €"),
    "ISO-8859-1": (b"user_id,name\nada,\x93Gold\x94\n", "“Gold”"),
    "iso-8859-15": (b"user_id,name\nada,10 \xa4\n", "10 €"),
    "shift_jis": (b"user_id,name\nada,\x93\xfa\x96{\x83\\\n", "日本ソ"),
    "cp932": (b"user_id,name\nada,\x87@\xfb\xfc\n", "①髙"),
    "mac_roman": (b"user_id,name\rada,Zo\x91 10 \xdb\r", "Zoë 10 €"),
    "gb18030": (b"user_id,name\nada,\xd6\xd0\xce\xc4\x95\x32\x82\x36\n", "中文𠀀"),
    "big5": (b"user_id,name\nada,\xa4\xa4\xa4\xe5\n", "中文"),
    "koi8-r": (b"user_id,name\nada,\xe1\xce\xce\xc1\n", "Анна"),
}


@pytest.mark.parametrize(("encoding", "content", "name"), [(key, *ENCODED[key]) for key in ENCODED], ids=ENCODED.keys())
def test_a_name_in_the_encoding_of_the_config_is_sent_as_it_was_written(
    encoding: str, content: bytes, name: str, vip: Project
) -> None:
    vip.write("a.csv", content)
    vip.configure(computed_traits=[{"source": "shop", "file": "a.csv", "encoding": encoding, "traits": ["name"]}])
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"name": name})]


def test_the_encoding_that_a_message_recommends_gives_the_right_text(vip: Project) -> None:
    traits = {"source": "shop", "file": "a.csv", "traits": ["name"]}
    vip.write("a.csv", b"user_id,name\nada,10 \x80\n")
    vip.configure(computed_traits=[traits])
    (error,) = vip.sync().json["traits"]["errors"]
    assert "a.csv, line 2: this is not UTF-8: byte 0x80" in error
    assert "`encoding: cp1252` for a file that Excel saved in western Europe" in error
    vip.configure(computed_traits=[{**traits, "encoding": "cp1252"}])
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"name": "10 €"})]


UNKNOWN = {
    "utf-9": "there is no encoding `utf-9`; did you mean `utf-8`?",
    "windows1252": "there is no encoding `windows1252`; did you mean `windows-1252`?",
    "ansi": "there is no encoding `ansi`; did you mean `cp1252`?",
    "base64": "`base64` is not an encoding of text files. Name one such as `utf-8` or `cp1252`",
}


@pytest.mark.parametrize(("encoding", "words"), UNKNOWN.items(), ids=UNKNOWN.keys())
def test_a_name_that_is_not_an_encoding_is_refused_with_the_nearest_one(
    encoding: str, words: str, vip: Project
) -> None:
    vip.configure(audiences=[{**VIP, "file": "vip.csv", "encoding": encoding}])
    result = vip.run("sync")
    assert result.code == 2
    assert f"audiences[0].encoding: {words}" in result.stderr
    assert vip.messages() == []
