"""A source is used only if it is as new and as complete as expected."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, Source
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.readiness import parse_time
from audience_sync.workspace import Workspace

from .conftest import Write

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MARKED = Expectations(marker="_SUCCESS")
SINCE_NOON = Expectations(since=NOON)


def written(path: Path, *, hours: float = 0) -> None:
    """So many hours after noon."""
    at = (NOON + timedelta(hours=hours)).timestamp()
    os.utime(path, (at, at))


def refusal(source: Source, request: SnapshotRequest) -> str | None:
    """What ``read`` says; the mark must agree that there is nothing to rely on."""
    with Workspace(0, ["/"]) as workspace:
        try:
            source.read(workspace, request)
        except IncompleteError as error:
            assert source.fingerprint(request) is None
            return str(error)
    return None


@pytest.fixture
def members(write: Write) -> Path:
    """Two files, written at noon and an hour later."""
    for hours, name in enumerate(("members/1.csv", "members/2.csv")):
        written(write(name, "user_id\nada\n"), hours=hours)
    return write("members/readme.txt", "").parent


@pytest.mark.parametrize("asked", [{"file": "members"}, {"file": "members/*.csv"}, {"query": "from 'members/'"}])
class TestFiles:
    def test_count_as_old_as_the_newest(self, asked: Mapping[str, Any], members: Path, tmp_path: Path) -> None:
        source = FilesSource(tmp_path)
        assert refusal(source, SnapshotRequest(user_id="user_id", **asked, expected=SINCE_NOON)) is None
        written(members / "2.csv", hours=-1)
        written(members / "1.csv", hours=-2)
        assert refusal(source, SnapshotRequest(user_id="user_id", **asked, expected=SINCE_NOON)) == (
            "members/2.csv is of 2026-05-01 11:00:00 UTC; it must be of 2026-05-01 12:00:00 UTC or later"
        )

    def test_are_complete_when_a_marker_was_written_after_them(
        self, asked: Mapping[str, Any], members: Path, tmp_path: Path
    ) -> None:
        wanted = SnapshotRequest(user_id="user_id", **asked, expected=Expectations(marker="members/_SUCCESS"))
        assert refusal(FilesSource(tmp_path), wanted) == (
            "there is no members/_SUCCESS, which marks the files as complete"
        )
        (members / "_SUCCESS").touch()
        written(members / "_SUCCESS", hours=0.5)
        assert refusal(FilesSource(tmp_path), wanted) == (
            "members/2.csv was written after members/_SUCCESS: it may not be complete"
        )
        written(members / "_SUCCESS", hours=1)
        assert refusal(FilesSource(tmp_path), wanted) is None
        assert FilesSource(tmp_path).fingerprint(wanted) is not None


def test_a_file_that_is_missing_is_said_to_be_missing(tmp_path: Path) -> None:
    wanted = SnapshotRequest(user_id="user_id", file="vip.csv", expected=Expectations(since=NOON, marker="_SUCCESS"))
    with pytest.raises(SourceError, match=r"no file 'vip\.csv'"), Workspace(0, ["/"]) as workspace:
        FilesSource(tmp_path).read(workspace, wanted)


def test_remote_files_are_asked_for_their_times(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/complete/vip.csv", b"user_id\nada\n")
    source = FilesSource("memory://complete")
    before, after = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    assert (
        refusal(source, SnapshotRequest(user_id="user_id", file="vip.csv", expected=Expectations(since=before))) is None
    )
    assert "vip.csv is of" in str(
        refusal(source, SnapshotRequest(user_id="user_id", file="vip.csv", expected=Expectations(since=after)))
    )
    assert "there is no _SUCCESS" in str(
        refusal(source, SnapshotRequest(user_id="user_id", file="vip.csv", expected=MARKED))
    )
    fsspec.filesystem("memory").pipe("/complete/_SUCCESS", b"")
    assert refusal(source, SnapshotRequest(user_id="user_id", file="vip.csv", expected=MARKED)) is None


@pytest.fixture
def predictions(tmp_path: Path) -> DatabaseSource:
    path = tmp_path / "predictions.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table predictions (user_id text, at text)")
        connection.execute("insert into predictions values ('ada', '2026-05-01 12:00:00')")
    return DatabaseSource(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("modified", "says"),
    [
        ("select max(at) from predictions", None),
        ("select '2026-05-01T14:00:00+02:00'", None),
        ("select 1777636800", None),
        (
            "select datetime(max(at), '-1 second') from predictions",
            "the newest change is of 2026-05-01 11:59:59 UTC; it must be of 2026-05-01 12:00:00 UTC or later",
        ),
        ("select max(at) from predictions where false", "the query `modified` returns no time (NULL or infinity)"),
        ("select at from predictions where false", "the query `modified` returns no time (NULL or infinity)"),
        ("select 'yesterday'", "the query `modified` returns 'yesterday', which is not a valid time"),
        ("select 'infinity'", "the query `modified` returns 'infinity', which is not a valid time"),
        ("select 1777636800000", "the query `modified` returns '1777636800000', which is not a valid time"),
        ("select 9e999", "the query `modified` returns 'inf', which is not a valid time"),
    ],
)
def test_a_database_says_when_it_changed_last(predictions: DatabaseSource, modified: str, says: str | None) -> None:
    expected = Expectations(since=NOON, modified=modified)
    query = "select user_id from predictions"
    assert _database_refusal(predictions, SnapshotRequest(user_id="user_id", query=query, expected=expected)) == says


def _database_refusal(source: DatabaseSource, request: SnapshotRequest) -> str | None:
    with Workspace(0, ["/"]) as workspace:
        try:
            source.read(workspace, request)
        except IncompleteError as error:
            return str(error)
    return None


def test_a_database_that_is_too_old_has_no_fingerprint(predictions: DatabaseSource) -> None:
    def mark(modified: str) -> str | None:
        expected = Expectations(since=NOON, modified=modified)
        return predictions.fingerprint(
            SnapshotRequest(user_id="user_id", query="select 1", probe="select 1", expected=expected)
        )

    assert mark("select max(at) from predictions") is not None
    assert mark("select '2026-04-30'") is None


def test_a_query_for_the_time_that_fails_says_so(predictions: DatabaseSource) -> None:
    wanted = SnapshotRequest(
        user_id="user_id", query="select 1", expected=Expectations(since=NOON, modified="select nothing")
    )
    with pytest.raises(SourceError, match="the query `modified` failed"), Workspace(0, ["/"]) as workspace:
        predictions.read(workspace, wanted)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (NOON.replace(tzinfo=None), NOON),
        (NOON, NOON),
        (date(2026, 5, 1), NOON.replace(hour=0)),
        (1777636800.0, NOON),
        (Decimal("1777636800"), NOON),
        ("2026-05-01 12:00", NOON),
    ],
)
def test_a_time_without_a_zone_is_utc(value: Any, time: datetime) -> None:
    assert parse_time(value) == time


@pytest.mark.parametrize("value", [True, b"x", []])
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(IncompleteError, match=r"returns a value of the type \w+, which is not a time"):
        parse_time(value)


@pytest.mark.parametrize(
    "value", [Decimal("NaN"), Decimal("1e500"), 10**400, -1e18, math.nan, "9999-12-31T23:59-14:00"]
)
def test_a_time_outside_of_the_years_is_not_complete(value: Any) -> None:
    with pytest.raises(IncompleteError, match="which is not a valid time"):
        parse_time(value)
