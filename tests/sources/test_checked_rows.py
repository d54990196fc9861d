"""`check` reads columns and a few rows: it costs the same for a snapshot of any length."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, TraitColumn
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.storage.head import HEAD_BYTES
from audience_sync.workspace import Workspace

PLAN = {"plan": TraitColumn("plan")}
USERS = 60_000
FEW = 100


def csv(*rows: str) -> bytes:
    return "\n".join(["user_id,plan", *rows, ""]).encode()


def json_lines(*rows: str) -> bytes:
    return "\n".join([*rows, ""]).encode()


LONG_CSV = csv(*(f"user{number:08d},plan-{number}" for number in range(USERS)))
LONG_JSON = json_lines(*(f'{{"user_id": "{number:08d}", "plan": "free"}}' for number in range(USERS)))
LONG_ARRAY = b"[" + b",\n".join(f'{{"user_id": "{number:08d}", "plan": "free"}}'.encode() for number in range(USERS))
BROKEN = b"\xff\xfe not a row of UTF-8 \xff\n"

#: Files whose end would fail a run, and whose beginning is right.
RIGHT_AT_FIRST: dict[str, bytes] = {
    "users.csv": LONG_CSV + BROKEN,
    "users.tsv": LONG_CSV.replace(b",", b"\t") + BROKEN,
    "users.jsonl": LONG_JSON + BROKEN,
    "users.ndjson": LONG_JSON + BROKEN,
    "users.json": LONG_ARRAY + BROKEN,
    "users.json.gz": gzip.compress(LONG_ARRAY + BROKEN, 1)[:-9],
    "users.csv.gz": gzip.compress(LONG_CSV + BROKEN, 1)[:-9],
    "quoted.csv": csv(*(f'user{number:08d},"a\nplan of ""two"" lines"' for number in range(USERS))) + BROKEN,
}


def read_and_scan(folder: Path, workspace: Workspace, request: SnapshotRequest) -> int:
    rows = FilesSource(folder).read(workspace, request)
    usable = f"select user_id, plan from ({rows.select}) where user_id is not null and plan is not null"
    found: int = workspace.one(f"select count(*) from ({usable})")[0]
    return found


@pytest.mark.parametrize("file", RIGHT_AT_FIRST)
def test_a_look_reads_the_beginning_of_a_long_text_file(tmp_path: Path, workspace: Workspace, file: str) -> None:
    (tmp_path / file).write_bytes(RIGHT_AT_FIRST[file])

    looked_at = read_and_scan(
        tmp_path, workspace, SnapshotRequest(user_id="user_id", file=file, traits=PLAN, sample_rows=FEW)
    )

    assert 10_000 < looked_at < USERS
    with pytest.raises(SourceError):
        read_and_scan(tmp_path, workspace, SnapshotRequest(user_id="user_id", file=file, traits=PLAN))


@pytest.mark.parametrize("file", RIGHT_AT_FIRST)
def test_a_look_at_a_query_reads_the_beginning_of_its_files(tmp_path: Path, workspace: Workspace, file: str) -> None:
    (tmp_path / file).write_bytes(RIGHT_AT_FIRST[file])

    query = f"select user_id, plan from '{file}'"
    looked_at = read_and_scan(
        tmp_path, workspace, SnapshotRequest(user_id="user_id", query=query, traits=PLAN, sample_rows=FEW)
    )

    assert 10_000 < looked_at < USERS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "shift_jis", "utf-8-sig"])
def test_a_look_cuts_text_of_any_encoding_between_two_rows(tmp_path: Path, workspace: Workspace, encoding: str) -> None:
    (tmp_path / "users.csv").write_bytes(LONG_CSV.decode().encode(encoding))

    looked_at = SnapshotRequest(user_id="user_id", file="users.csv", traits=PLAN, sample_rows=FEW, encoding=encoding)

    assert 5_000 < read_and_scan(tmp_path, workspace, looked_at) < USERS


def test_what_only_the_end_of_a_long_file_has_is_no_problem(tmp_path: Path, workspace: Workspace) -> None:
    """A key that comes late in JSON lines, a quote that opens nothing in CSV."""
    late = LONG_JSON.replace(b'"plan": "free"', b'"tier": "free"') + b'{"user_id": "last", "plan": "pro"}\n'
    (tmp_path / "late.jsonl").write_bytes(late)

    assert (
        read_and_scan(
            tmp_path, workspace, SnapshotRequest(user_id="user_id", file="late.jsonl", traits=PLAN, sample_rows=FEW)
        )
        == 1
    )


def test_a_column_that_a_long_file_lacks_is_found_missing(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "users.csv").write_bytes(LONG_CSV)

    wanted = SnapshotRequest(user_id="user_id", file="users.csv", traits={"tier": TraitColumn("tier")}, sample_rows=FEW)
    with pytest.raises(SourceError, match="tier"):
        FilesSource(tmp_path).read(workspace, wanted)


def test_a_short_file_is_read_whole(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "users.csv").write_bytes(csv("ada,pro") + BROKEN)
    assert len(csv("ada,pro") + BROKEN) < HEAD_BYTES

    with pytest.raises(SourceError, match="this is not UTF-8"):
        FilesSource(tmp_path).read(
            workspace, SnapshotRequest(user_id="user_id", file="users.csv", traits=PLAN, sample_rows=FEW)
        )


ODD_ARRAYS = {"numbers": b"[\n 1, 2", "one item": b'["a" ' + b" " * HEAD_BYTES, "too deep": b"[" * HEAD_BYTES}


@pytest.mark.parametrize("array", ODD_ARRAYS)
def test_an_array_without_whole_records_fails_as_in_a_run(tmp_path: Path, workspace: Workspace, array: str) -> None:
    (tmp_path / "users.json").write_bytes(ODD_ARRAYS[array] + b" " * HEAD_BYTES)
    whole = SnapshotRequest(user_id="user_id", file="users.json", traits=PLAN)
    with pytest.raises(SourceError) as in_a_run:
        read_and_scan(tmp_path, workspace, whole)
    with pytest.raises(SourceError) as in_a_check:
        read_and_scan(tmp_path, workspace, replace(whole, sample_rows=FEW))
    assert str(in_a_check.value) == str(in_a_run.value)


def test_a_look_reads_a_few_rows_of_a_workbook(tmp_path: Path, workspace: Workspace) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["user_id", "plan"], *([f"user-{number}", "pro"] for number in range(300))):
        book.active.append(row)
    book.save(tmp_path / "users.xlsx")
    whole = SnapshotRequest(user_id="user_id", file="users.xlsx", traits=PLAN)
    query = replace(whole, file=None, query="select user_id, plan from 'users.xlsx'")

    for request in (whole, query):
        assert read_and_scan(tmp_path, workspace, replace(request, sample_rows=FEW)) == FEW
        assert read_and_scan(tmp_path, workspace, request) == 300


class BufferingDialect(SQLiteDialect_pysqlite):
    """A driver that fetches the whole answer as soon as a statement is executed, and counts the rows."""

    name = "buffering"
    supports_statement_cache = True
    fetched: ClassVar[list[int]] = []

    def connect(self, *arguments: Any, **options: Any) -> Any:
        fetched = self.fetched

        class Cursor(sqlite3.Cursor):
            def execute(self, *arguments: Any) -> Any:
                super().execute(*arguments)
                self._rows = super().fetchall()
                fetched.append(len(self._rows))
                return self

            def fetchmany(self, size: int | None = None) -> Any:
                found, self._rows = self._rows[: size or 1], self._rows[size or 1 :]
                return found

            def fetchall(self) -> Any:
                found, self._rows = self._rows, []
                return found

            def fetchone(self) -> Any:
                return next(iter(self.fetchmany(1)), None)

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

        return super().connect(*arguments, factory=Connection, **options)


@pytest.fixture
def fetched() -> list[int]:
    registry.register("buffering", __name__, "BufferingDialect")
    BufferingDialect.fetched.clear()
    return BufferingDialect.fetched


#: Queries of 5,000 users.
NUMBERS = "with recursive n(n) as (select 1 union all select n + 1 from n where n < 5000) select n as user_id from n"


@pytest.mark.parametrize("query", [NUMBERS, f"{NUMBERS};\n", f"{NUMBERS} order by n desc", f"{NUMBERS} -- all of them"])
def test_a_look_at_a_database_whose_driver_buffers_asks_for_a_few_rows(
    workspace: Workspace, fetched: list[int], query: str
) -> None:
    rows = DatabaseSource("buffering://").read(
        workspace, SnapshotRequest(user_id="user_id", query=query, sample_rows=FEW)
    )

    assert workspace.one(f"select count(*) from ({rows.select})") == (FEW,)
    assert max(fetched) == FEW


def test_a_run_reads_all_rows_of_such_a_database(workspace: Workspace, fetched: list[int]) -> None:
    rows = DatabaseSource("buffering://").read(workspace, SnapshotRequest(user_id="user_id", query=NUMBERS))

    assert workspace.one(f"select count(*) from ({rows.select})") == (5_000,)
    assert max(fetched) == 5_000


def test_a_wrong_query_is_reported_as_it_is_written(workspace: Workspace, fetched: list[int]) -> None:
    with pytest.raises(SourceError) as failed:
        DatabaseSource("buffering://").read(
            workspace, SnapshotRequest(user_id="user_id", query="select nope", sample_rows=FEW)
        )

    assert "no such column: nope" in str(failed.value)
    assert "few_rows" not in str(failed.value)
