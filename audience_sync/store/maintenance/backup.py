"""Back up a SQLite store while runs continue, with SQLite's own copy, which is of one moment."""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import func, select

from audience_sync.config.read.paths import sqlite_url
from audience_sync.errors import ObjectMissingError, StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.new_file import create_private_file
from audience_sync.store.tables import snapshot_files

#: Attempts at a copy whose objects a run replaces meanwhile.
MAX_ATTEMPTS = 3


def back_up(store: Store, target: Path, memory_limit: int) -> int:
    """Copy the store into a new file that only its owner can read; returns the bytes.

    Snapshots in a bucket are brought into the copy, which needs nothing else. A run that commits meanwhile waits.
    Raises StoreError for a store on PostgreSQL, for a target that exists, and if the copy is damaged.
    """
    if store.file is None:
        raise StoreError(
            f"{store.label} is on PostgreSQL, which has its own backup: pg_dump --format custom "
            f"--file {shlex.quote(str(target))} {store.url.database}. Or copy everything into a SQLite file: "
            f"audience-sync db copy {shlex.quote(sqlite_url(target))}"
        )
    if not store.file.exists():
        raise StoreError(
            f"There is no store {store.label} yet. Nothing was copied.\nThe first run creates it: audience-sync sync"
        )
    if target.exists() or target.is_symlink():
        raise StoreError(f"{target} exists already. Nothing was copied: name another file.")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    create_private_file(unfinished)
    try:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                backup_sqlite(store.file, unfinished)
                _bring_objects(unfinished, memory_limit)
                break
            except ObjectMissingError:  # a run has replaced it since
                if attempt == MAX_ATTEMPTS:
                    raise
        os.replace(unfinished, target)
    except sqlite3.Error as error:
        raise StoreError(f"The store {store.label} could not be copied: {error}. Nothing was kept.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size


def _bring_objects(file: Path, memory_limit: int) -> None:
    """Bring the snapshots that are in a bucket into this store. Raises StoreError."""
    from audience_sync.store.maintenance.state import bring_all_back
    from audience_sync.workspace import Workspace

    with closing(Store(sqlite_url(file))) as copy:
        with copy.reading() as connection:
            if not connection.execute(select(func.count(snapshot_files.c.object_url))).scalar():
                return
        with Workspace(memory_limit) as workspace, copy.writing() as connection:
            bring_all_back(connection, workspace)


def backup_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file as of one moment. Raises sqlite3.Error, also for a damaged copy."""
    with closing(sqlite3.connect(source, timeout=60)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.backup(writing)
        (found,) = writing.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged ({found})")
    os.chmod(target, 0o600)
