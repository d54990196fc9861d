"""Snapshots are fetched from Spark: by its client, from Sail, which speaks Spark Connect."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from warehouse.sail import needs_spark, spark_server

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.boundary import BoundedSource
from audience_sync.sources.spark.server import SparkError, SparkServer
from audience_sync.sources.spark.source import SparkSource
from audience_sync.workspace import Workspace

from .conftest import Read

ROWS = (
    "(values ('ada', 1.50, true), (' bob', null, false), (null, 2.0, true), ('', 3.0, true)) as rows(id, price, gold)"
)


@pytest.fixture(scope="module")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with spark_server(tmp_path_factory.mktemp("sail")) as url:
        yield url


@pytest.fixture
def spark(sail: str) -> SparkSource:
    return SparkSource(SparkServer(sail))


@needs_spark
def test_a_query_gives_users_traits_and_invalid_rows(spark: SparkSource, read: Read) -> None:
    query = f"select id as user_id, price, gold, 'not wanted' as other from {ROWS} -- everyone\n;"
    found = read(spark, query=query, traits={"price": "price", "gold": "gold"})

    assert sorted(found.rows, key=str) == [
        (" bob", None, "false"),
        ("ada", "1.5", "true"),
        (None, "2", "true"),
        (None, "3", "true"),
    ]
    assert found.invalid_rows == [
        ("the query", 3, None, "no user id"),
        ("the query", 4, "", "empty user id"),
    ]


@needs_spark
@pytest.mark.parametrize(
    ("value", "json"),
    [
        ("cast(7 as tinyint)", "7"),
        ("cast(2.5 as double)", "2.5"),
        ("cast(3 as float)", "3"),
        ("cast('NaN' as double)", None),
        ("date '2026-05-01'", '"2026-05-01T00:00:00.000Z"'),
        ("timestamp '2026-05-01 10:30:00.123 UTC'", '"2026-05-01T10:30:00.123Z"'),
        ("array('a', 'b')", '["a","b"]'),
        ("map('a', 1)", '{"a":1}'),
        ("named_struct('plan', 'pro', 'seats', 3)", '{"plan":"pro","seats":3}'),
    ],
)
def test_values_of_spark_are_written_as_json(value: str, json: str | None, spark: SparkSource, read: Read) -> None:
    assert read(spark, query=f"select 'ada' as user_id, {value} as it", traits={"it": "it"}).rows == [("ada", json)]


@needs_spark
def test_names_come_with_their_users(spark: SparkSource, read: Read) -> None:
    query = "select * from values ('ada', ' A '), ('bob', '') as rows(user_id, audience)"
    found = read(spark, query=query, name="audience")
    assert found.values["ada"] == "A"
    assert [reason for *_, reason in found.invalid_rows] == ["no audience name"]


@needs_spark
def test_no_row_is_no_member(spark: SparkSource, read: Read) -> None:
    assert read(spark, query="select 'ada' as user_id where 1 = 0").rows == []


@needs_spark
def test_a_sample_has_a_few_rows(spark: SparkSource, read: Read) -> None:
    assert len(read(spark, query="select cast(id as string) as user_id from range(1000)", sample_rows=3).rows) == 3


@needs_spark
def test_many_rows_arrive_in_several_tables(spark: SparkSource, read: Read) -> None:
    found = read(spark, query="select cast(id as string) as user_id from range(100000)")
    assert set(found.ids) == set(map(str, range(100_000)))


@needs_spark
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select user_id from nowhere", "the query failed: .*nowhere.*It must be one SELECT"),
        ("select id as customer from range(3)", "there is no column 'user_id'. Columns: customer"),
        ("select 1 as user_id, 2 as user_id", "the column 'user_id' appears twice"),
        ("selct 1 as user_id", "the query failed: .*It must be one SELECT"),
        ("drop table members", "the query failed: .*It must be one SELECT"),
        ("select true as user_id", "has the type BOOLEAN, which can't hold user ids"),
    ],
)
def test_a_query_that_fails_says_why(query: str, says: str, spark: SparkSource, read: Read) -> None:
    with pytest.raises(SourceError, match=says):
        read(spark, query=query)


@needs_spark
def test_an_error_has_no_value_of_a_row(spark: SparkSource, read: Read, capfd: pytest.CaptureFixture[str]) -> None:
    query = "select raise_error(mail) as user_id from (select 'ada@example.com' as mail) t"
    with pytest.raises(SourceError) as failed:
        read(spark, query=query)
    assert "ada@" not in str(failed.value)
    assert "ada@" not in "".join(capfd.readouterr())


@needs_spark
def test_a_text_that_is_not_utf_8_fails(spark: SparkSource, read: Read) -> None:
    with pytest.raises(SourceError, match=r"(?i)utf-8"):
        read(spark, query="select cast(X'ff61' as string) as user_id")


@pytest.mark.parametrize(
    "cause",
    [
        UnicodeDecodeError("utf-8", b"\xffa", 0, 1, "invalid start byte"),
        duckdb.InvalidInputException("Invalid Input Error: Invalid unicode (byte sequence mismatch) detected"),
        duckdb.InvalidInputException("Invalid Input Error: Invalid unicode detected in segment statistics update"),
    ],
)
def test_a_text_that_arrow_or_duckdb_can_not_read_names_the_remedy(cause: Exception) -> None:
    assert SparkError(cause).reason == "a text is not UTF-8 (make_valid_utf8(name) in the query mends it)"


@needs_spark
def test_a_probe_tells_whether_the_rows_changed(spark: SparkSource) -> None:
    def fingerprint(probe: str) -> str | None:
        return spark.fingerprint(SnapshotRequest(user_id="user_id", query="select 1", probe=probe))

    assert fingerprint("select 1") == fingerprint("select 1") != fingerprint("select 2")
    with pytest.raises(SourceError, match="returns more than 1000 rows"):
        fingerprint("select id from range(2000)")


@needs_spark
def test_old_rows_are_refused(spark: SparkSource, workspace: Workspace) -> None:
    expected = Expectations(since=datetime.now(UTC) - timedelta(hours=1), modified="select timestamp '2026-01-01'")
    request = SnapshotRequest(user_id="user_id", query="select 'ada' as user_id", expected=expected)
    with pytest.raises(IncompleteError, match="the newest change is of 2026-01-01"):
        spark.read(workspace, request)
    assert spark.fingerprint(request) is None


@needs_spark
def test_a_query_that_takes_too_long_is_stopped(tmp_path: Path, workspace: Workspace) -> None:
    slow = "select sum(crc32(cast(a.id * b.id as string))) as user_id from range(1000000) a cross join range(1000000) b"
    with spark_server(tmp_path) as url:
        source = BoundedSource("lake", lambda: SparkSource(SparkServer(url)), timedelta(seconds=3))
        with pytest.raises(SourceError, match="source 'lake' took longer than 3s and was stopped"):
            source.read(workspace, SnapshotRequest(user_id="user_id", query=slow))


@needs_spark
def test_expected_columns_have_generic_types(spark: SparkSource, workspace: Workspace) -> None:
    query = "select 'ada' as user_id, 1 as age, date '2026-01-01' as day, array(1) as some"
    traits = {"age": TraitColumn("age")}
    request = SnapshotRequest(user_id="user_id", query=query, traits=traits, expected=Expectations(columns=True))
    assert spark.read(workspace, request).columns == {
        "user_id": "text",
        "age": "number",
        "day": "time",
        "some": "array<int>",
    }


def test_a_server_that_can_not_be_reached_is_named_without_its_token() -> None:
    pytest.importorskip("pyspark")
    with pytest.raises(SourceError) as failed:
        SparkSource(SparkServer("sc://127.0.0.1:1/;token=secret-token")).check()
    assert str(failed.value).startswith("Spark at sc://127.0.0.1:1: can't connect: ")
    assert str(failed.value).endswith("Check the URL, and that it can be reached.")
    assert "secret-token" not in str(failed.value)


@pytest.mark.parametrize("why", ["SESSION_CLOSED", "SESSION_NOT_FOUND", "SESSION_CHANGED"])
def test_a_session_that_the_server_has_ended_is_explained(why: str) -> None:
    cause = Exception(f"(org.apache.spark.SparkSQLException) [INVALID_HANDLE.{why}] The handle 4b1d is invalid.")
    error = SparkServer("sc://127.0.0.1:1").problem("comparing failed", SparkError(cause), "Correct the query.")
    assert str(error).endswith(
        "The server ended the session, as it does when it restarts. Run again: each run starts its own."
    )


def test_without_its_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql.connect.session", None)
    from audience_sync.sources.spark import server

    server._import_client.cache_clear()
    with pytest.raises(SourceError, match=r"not installed.*Install it: pip install 'audience-sync\[spark\]'"):
        SparkSource(SparkServer("sc://127.0.0.1:1")).check()


def test_a_file_is_not_asked_of_spark(read: Read) -> None:
    with pytest.raises(SourceError, match="Spark is read by `query:`"):
        read(SparkSource(SparkServer("sc://127.0.0.1:1")), file="a.csv")
