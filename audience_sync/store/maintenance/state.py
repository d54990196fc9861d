"""Keep the snapshot files of a run in the bucket of `state`, or in the store.

New files are put before the run's one transaction, under names that are never used again; only that transaction points
at them. What no row of the store points at was replaced, or left by a run that was killed or has lost its lock: a later
run deletes it, after its own commit.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Row, delete, func, select, update

from audience_sync.errors import StoreDamagedError, StoreError
from audience_sync.model import RunId
from audience_sync.prefetch import in_order
from audience_sync.store.connection.lease import Lease
from audience_sync.store.snapshots.chain import SnapshotFile
from audience_sync.store.snapshots.files import download_files, save_chunks
from audience_sync.store.snapshots.objects import (
    THREADS,
    StoredObject,
    delete_objects,
    fetch_objects,
    list_objects,
    put_object,
    put_objects,
)
from audience_sync.store.tables import installation, runs, snapshot_file_chunks, snapshot_files
from audience_sync.text import pluralize
from audience_sync.workspace import Workspace

log = logging.getLogger("audience_sync")

_SUFFIX = ".parquet"


class MovedFile(Struct, frozen=True):
    """A stored file that moves to another place: to an object, or, from ``path``, into the database."""

    file_id: int
    object_url: str | None
    path: Path


class PlacedState(Struct, frozen=True, kw_only=True):
    """What is in place before the commit of a run, for the commit to point at.

    ``moved``: files of earlier runs. ``unused``: by folder, objects that nothing pointed at before this run; None if
    they could not be listed. ``left``: folders that nothing points into.
    """

    moved: Sequence[MovedFile] = ()
    unused: Mapping[str, Sequence[str] | None]
    left: Collection[str]


def object_names(folder: str, run: RunId, nonce: str | None) -> Iterator[str]:
    """URLs in a folder that were never used. They show the run by its number and nonce, which no copy of the store
    has."""
    while True:
        yield f"{folder}/{run}-{nonce}-{secrets.token_hex(8)}{_SUFFIX}"


def place_files(
    lease: Lease,
    workspace: Workspace,
    state: str | None,
    run: RunId,
    *,
    new: Sequence[SnapshotFile],
    replaced: Collection[int],
    fetches_all: bool,
) -> tuple[PlacedState, dict[Path, str]]:
    """Put the new files of a run in the bucket, and bring files of earlier runs to their place.

    ``replaced``: chains whose stored files this run replaces. ``fetches_all``: whether the commit reads all snapshots.
    Returns by path the URLs of the new files. Raises StoreError.
    """
    with lease.reading() as connection:
        mine = connection.execute(select(installation)).one()
        nonce = connection.execute(select(runs.c.nonce).where(runs.c.id == run)).scalar()
        files = connection.execute(select(snapshot_files).order_by(snapshot_files.c.id)).all()
    folder = None if state is None else f"{state.rstrip('/')}/{mine.uuid}"
    folders = _remember_folder(lease, mine, folder)
    if fetches_all:
        with suppress(StoreDamagedError):  # the commit reports it
            fetch_objects(workspace, map(_object_of, filter(_is_object, files)))
    moving = [each for each in files if _folder_of(each) != folder and each.chain_id not in replaced]
    urls = dict[Path, str]()
    if folder is None:
        moved = _bring_back(workspace, moving)
    else:
        names = object_names(folder, run, nonce)
        urls = {file.path: next(names) for file in new}
        put_objects((url, path) for path, url in urls.items())
        workspace.copies.update({url: path for path, url in urls.items()})
        moved = _move_out(lease, workspace, [(each, next(names)) for each in moving])
    unused = {each: _listed_unused(lease, each, files, run) for each in folders}
    return PlacedState(moved=moved, unused=unused, left=set(folders) - {folder, *map(_folder_of, files)}), urls


def save_places(connection: Connection, placed: PlacedState) -> None:
    """Point at the places of moved files, in the transaction of the commit."""
    for each in placed.moved:
        _save_place(connection, each)


def _save_place(connection: Connection, moved: MovedFile) -> None:
    mine = snapshot_files.c.id == moved.file_id
    connection.execute(update(snapshot_files).where(mine).values(object_url=moved.object_url))
    connection.execute(delete(snapshot_file_chunks).where(snapshot_file_chunks.c.file_id == moved.file_id))
    if moved.object_url is None:
        save_chunks(connection, moved.file_id, moved.path)


def delete_unused(lease: Lease, placed: PlacedState) -> None:
    """Delete what nothing pointed at before the commit. An error fails nothing; a later run tries again."""
    done = set[str]()
    for folder, urls in placed.unused.items():
        if urls is None:
            continue
        try:
            delete_objects(urls)
        except StoreError as error:
            log.warning("Objects that are no longer needed could not be deleted; a later run tries again. %s", error)
            continue
        done.add(folder)
        if urls:
            log.info("Deleted %s that nothing needs in %s", pluralize(len(urls), "object"), folder)
    if forgotten := done.intersection(placed.left):
        with lease.transaction() as connection:
            folders = [each for each in stored_folders(connection) if each not in forgotten]
            connection.execute(update(installation).values(state_folders=json.dumps(folders) if folders else None))


def delete_all_unused(lease: Lease) -> None:
    """Delete every object that nothing points at. Raises StoreError."""
    with lease.reading() as connection:
        files = connection.execute(select(snapshot_files)).all()
        folders = stored_folders(connection)
        last = connection.execute(select(func.max(runs.c.id))).scalar() or 0
    for folder in folders:
        delete_objects(_unused(lease, folder, files, last + 1))


def put_again(lease: Lease, files: Sequence[SnapshotFile]) -> list[SnapshotFile]:
    """Put new versions of files into the folders of the objects that they replace. Raises StoreError."""
    with lease.reading() as connection:
        last = connection.execute(select(runs.c.id, runs.c.nonce).order_by(runs.c.id.desc()).limit(1)).one()
    urls = [next(object_names(str(each.object_url).rsplit("/", 1)[0], last.id, last.nonce)) for each in files]
    put_objects(zip(urls, (each.path for each in files), strict=True))
    return [replace(each, object_url=url) for each, url in zip(files, urls, strict=True)]


def bring_all_back(connection: Connection, workspace: Workspace) -> None:
    """Bring the files of all objects into this database, which then needs no bucket. Raises StoreError."""
    files = connection.execute(select(snapshot_files).where(snapshot_files.c.object_url.is_not(None))).all()
    for row in files:
        fetch_objects(workspace, [_object_of(row)])
        path = workspace.copies.pop(row.object_url)
        _save_place(connection, MovedFile(row.id, None, path))
        path.unlink()


def stored_folders(connection: Connection) -> list[str]:
    """The folders in buckets that may have objects of this store."""
    return list(json.loads(connection.execute(select(installation.c.state_folders)).scalar() or "[]"))


def _remember_folder(lease: Lease, mine: Row[Any], folder: str | None) -> list[str]:
    """All folders that may have objects, with the present one; it is stored before an object is put there."""
    folders: list[str] = json.loads(mine.state_folders or "[]")
    if folder is not None and folder not in folders:
        folders.append(folder)
        with lease.transaction() as connection:
            connection.execute(update(installation).values(state_folders=json.dumps(folders)))
    return folders


def _listed_unused(lease: Lease, folder: str, files: Sequence[Row[Any]], run: RunId) -> list[str] | None:
    """The objects of a folder that nothing points at; None, with a warning, if they can't be listed."""
    try:
        return _unused(lease, folder, files, run)
    except StoreError as error:
        log.warning("Objects that are no longer needed could not be listed; a later run tries again. %s", error)
        return None


