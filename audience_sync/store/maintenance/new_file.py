"""Create files of a SQLite store, which only their owner can read."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from audience_sync.errors import StoreError


def create_database(file: Path) -> None:
    """Create an empty database in WAL mode, unless the file exists. Raises StoreError.

    It is made under another name, and appears with its mode: SQLite can't change the mode while another program reads.
    Without a WAL, threads of one reading process can lock a run out, because they share a lock that never ends.
    """
    if os.path.lexists(file):
        return
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        create_private_file(unfinished)
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").close()
        os.link(unfinished, file)
    except FileExistsError:
        pass
    except (OSError, sqlite3.Error, StoreError):  # a file system without links or shared memory, or nothing works
        create_private_file(file)
    finally:
        with suppress(OSError):  # it may have no folder to be in
            unfinished.unlink()


def create_private_file(file: Path) -> None:
    """Create a file that only its owner can read, with its folders. Raises StoreError."""
    try:
        for folder in reversed(file.absolute().parents):
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"{file} can't be created: {error.strerror}. Nothing was done. Let this user write to its "
            "folder, or name another file."
        ) from None
