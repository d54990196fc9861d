"""Look one user up in stored snapshots, reading only a few rows of each file.

A base is sorted by user id, in row groups whose first and last ids are in the file's footer. Only the footer and one
row group are downloaded, into a file that has zeros elsewhere. So no checksum is verified here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from audience_sync.errors import StoreDamagedError
from audience_sync.sql import quote_literal
from audience_sync.store.snapshots.chain import BASE
from audience_sync.store.snapshots.files import CHUNK_BYTES
from audience_sync.store.tables import snapshot_file_chunks, snapshot_files
from audience_sync.store.tables.snapshots import BINARY
from audience_sync.workspace import Workspace

#: The end of a Parquet file: four bytes for the length of its footer, and four for the format.
TAIL_BYTES = 8
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

    files = [_SparseFile(connection, workspace, *row) for row in _read_bases(connection, chain_ids)]
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
    columns = (snapshot_files.c.id, snapshot_files.c.chain_id, snapshot_files.c.bytes)
    mine = snapshot_files.c.chain_id.in_(list(chain_ids)) & (snapshot_files.c.kind == BASE)
    return connection.execute(select(*columns).where(mine).order_by(snapshot_files.c.id)).all()


class _SparseFile:
    """A snapshot file of which only the requested bytes are downloaded; the rest is zeros."""

    def __init__(self, connection: Connection, workspace: Workspace, file_id: int, chain: int, size: int) -> None:
        self.file_id, self.chain = file_id, chain
        self.path: Path = workspace.path(".parquet")
        self._connection = connection
        self._size = size
        self._fetched: set[int] = set()
        with self.path.open("wb") as file:
            file.truncate(size)
        self._fetch_footer()

    def _fetch_footer(self) -> None:
        self.fetch(self._size - TAIL_BYTES, self._size)
        with self.path.open("rb") as file:
            file.seek(self._size - TAIL_BYTES)
            length = int.from_bytes(file.read(4), "little")
        self.fetch(self._size - TAIL_BYTES - length, self._size)

    def fetch(self, first: int, end: int) -> None:
        """Download the bytes from ``first`` up to, but without, ``end``."""
        for number in range(max(first, 0) // CHUNK_BYTES, (end - 1) // CHUNK_BYTES + 1):
            if number not in self._fetched:
                self._fetch(number)

    def _fetch(self, number: int) -> None:
        self._fetched.add(number)
        mine = (snapshot_file_chunks.c.file_id == self.file_id) & (snapshot_file_chunks.c.number == number)
        content = select(snapshot_file_chunks.c.content).where(mine).execution_options(**{BINARY: True})
        body = self._connection.execute(content).scalar() or b""
        with self.path.open("r+b") as file:
            file.seek(number * CHUNK_BYTES)
            file.write(body)


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
