"""A fingerprint of a remote file and of a probe changes when the source changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.fingerprint import remote_version


@pytest.mark.parametrize(
    ("info", "version"),
    [
        pytest.param({"size": 7, "ETag": '"ab"', "LastModified": "x"}, 'b/a.csv:7:etag="ab"', id="S3"),
        pytest.param({"size": 7, "etag": "Cj", "updated": "2026-01-01"}, "b/a.csv:7:etag=Cj", id="Google"),
        pytest.param({"size": 7, "content_md5": "q=="}, "b/a.csv:7:content_md5=q==", id="Azure"),
        pytest.param({"size": 7, "mtime": 12.5}, "b/a.csv:7:mtime=12.5", id="SFTP"),
        pytest.param({"size": 7}, None, id="a size proves nothing"),
    ],
)
def test_a_remote_file_is_known_by_what_its_file_system_says(info: dict[str, Any], version: str | None) -> None:
    assert remote_version("b/a.csv", info) == version


def test_a_remote_file_of_which_only_the_size_is_known_has_no_fingerprint() -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/marks/vip.csv", b"user_id\nada\n")
    source = FilesSource("memory://marks")
    assert source.fingerprint(SnapshotRequest(user_id="user_id", file="vip.csv")) is None
    assert source.fingerprint(SnapshotRequest(user_id="user_id", file="nothing.csv")) is None


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table predictions (user_id text, version integer)")
        connection.execute("insert into predictions values ('ada', 1)")
    return path


def mark(path: Path, probe: str | None) -> str | None:
    wanted = SnapshotRequest(user_id="user_id", query="select user_id from predictions", probe=probe)
    return DatabaseSource(f"sqlite:///{path}").fingerprint(wanted)


def test_a_database_with_a_probe_has_a_fingerprint(predictions: Path) -> None:
    assert mark(predictions, None) is None
    assert mark(predictions, "select max(version) from predictions") is not None


def test_the_fingerprint_changes_with_the_answer_of_the_probe_and_with_nothing_else(predictions: Path) -> None:
    probe = "select max(version) from predictions"
    first = mark(predictions, probe)
    with closing(sqlite3.connect(predictions)) as connection, connection:
        connection.execute("insert into predictions values ('bob', 1)")
    assert mark(predictions, probe) == first
    with closing(sqlite3.connect(predictions)) as connection, connection:
        connection.execute("update predictions set version = 2")
    assert mark(predictions, probe) not in (first, None)


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        ("select nothing from predictions", "the probe failed"),
        ("delete from predictions", "the probe failed"),
        ("with recursive t(n) as (select 1 union all select n + 1 from t where n < 1001) select n from t", "cheap"),
    ],
)
def test_a_probe_that_is_no_probe_is_an_error(predictions: Path, probe: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        mark(predictions, probe)
