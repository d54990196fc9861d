"""Give each run a private DuckDB, with a temporary folder for data that does not fit into memory.

Files are scanned, snapshots compared and changes merged here. A workspace lives as long as one run and leaves nothing
behind.
"""

from __future__ import annotations

import copy
import csv
import os
import resource
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from audience_sync.cancellation import interruptible
from audience_sync.errors import ScarceMemoryError
from audience_sync.sql import LINE_BYTES, WRITTEN_CSV, TableName, csv_scan, quote_literal

if TYPE_CHECKING:
    import duckdb

    from audience_sync.arrow import TextColumn

#: Memory of Python, the libraries and the senders' buffers, in addition to DuckDB's (bytes).
RESERVED_BYTES = 300_000_000
SMALLEST_BYTES = 150_000_000
#: More than any machine has. DuckDB accepts no much larger number (bytes).
LARGEST_BYTES = 1_000_000_000_000_000
#: Address space that a small run needs; one of a million users needs 1,600 MB with the default `memory_limit` (bytes).
LEAST_ADDRESS_SPACE = 1_200_000_000
THREADS = 2
#: Of a lean workspace: what a query frees is given back to the system if it is larger (bytes).
MOST_KEPT_BYTES = 1_000_000
#: Rows converted to Python at once, while other threads wait: two of DuckDB's vectors.
STREAMED_ROWS = 4_096
#: Rows of one row group of a Parquet file, which DuckDB reads without the others.
ROWS_PER_GROUP = 122_880


def _refuse_scarce_memory() -> None:
    """Raise ScarceMemoryError if `ulimit -v` allows less than LEAST_ADDRESS_SPACE.

    Libraries and their threads reserve much more than they use. When nothing is left, the C library may end the
    process in the middle of a run, without a message.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY or allowed >= LEAST_ADDRESS_SPACE:
        return
    raise ScarceMemoryError(
        f"there was not enough memory: the process may use {allowed // 1_000_000:,} MB of address space (`ulimit -v`), "
        f"and needs at least {LEAST_ADDRESS_SPACE // 1_000_000:,} MB. Nothing was loaded or sent.\n"
        "Remove that limit: ulimit -v unlimited\n"
        "To limit the memory that is used, set `memory_limit` in the config, or the limit of a container or of "
        "systemd (MemoryMax)."
    )


def _write_csv(path: Path, batches: Iterable[Sequence[Sequence[Any]]]) -> int:
    """Write these rows to a CSV file. Returns an upper bound of the length of its lines in bytes."""
    longest = LINE_BYTES
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        for rows in batches:
            before = file.tell()
            writer.writerows(rows)
            longest = max(longest, file.tell() - before)
    return longest


@contextmanager
def interruptible_query(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Raise KeyboardInterrupt for an interrupted query: DuckDB handles the signal itself and raises its own error."""
    with interruptible(connection.interrupt):
        try:
            yield
        except RuntimeError as error:
            if "Query interrupted" in str(error):
                raise KeyboardInterrupt from None
            raise


