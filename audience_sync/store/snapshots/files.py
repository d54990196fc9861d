"""Store the files of chains, with checksums, and download them into the workspace.

The bytes of a file are in chunks in the database, or in an object in a bucket, which the database names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from audience_sync.errors import ObjectDamagedError, StoreDamagedError
from audience_sync.model import PropertyKind, RunId
from audience_sync.store.snapshots.chain import (
    BASE,
    DELTA,
    Chain,
    DeltaCount,
    SnapshotFile,
    new_digest,
    write_snapshot_file,
)
from audience_sync.store.tables import members, properties, snapshot_chains, snapshot_file_chunks, snapshot_files
from audience_sync.store.tables.snapshots import BINARY
from audience_sync.workspace import Workspace

#: Bytes of a snapshot file that are in memory at once.
CHUNK_BYTES = 4_000_000
#: Made once: SQLAlchemy needs more time to make a statement, and to find its SQL again, than SQLite to execute it.
_MOVE_CHAIN = update(snapshot_chains).where(snapshot_chains.c.id == bindparam("chain"))
_INSERT_FILE, _INSERT_CHUNK = insert(snapshot_files), insert(snapshot_file_chunks)


def count_deltas(connection: Connection, chain_id: int) -> DeltaCount:
    """The deltas of a stored chain."""
    mine = (snapshot_files.c.chain_id == chain_id) & (snapshot_files.c.kind == DELTA)
    counts = select(func.count(), func.coalesce(func.sum(snapshot_files.c.row_count), 0)).where(mine)
    deltas, rows = connection.execute(counts).one()
    return DeltaCount(deltas, int(rows))


def download_chain(connection: Connection, workspace: Workspace, chain: Chain) -> Chain:
    """The chain with its files, downloaded into the workspace.

    Raises StoreDamagedError if a file is missing, or its checksum does not match.
    """
    return download_chains(connection, workspace, [chain])[0]


def download_chains(connection: Connection, workspace: Workspace, chains: Sequence[Chain]) -> list[Chain]:
    """The chains with their files, downloaded into the workspace: those of the database with two statements.

    Raises StoreDamagedError for the first file that is missing, or whose checksum does not match.
    """
    ids = {chain.id: chain for chain in chains if chain.id is not None}
    mine = snapshot_files.c.chain_id.in_(ids)
    here = select(snapshot_files.c.id).where(mine, snapshot_files.c.object_url.is_(None))
    contents = download_files(connection, workspace, here)
    rows = connection.execute(select(snapshot_files).where(mine).order_by(snapshot_files.c.id)).all()
    if in_bucket := {row.object_url: row for row in rows if row.object_url}:
        from audience_sync.store.snapshots.objects import StoredObject, fetch_objects

        try:
            fetch_objects(workspace, (StoredObject(url, row.bytes, row.checksum) for url, row in in_bucket.items()))
        except ObjectDamagedError as error:
            error.args = (_damage_message(ids[in_bucket[error.url].chain_id], f"the object {error.url}", error.what),)
            raise
    files: dict[int, list[SnapshotFile]] = {chain: [] for chain in ids}
    for row in rows:
        path, checksum = contents.get(row.id, (None, None))
        if row.object_url:
            path, checksum = workspace.copies[row.object_url], row.checksum
        if path is None or checksum != row.checksum:
            what = "does not match"
            raise StoreDamagedError(_damage_message(ids[row.chain_id], f"the checksum of snapshot file {row.id}", what))
        files[row.chain_id].append(SnapshotFile(row.kind, path, row.row_count, row.object_url))
    return [replace(chain, files=tuple(files.get(chain.id or 0, ()))) for chain in chains]


def download_files(
    connection: Connection, workspace: Workspace, ids: Select[tuple[int]]
) -> dict[int, tuple[Path, str]]:
    """By id, where each file was downloaded to, and its checksum. Two chunks at a time are in memory.

    The checksum, which takes half of the time, is computed in a thread.
    """
    chunks, found = snapshot_file_chunks.c, dict[int, tuple[Path, hashlib.blake2b]]()
    parts = select(chunks.file_id, chunks.content).where(chunks.file_id.in_(ids))
    options = {"yield_per": 1, BINARY: True}
    rows = connection.execute(parts.order_by(chunks.file_id, chunks.number).execution_options(**options))
    with ThreadPoolExecutor(1, thread_name_prefix="checksum") as thread:
        for file, contents in groupby(rows, key=lambda row: int(row.file_id)):
            found[file] = path, digest = workspace.path(".parquet"), new_digest()
            before: Future[None] | None = None
            with path.open("wb") as stream:
                for _, content in contents:
                    if before is not None:
                        before.result()
                    before = thread.submit(digest.update, content)
                    stream.write(content)
    return {file: (path, digest.hexdigest()) for file, (path, digest) in found.items()}


def _damage_message(chain: Chain, subject: str, what: str) -> str:
    kind = "audience" if chain.kind is PropertyKind.AUDIENCE else "computed traits"
    keys = ", ".join(chain.keys)
    return (
        f"The store is damaged: {subject} of {kind} {keys} {what}. "
        "The run has stopped; nothing was changed or sent. Restore the store from a backup, or send everything again "
        f"from the source: audience-sync resync {' '.join(chain.keys)}"
    )


def rebuild_chain(connection: Connection, workspace: Workspace, chain: Chain) -> Chain:
    """The chain of damaged files with a base from other tables; the next change replaces all its stored files.

    An audience's base is the members table, so that a resync sends ``false`` to former members. A base of traits is
    empty, so that every value counts as new. The caller sends everything again.
    """
    query = (
        select(members.c.user_id, members.c.run_id)
        .join_from(members, properties, members.c.property_id == properties.c.id)
        .where(properties.c.key == chain.keys[0])
        .execution_options(yield_per=10_000)
    )
    table = workspace.load({"user_id": "varchar", "run_id": "integer"}, connection.execute(query).partitions())
    value = "true" if chain.kind is PropertyKind.AUDIENCE else "null::varchar"
    columns = ", ".join(["user_id", "run_id", *(f"{value} as {column}" for column in chain.columns)])
    base = write_snapshot_file(workspace, BASE, f"select {columns} from {table}")
    return replace(chain, files=(base,), user_count=base.rows, rebuilt=True)


def save_files(connection: Connection, chain: Chain, new: Sequence[SnapshotFile], run: RunId) -> int:
    """Store new files; a new base replaces all older files. Returns the chain's id."""
    chain_id = chain.id if chain.id is not None else _create_chain(connection, chain)
    connection.execute(_MOVE_CHAIN, {"chain": chain_id, "user_count": chain.user_count, "changed_run_id": run})
    if any(file.kind == BASE for file in new):
        delete_files(connection, chain_id)
    for file in new:
        _save_file(connection, chain_id, file, run)
    return chain_id


