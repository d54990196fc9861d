"""How is a SQLite store backed up while runs go on? With SQLite's own copy, which is of one moment."""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from audience_sync.config.read.paths import sqlite_url
from audience_sync.errors import StoreError
from audience_sync.store.connection.engine import Store, create_private_file


def back_up(store: Store, target: Path) -> int:
    """Copy the store into a new file that only its owner can read; returns the bytes.

    A run that wants to commit meanwhile waits. Raises StoreError for a store that is none of SQLite's, a file that is
    there already, and a copy that SQLite doesn't find whole.
    """
    if store.file is None:
        raise StoreError(
            f"{store.label} is on PostgreSQL, which has its own: pg_dump --format custom "
            f"--file {shlex.quote(str(target))} {store.url.database}. Or copy everything into a SQLite file: "
            f"audience-sync db copy {shlex.quote(sqlite_url(target))}"
        )
    if not store.file.exists():
        raise StoreError(f"There is no store {store.label} yet. Nothing was copied.")
    if target.exists() or target.is_symlink():
        raise StoreError(f"{target} is there already. Nothing was copied: name another file.")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    create_private_file(unfinished)
    try:
        backup_sqlite(store.file, unfinished)
        os.replace(unfinished, target)
    except sqlite3.Error as error:
        raise StoreError(f"The store {store.label} could not be copied: {error}. Nothing was kept.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size


def backup_sqlite(source: Path, target: Path) -> None:
    """SQLite's copy of a file as it is at one moment. Raises sqlite3.Error, also where the copy is not whole."""
    with closing(sqlite3.connect(source, timeout=60)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.backup(writing)
        (found,) = writing.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged ({found})")
    os.chmod(target, 0o600)
