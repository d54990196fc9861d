"""Look one user up in stored snapshots, reading only a few rows of each file.

A base is sorted by user id, in row groups whose first and last ids are in the file's footer. Only the footer and one
row group are downloaded, into a file that has zeros elsewhere: chunks from the database, ranges from a bucket. So no
checksum is verified here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from audience_sync.errors import StoreDamagedError
from audience_sync.sql import quote_literal
from audience_sync.store.snapshots.chain import BASE
from audience_sync.store.snapshots.files import CHUNK_BYTES
from audience_sync.store.tables import snapshot_file_chunks, snapshot_files
from audience_sync.store.tables.snapshots import BINARY
from audience_sync.workspace import Workspace

#: The end of a Parquet file: four bytes for the length of its footer, and four for the format.
TAIL_BYTES = 8
#: Bytes of an object that are read at least: a request costs more time than they do.
RANGE_BYTES = 256 * 2**10
#: The row groups that may contain a user, with their first and last byte. A group without bounds may contain any user.
_ROW_GROUPS = """
    select file_name, min(first_byte), max(first_byte + total_compressed_size)
    from (
        select *, coalesce(dictionary_page_offset, data_page_offset) as first_byte
        from parquet_metadata({files})
    )
    group by file_name, row_group_id
    having coalesce(
        max(stats_min_value <= {user} and stats_max_value >= {user}) filter (where path_in_schema = 'user_id'), true
    )
"""


def base_rows(
    connection: Connection, workspace: Workspace, chain_ids: Iterable[int], user: str
) -> dict[int, Mapping[str, Any]]:
    """The user's row (columns and values) in the base of each of these chains, by chain, if there is one.

    Raises StoreDamagedError if a file can't be read.
    """
    import duckdb

    files = [_open(connection, workspace, row) for row in _read_bases(connection, chain_ids)]
    if not files:
        return {}
    try:
        found = _rows(workspace, files, user)
    except duckdb.Error:
        keys = ", ".join(str(each.file_id) for each in files)
        raise StoreDamagedError(
            f"The store is damaged: one of the snapshot files {keys} can't be read. Restore the store from a backup, "
            "or send everything again from the sources: audience-sync resync"
        ) from None
    return {each.chain: found[str(each.path)] for each in files if str(each.path) in found}


def _read_bases(connection: Connection, chain_ids: Iterable[int]) -> Sequence[Any]:
    file = snapshot_files.c
    columns = (file.id, file.chain_id, file.bytes, file.object_url, file.checksum)
    mine = snapshot_files.c.chain_id.in_(list(chain_ids)) & (snapshot_files.c.kind == BASE)
    return connection.execute(select(*columns).where(mine).order_by(snapshot_files.c.id)).all()


#: The bytes from the first up to, but without, the end.
_Read = Callable[[int, int], bytes]


def _open(connection: Connection, workspace: Workspace, row: Row[Any]) -> _SparseFile:
    if row.object_url is None:
        return _SparseFile(workspace, row, CHUNK_BYTES, partial(_read_chunks, connection, row.id))
    from audience_sync.store.snapshots.objects import StoredObject, read_range

    read = partial(read_range, StoredObject(row.object_url, row.bytes, row.checksum))
    return _SparseFile(workspace, row, RANGE_BYTES, read)


def _read_chunks(connection: Connection, file_id: int, first: int, end: int) -> bytes:
    chunk = snapshot_file_chunks.c
    mine = (chunk.file_id == file_id) & chunk.number.between(first // CHUNK_BYTES, (end - 1) // CHUNK_BYTES)
    content = select(chunk.content).where(mine).order_by(chunk.number).execution_options(**{BINARY: True})
    return b"".join(connection.execute(content).scalars())


class _SparseFile:
    """A snapshot file of which only the requested bytes are downloaded, in units of a size; the rest is zeros."""

    def __init__(self, workspace: Workspace, row: Row[Any], unit: int, read: _Read) -> None:
        self.file_id, self.chain = row.id, row.chain_id
        self.path: Path = workspace.path(".parquet")
        self._size, self._unit, self._read = row.bytes, unit, read
        self._fetched: set[int] = set()
        with self.path.open("wb") as file:
            file.truncate(self._size)
        self._fetch_footer()

    def _fetch_footer(self) -> None:
        self.fetch(self._size - TAIL_BYTES, self._size)
        with self.path.open("rb") as file:
            file.seek(self._size - TAIL_BYTES)
            length = int.from_bytes(file.read(4), "little")
        self.fetch(self._size - TAIL_BYTES - length, self._size)

    def fetch(self, first: int, end: int) -> None:
        """Download the bytes from ``first`` up to, but without, ``end``."""
        numbers = range(max(first, 0) // self._unit, (end - 1) // self._unit + 1)
        for run in _runs(each for each in numbers if each not in self._fetched):
            body = self._read(run.start * self._unit, min(run.stop * self._unit, self._size))
            with self.path.open("r+b") as file:
                file.seek(run.start * self._unit)
                file.write(body)
        self._fetched.update(numbers)


def _runs(numbers: Iterable[int]) -> Iterator[range]:
    """Neighbouring numbers, together."""
    run = range(0)
    for each in numbers:
        if run and each != run.stop:
            yield run
            run = range(0)
        run = range(run.start if run else each, each + 1)
    if run:
        yield run


def _rows(workspace: Workspace, files: Sequence[_SparseFile], user: str) -> dict[str, dict[str, Any]]:
    by_path = {str(each.path): each for each in files}
    groups = workspace.all(_ROW_GROUPS.format(files=_sql_list(by_path), user=quote_literal(user)))
    for path, first, end in groups:
        by_path[path].fetch(first, end)
    found = {path: _row(workspace, path, user) for path in dict.fromkeys(path for path, _, _ in groups)}
    return {path: row for path, row in found.items() if row is not None}


def _row(workspace: Workspace, path: str, user: str) -> dict[str, Any] | None:
    rows = workspace.connection.execute(
        f"from read_parquet({quote_literal(path)}) where user_id = {quote_literal(user)}"
    )
    names = [column[0] for column in rows.description or ()]
    row = rows.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _sql_list(paths: Iterable[str]) -> str:
    return f"[{', '.join(map(quote_literal, paths))}]"