class Workspace(AbstractContextManager["Workspace"]):
    """An in-memory DuckDB and a temporary folder, both removed on exit.

    ``memory_limit`` (bytes) is the whole process's; DuckDB gets what the rest doesn't need and spills the
    remainder into the folder. ``readable``: other folders and files that SQL may read. A query of the config can read
    nothing else, and nothing over a network. ``lean``: queries use one thread, and their memory goes back to the
    system at once. That suits few rows; with many it costs time, and 14% more CPU.
    """

    def __init__(self, memory_limit: int, readable: Iterable[str] = (), *, lean: bool = False) -> None:
        _refuse_scarce_memory()
        import duckdb

        from audience_sync.temporary_folder import TemporaryFolder

        self._folder = TemporaryFolder()
        self._numbers = count(1)
        self.threads = 1 if lean else THREADS
        #: Copies in the folder, by the URL of their object. An object never changes.
        self.copies = dict[str, Path]()
        self._named = deque[TableName](maxlen=0)  # a scratch has those that it gave out
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": f"{min(max(memory_limit - RESERVED_BYTES, SMALLEST_BYTES), LARGEST_BYTES)}B",
                "temp_directory": str(self._folder.path / "spill"),
                "threads": self.threads,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        if lean:
            self.connection.execute(f"SET allocator_bulk_deallocation_flush_threshold = '{MOST_KEPT_BYTES}B'")
        self.connection.execute("SET TimeZone = 'UTC'")
        self._restrict_files([os.path.realpath(self._folder.path), *readable])

    def _restrict_files(self, allowed: Sequence[str]) -> None:
        """Allow DuckDB these paths only, for good. They have to be real paths: it follows links before it checks."""
        readable = [path for path in allowed if not self._folder.is_unreadable(path)]
        folders = [path for path in readable if os.path.isdir(path)]
        files = [path for path in readable if path not in folders]  # they may be written later
        for setting, paths in (("allowed_directories", folders), ("allowed_paths", files)):
            self.connection.execute(f"SET {setting} = [{', '.join(map(quote_literal, paths))}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")

    def name(self, prefix: str) -> TableName:
        """An unused table name."""
        name = TableName(f"{prefix}_{next(self._numbers)}")
        self._named.append(name)
        return name

    def table(self, prefix: str, query: str) -> TableName:
        """Create a table with the rows of a query, and return its unused name."""
        table = self.name(prefix)
        self.run(f"create table {table} as {query}")
        return table

    def view(self, prefix: str, query: str) -> TableName:
        """Create a view of a query, which runs again at each use, and return its unused name."""
        view = self.name(prefix)
        self.run(f"create view {view} as {query}")
        return view

    def path(self, suffix: str) -> Path:
        """An unused file name in the folder."""
        return self._folder.file(suffix)

    def scannable(self, path: Path) -> Path:
        """A path by which DuckDB reads exactly this file: its own, or that of a link in the folder."""
        return self._folder.scannable(path)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A second connection to the same tables: one for each thread."""
        return self.connection.cursor()

    @contextmanager
    def scratch(self) -> Iterator[Workspace]:
        """The same workspace on a connection of its own, for one thread. What is made in it is dropped at the end."""
        scratch = copy.copy(self)
        scratch.connection, scratch._named = self.cursor(), deque()
        try:
            yield scratch
        finally:
            scratch._drop_named()
            scratch.connection.close()

    def _drop_named(self) -> None:
        names = ", ".join(map(quote_literal, self._named))
        made = f"select table_type, table_name from information_schema.tables where table_name in ({names})"
        for kind, name in self.all(made) if names else ():
            self.run(f"drop {'view' if kind == 'VIEW' else 'table'} {name}")

    @property
    def is_broken(self) -> bool:
        """Whether an internal error of DuckDB has made it unusable."""
        import duckdb

        try:
            with self.connection.cursor() as cursor:
                cursor.execute("select 1").fetchall()
        except duckdb.Error:
            return True
        return False

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        with interruptible_query(self.connection):
            self.connection.execute(statement, list(parameters) or None)

    def all(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with interruptible_query(self.connection):
            return self.connection.execute(query, list(parameters) or None).fetchall()

    def one(self, query: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The first row of a query that always has one (an aggregate)."""
        with interruptible_query(self.connection):
            row: tuple[Any, ...] | None = self.connection.execute(query, list(parameters) or None).fetchone()
        assert row is not None, query
        return row

    def stream(self, query: str, size: int = STREAMED_ROWS) -> Iterator[list[tuple[Any, ...]]]:
        """The rows in lists of at most ``size``, on a connection of its own."""
        cursor = self.cursor()
        try:
            with interruptible_query(cursor):
                cursor.execute(query)
                while rows := cursor.fetchmany(size):
                    yield rows
        finally:
            cursor.close()

    def text_columns(self, query: str) -> Iterator[Sequence[TextColumn]]:
        """The rows of a query of texts as buffers, in batches of some hundred thousand, on a connection of its own.

        Raises ArrowError if the query fails after its first rows.
        """
        from audience_sync.arrow import text_columns

        cursor = self.cursor()
        try:
            with interruptible_query(cursor):
                yield from text_columns(cursor.sql(query))
        finally:
            cursor.close()

    def load(self, columns: Mapping[str, str], batches: Iterable[Sequence[Sequence[Any]]]) -> TableName:
        """Create a table from Python rows; ``columns``: names and DuckDB types. Returns the table's name.

        Rows pass through a CSV file, which is far faster than inserts and needs little memory. Text must not be empty:
        empty means NULL.
        """
        path, table = self.path(".csv"), self.name("rows")
        line = _write_csv(path, batches)
        buffers = f"max_line_size = {line}, buffer_size = {max(line, 16 * LINE_BYTES)}"
        self.run(f"create table {table} as from {csv_scan(path, columns, options=f'{WRITTEN_CSV}, {buffers}')}")
        path.unlink()
        return table

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        import duckdb

        with suppress(duckdb.Error):  # a read that can't be stopped still uses it until the process ends
            self.connection.close()
        self._folder.remove()
