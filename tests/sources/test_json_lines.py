"""JSON lines and JSON arrays are read with their types."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, TraitColumn
from audience_sync.sources.files.source import FilesSource
from audience_sync.workspace import Workspace

from .conftest import Read, Write

READABLE = {
    "lines": ("a.jsonl", b'{"user_id": "ada"}\n{"user_id": "bob"}\n'),
    "ndjson": ("a.ndjson", b'{"user_id": "ada"}\n{"user_id": "bob"}'),
    "blank lines": ("a.jsonl", b'\n{"user_id": "ada"}\n\n{"user_id": "bob"}\n\n'),
    "byte order mark": ("a.jsonl", b'\xef\xbb\xbf{"user_id": "ada"}\n{"user_id": "bob"}\n'),
    "an array": ("a.json", b'[{"user_id": "ada"},\n {"user_id": "bob"}]'),
    "lines in .json": ("a.json", b'{"user_id": "ada"}\n{"user_id": "bob"}\n'),
    "gzip": ("a.jsonl.gz", gzip.compress(b'{"user_id": "ada"}\n{"user_id": "bob"}\n')),
    "windows": ("a.jsonl", b'{"user_id": "ada"}\r\n{"user_id": "bob"}\r\n'),
}


@pytest.mark.parametrize(("name", "content"), READABLE.values(), ids=READABLE.keys())
def test_lines_and_arrays_are_read(name: str, content: bytes, write: Write, read: Read) -> None:
    write(name, content)
    assert read(file=name).ids == ["ada", "bob"]


def test_duckdb_reads_lines_as_records(write: Write, workspace: Workspace, tmp_path: Path) -> None:
    """Left alone, it takes the whole object for the value of a single column: not always, so no value shows it."""
    write("a.jsonl", '{"user_id": "ada"}\n')
    rows = FilesSource(tmp_path).read(workspace, SnapshotRequest(user_id="user_id", file="a.jsonl"))
    assert "records = 'true'" in rows.select


def test_values_keep_their_json_types(write: Write, read: Read) -> None:
    write(
        "a.jsonl",
        '{"user_id": 1, "v": 1.50}\n{"user_id": 2, "v": "007"}\n{"user_id": 3, "v": true}\n{"user_id": 4, "v": null}\n'
        '{"user_id": 5}\n{"user_id": 6, "v": {"a": [1, "b"]}}\n{"user_id": 7, "v": 99999999999999999999}\n'
        '{"user_id": 8, "v": 3.0}\n',
    )
    assert read(file="a.jsonl", traits={"v": "v"}).values == {
        "1": "1.5",
        "2": '"007"',
        "3": "true",
        "4": None,
        "5": None,
        "6": '{"a":[1,"b"]}',
        "7": "99999999999999999999",
        "8": "3",
    }


def test_a_record_without_the_user_id_is_invalid_with_its_row(write: Write, read: Read) -> None:
    write("a.jsonl", '{"user_id": "ada"}\n{"email": "x"}\n{"user_id": null}\n')
    assert [each[1:] for each in read(file="a.jsonl").invalid_rows] == [
        (2, None, "no user id"),
        (3, None, "no user id"),
    ]


@pytest.mark.parametrize(("name", "content"), [("a.json", "[]"), ("a.jsonl", "\n")])
def test_no_records_are_a_snapshot_of_nobody(name: str, content: str, write: Write, read: Read) -> None:
    write(name, content)
    assert read(file=name).rows == []


def test_a_column_that_no_record_has_is_an_error(write: Write, read: Read) -> None:
    write("a.jsonl", '{"userid": "ada"}\n{"userid": "bob", "plan": 1}\n')
    with pytest.raises(SourceError, match=r"'user_id'\. Columns: plan, userid\. Did you mean 'userid'\?"):
        read(file="a.jsonl")


def test_a_trait_that_is_null_everywhere_is_no_error(write: Write, read: Read) -> None:
    write("a.jsonl", '{"user_id": "ada", "plan": null}\n')
    assert read(file="a.jsonl", traits={"plan": "plan"}).rows == [("ada", None)]


BROKEN = {
    "cut off": (b'{"user_id": "ada"}\n{"user_id": "b', "line 2"),
    "no JSON": (b'{"user_id": "ada"}\n\nuser bob\n', "line 3"),
    "two objects on a line": (b'{"user_id": "ada"} {"user_id": "bob"}\n', "line 1"),
    "latin-1": (b'{"user_id": "ada"}\n{"user_id": "Zo\xeb"}\n', "line 2"),
    "not an object": (b'{"user_id": "ada"}\n["bob"]\n', "record 2"),
    "one name twice": (b'{"user_id": "ada"}\n{"user_id": "bob", "user_id": "cyd"}\n', "record 2"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize(("content", "place"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_an_error_with_its_line(content: bytes, place: str, write: Write, read: Read) -> None:
    write("a.jsonl", content)
    with pytest.raises(SourceError) as caught:
        read(file="a.jsonl")
    assert "a.jsonl" in str(caught.value)
    assert place in str(caught.value)
    assert "bob" not in str(caught.value)


def test_an_array_that_is_cut_off_is_an_error(write: Write, read: Read) -> None:
    write("a.json", '[{"user_id": "ada"}, {"user_id": "bob"}')
    with pytest.raises(SourceError, match=r"a\.json, record \d: this is not JSON"):
        read(file="a.json")


@pytest.fixture
def roomy() -> Iterator[Workspace]:
    """As large as the default `memory_limit` makes it."""
    with Workspace(768_000_000, ["/"]) as opened:
        yield opened


def many(tmp_path: Path, write: Write, workspace: Workspace) -> SnapshotRows:
    for number in range(40):
        write(f"m/{number:02}.jsonl", f'{{"user_id": "u{number}", "plan": {number}}}\n{{"plan": 1}}\n')
    wanted = SnapshotRequest(user_id="user_id", file="m", traits={"plan": TraitColumn("plan")})
    return FilesSource(tmp_path).read(workspace, wanted)


def test_of_many_files_each_row_keeps_its_file_and_its_number(tmp_path: Path, write: Write, roomy: Workspace) -> None:
    rows = many(tmp_path, write, roomy)
    found = roomy.all(f"select user_id, plan from ({rows.select}) where user_id is not null order by plan::int")
    assert found == [(f"u{number}", f"{number}") for number in range(40)]
    invalid = roomy.all(f"select file, row, user_id, reason from ({rows.invalid_rows}) order by file")
    assert invalid == [(f"m/{number:02}.jsonl", 2, None, "no user id") for number in range(40)]


def test_the_sql_for_many_files_says_what_becomes_of_a_value_once(
    tmp_path: Path, write: Write, roomy: Workspace
) -> None:
    rows = many(tmp_path, write, roomy)
    assert rows.select.count("json_type") == 3
    assert rows.select.count("read_json(") == 40


def test_what_does_not_fit_into_the_memory_names_the_option(tmp_path: Path, write: Write, roomy: Workspace) -> None:
    error = duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data of size 32.0 MiB")
    assert str(many(tmp_path, write, roomy).explain(error)).endswith(
        "can't be read within `memory_limit`: there was not enough memory. Set a larger `memory_limit` in config.yaml, "
        "or read fewer files in one entry. Nothing of it was used."
    )
