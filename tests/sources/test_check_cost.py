"""What `check` fetches of a database and of remote files: columns and a few rows, whatever the size."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import fsspec
import pytest
from cli.conftest import Project
from conftest import PostgreSQL
from fsspec.implementations.memory import MemoryFileSystem
from msgspec.structs import replace
from sqlalchemy import create_engine, make_url
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.oracle.oracledb import OracleDialect_oracledb
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from audience_sync.errors import IncompleteError, SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, SnapshotRows, TraitColumn
from audience_sync.sources.database.source import limited_query
from audience_sync.sources.files.source import FilesSource
from audience_sync.sources.storage.head import REMOTE_BYTES
from audience_sync.workspace import Workspace

# Databases.

ROWS = 1_000_000


class Relay:
    """Passes bytes between clients on a port and a server's socket, and counts those that the server sends."""

    def __init__(self, path: str) -> None:
        self.sent, self._path = 0, path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = ThreadPoolExecutor(thread_name_prefix="relay")
        self._threads.submit(self._accept)

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                self._threads.submit(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._path)
            questions = self._threads.submit(self._pass_on, client, server)
            self._pass_on(server, client)
            questions.result()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # the other side hung up
            while data := source.recv(1 << 16):
                if source.family == socket.AF_UNIX:
                    self.sent += len(data)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads.shutdown()


@contextmanager
def relayed(url: str) -> Iterator[tuple[str, Relay]]:
    """The URL of the same database through a relay."""
    address = make_url(url)
    relay = Relay(f"{address.query['host']}/.s.PGSQL.{address.port or 5432}")
    near = address.set(drivername="postgresql", host="127.0.0.1", port=relay.port, query={"sslmode": "disable"})
    yield near.render_as_string(hide_password=False), relay
    relay.close()


@pytest.fixture
def large_table(postgresql: PostgreSQL) -> str:
    url = postgresql.create()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create table members as select 'user-' || i as user_id, 'group ' || mod(i, 5) as audience, "
            f"mod(i, 9) as score from generate_series(1, {ROWS}) i"
        )
    engine.dispose()
    return url


def test_check_fetches_a_few_kilobytes_of_a_table_of_a_million_rows(tmp_path: Path, large_table: str) -> None:
    project = Project(tmp_path)
    audiences = [
        {"name": "Everyone", "source": "warehouse", "query": "select user_id from members"},
        {"name": "High Score", "source": "warehouse", "query": "select user_id from members where score > 7"},
        {"names_from": "audience", "source": "warehouse", "query": "select user_id, audience from members"},
    ]
    score = {"source": "warehouse", "query": "select user_id, score from members", "traits": ["score"]}
    with relayed(large_table) as (url, relay):
        project.environment["WAREHOUSE"] = url
        sources = {"warehouse": {"database": "${WAREHOUSE}"}}
        project.configure(sources=sources, audiences=audiences, computed_traits=[score])

        checked = project.run("check", "--json")

        assert (checked.code, [each for each in checked.json["checks"] if not each["good"]]) == (0, [])
        assert 4 * 100 * len("user-1") < relay.sent < 100_000 < ROWS * len("user-1")


def test_check_finds_a_missing_column_without_fetching_the_table(tmp_path: Path, large_table: str) -> None:
    project = Project(tmp_path)
    audience = {"name": "Everyone", "source": "warehouse", "query": "select * from members", "user_id": "customer_id"}
    with relayed(large_table) as (url, relay):
        project.environment["WAREHOUSE"] = url
        project.configure(sources={"warehouse": {"database": "${WAREHOUSE}"}}, audiences=[audience])

        assert project.run("check").code == 3
        assert relay.sent < 100_000


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (MSDialect_pyodbc, "SELECT TOP 100 * FROM ({}) few_rows"),
        (OracleDialect_oracledb, "SELECT * FROM ({}) few_rows FETCH FIRST 100 ROWS ONLY"),
        (MySQLDialect_pymysql, "SELECT * FROM ({}) few_rows LIMIT 100"),
        (PGDialect_psycopg, "SELECT * FROM ({}) few_rows LIMIT 100"),
    ],
)
def test_a_limit_is_written_as_the_database_writes_it(dialect: type[Any], expected: str) -> None:
    query = "select id::text, ':name' as few_rows -- 5%\nfrom \"The Users\""
    written = limited_query(dialect(), f"{query};\n", 100)
    assert " ".join(written.split()) == " ".join(expected.format(f"\n{query}\n").split())


# Remote files.


class CountingFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files in memory, whose bytes are counted when they are read."""

    protocol: ClassVar[str] = "counted"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    read: ClassVar[list[int]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        plain: str = super()._strip_protocol(path.replace("counted://", "memory://"))
        return plain

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        opened, counted = super()._open(path, *arguments, **options), self.read

        class Counting:
            def read(self, size: int = -1) -> bytes:
                data: bytes = opened.read(size)
                counted.append(len(data))
                return data

            def __getattr__(self, name: str) -> Any:
                return getattr(opened, name)

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                pass

        return Counting()


@pytest.fixture
def remote() -> CountingFileSystem:
    fsspec.register_implementation("counted", CountingFileSystem, clobber=True)
    CountingFileSystem.store.clear()
    CountingFileSystem.read.clear()
    system: CountingFileSystem = fsspec.filesystem("counted")
    return system


def look(workspace: Workspace, file: str, *, query: bool = False, **expected: Any) -> SnapshotRows:
    request = SnapshotRequest(
        user_id="user_id",
        file=None if query else file,
        query=f"select user_id, plan from '{file}'" if query else None,
        traits={"plan": TraitColumn("plan")},
        expected=Expectations(**expected),
        sample_rows=100,
    )
    return FilesSource("counted://shop").read(workspace, request)


def parquet(folder: Path, rows: int) -> bytes:
    path = folder / "users.parquet"
    with duckdb.connect() as connection:
        users = f"select md5(i::varchar) as user_id, hash(i) as plan from range({rows}) t(i)"
        connection.sql(users).write_parquet(str(path))
    return path.read_bytes()


LONG = "user_id,plan\n" + "".join(f"user-{number:08},plan {number % 7}\n" for number in range(300_000))


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize("name", ["users.csv", "users.csv.gz"])
def test_the_beginning_of_a_remote_text_file_is_copied(
    workspace: Workspace, remote: CountingFileSystem, name: str, query: bool
) -> None:
    content = LONG.encode() if name.endswith("csv") else gzip.compress(LONG.encode(), 0)  # 0: as large as unpacked
    remote.pipe(f"/shop/{name}", content)

    rows = look(workspace, name, query=query)

    assert sum(remote.read) == REMOTE_BYTES < len(content)
    assert 10_000 < workspace.one(f"select count(*) from ({rows.select}) where plan is not null")[0] < 300_000


@pytest.mark.parametrize("query", [False, True])
def test_the_footer_of_a_remote_parquet_file_is_copied(
    tmp_path: Path, workspace: Workspace, remote: CountingFileSystem, query: bool
) -> None:
    content = parquet(tmp_path, 300_000)
    remote.pipe("/shop/users.parquet", content)

    rows = look(workspace, "users.parquet", query=query, columns=True)

    assert rows.columns == {"user_id": "text", "plan": "number"}
    assert sum(remote.read) < 5_000 < len(content)


def test_a_column_that_a_remote_parquet_file_lacks_is_found(
    tmp_path: Path, workspace: Workspace, remote: CountingFileSystem
) -> None:
    remote.pipe("/shop/users.parquet", parquet(tmp_path, 1_000))
    request = SnapshotRequest(user_id="customer_id", file="users.parquet", sample_rows=100)
    with pytest.raises(SourceError, match=r"no column 'customer_id'"):
        FilesSource("counted://shop").read(workspace, request)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" + b"\xff" * 4 + b"PAR1"])
def test_a_remote_file_that_is_no_parquet_is_refused_as_in_a_run(
    workspace: Workspace, remote: CountingFileSystem, content: bytes
) -> None:
    remote.pipe("/shop/users.parquet", content)
    source, whole = FilesSource("counted://shop"), SnapshotRequest(user_id="user_id", file="users.parquet")
    with pytest.raises(SourceError) as in_a_run:
        source.read(workspace, whole)
    with pytest.raises(SourceError) as in_a_check:
        source.read(workspace, replace(whole, sample_rows=100))
    messages = [re.sub(r"\d+-remote", "copy", str(each.value)) for each in (in_a_check, in_a_run)]
    assert messages[0] == messages[1]


def test_a_file_of_a_manifest_with_checksums_is_copied_whole(workspace: Workspace, remote: CountingFileSystem) -> None:
    checksum = sha256(LONG.encode()).hexdigest()
    remote.pipe({"/shop/users.csv": LONG.encode(), "/shop/sums": f"{checksum}  users.csv".encode()})
    look(workspace, "users.csv", manifest="sums")
    assert len(LONG) <= sum(remote.read)

    remote.pipe("/shop/sums", b"0" * 64 + b"  users.csv")
    with pytest.raises(IncompleteError, match="its checksum differs"):
        look(workspace, "users.csv", manifest="sums")