def _unused(lease: Lease, folder: str, files: Sequence[Row[Any]], before: int) -> list[str]:
    """The objects of a folder that no file is in, and that this very store has put in runs before this one.

    A copy of the store has put the others: it had the same runs up to some number, and then runs of its own.
    """
    in_use = {each.object_url for each in files}
    there = [each.url for each in list_objects(folder)]
    candidates = {url: origin for url in there if url not in in_use and (origin := _origin(url))}
    if not candidates:
        return []
    with lease.reading() as connection:
        numbers = {number for number, _ in candidates.values()}
        rows = connection.execute(select(runs.c.id, runs.c.nonce).where(runs.c.id.in_(numbers))).all()
    known = {(row.id, str(row.nonce)) for row in rows}
    return [url for url, origin in candidates.items() if origin in known and origin[0] < before]


def _origin(url: str) -> tuple[int, str] | None:
    """The number and the nonce of the run that has put an object; None for an object of another program."""
    number, _, rest = url.rsplit("/", 1)[1].partition("-")
    nonce, _, name = rest.partition("-")
    return (int(number), nonce) if number.isdecimal() and name.endswith(_SUFFIX) else None


def _is_object(row: Row[Any]) -> bool:
    return row.object_url is not None


def _object_of(row: Row[Any]) -> StoredObject:
    return StoredObject(row.object_url, row.bytes, row.checksum)


def _folder_of(row: Row[Any]) -> str | None:
    return None if row.object_url is None else row.object_url.rsplit("/", 1)[0]


def _move_out(lease: Lease, workspace: Workspace, moving: Sequence[tuple[Row[Any], str]]) -> list[MovedFile]:
    """Put stored files as objects under these URLs, several at a time. One that is damaged stays where it is."""
    moved = in_order(lambda each: _put_stored(lease, workspace, *each), moving, THREADS)
    return [each for each in moved if each is not None]


def _put_stored(lease: Lease, workspace: Workspace, row: Row[Any], url: str) -> MovedFile | None:
    with suppress(StoreDamagedError):
        if row.object_url is not None:
            fetch_objects(workspace, [_object_of(row)])
            path = workspace.copies[row.object_url]
            put_object(url, path)
            return MovedFile(row.id, url, path)
        with lease.reading() as connection:
            found = download_files(
                connection, workspace, select(snapshot_files.c.id).where(snapshot_files.c.id == row.id)
            )
        here, checksum = found.get(row.id, (None, None))
        if here is not None and checksum == row.checksum:
            put_object(url, here)
            here.unlink()
            return MovedFile(row.id, url, here)
    return None


def _bring_back(workspace: Workspace, moving: Sequence[Row[Any]]) -> list[MovedFile]:
    """Fetch files that move into the database. One that is damaged stays where it is."""
    moved = []
    for row in moving:
        with suppress(StoreDamagedError):
            fetch_objects(workspace, [_object_of(row)])
            moved.append(MovedFile(row.id, None, workspace.copies[row.object_url]))
    return moved