def delete_files(connection: Connection, chain_id: int) -> None:
    old = select(snapshot_files.c.id).where(snapshot_files.c.chain_id == chain_id)
    connection.execute(delete(snapshot_file_chunks).where(snapshot_file_chunks.c.file_id.in_(old)))
    connection.execute(delete(snapshot_files).where(snapshot_files.c.chain_id == chain_id))


def _create_chain(connection: Connection, chain: Chain) -> int:
    created = connection.execute(insert(snapshot_chains).values(kind=chain.kind.value, user_count=chain.user_count))
    assert created.inserted_primary_key is not None
    return int(created.inserted_primary_key[0])


def _save_file(connection: Connection, chain_id: int, file: SnapshotFile, run: RunId) -> None:
    row = {"chain_id": chain_id, "kind": file.kind, "run_id": run, **_contents_row(file)}
    key = connection.execute(_INSERT_FILE, row).inserted_primary_key
    assert key is not None
    if file.object_url is None:
        save_chunks(connection, int(key[0]), file.path)


def replace_file(connection: Connection, chain: Chain, index: int, new: SnapshotFile) -> None:
    """Replace the contents of the chain's file with this index, from 0; its id and position stay."""
    mine = select(snapshot_files.c.id).where(snapshot_files.c.chain_id == chain.id).order_by(snapshot_files.c.id)
    file_id = connection.execute(mine).scalars().all()[index]
    connection.execute(update(snapshot_files).where(snapshot_files.c.id == file_id).values(_contents_row(new)))
    connection.execute(delete(snapshot_file_chunks).where(snapshot_file_chunks.c.file_id == file_id))
    if new.object_url is None:
        save_chunks(connection, file_id, new.path)


def _contents_row(file: SnapshotFile) -> dict[str, object]:
    with file.path.open("rb") as stream:
        checksum = hashlib.file_digest(stream, new_digest).hexdigest()
    size = file.path.stat().st_size
    return {"row_count": file.rows, "bytes": size, "checksum": checksum, "object_url": file.object_url}


def save_chunks(connection: Connection, file_id: int, path: Path) -> None:
    """Store the bytes of a file in the database."""
    with path.open("rb") as stream:
        for number, content in enumerate(iter(lambda: stream.read(CHUNK_BYTES), b"")):
            connection.execute(_INSERT_CHUNK, {"file_id": file_id, "number": number, "content": content})
