"""Copy a store of any schema to a place of its own, which is removed at the end."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from audience_sync.config.read.paths import sqlite_url
from audience_sync.errors import StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.backup import backup_sqlite
from audience_sync.store.maintenance.new_file import create_private_file
from audience_sync.temporary_folder import TemporaryFolder


class Scratch(Struct, frozen=True):
    """A copy of a store. ``url``: of the copy. ``folder``: that of a copy on SQLite, with all its files."""

    store: Store
    url: str
    folder: Path | None = None

    def size(self) -> int:
        """The bytes of the copy on the disk, with a backup and an unfinished transaction."""
        if self.folder is not None:
            return sum(each.stat().st_size for each in self.folder.iterdir() if each.is_file())
        with self.store.reading() as connection:
            return int(connection.exec_driver_sql("select pg_database_size(current_database())").scalar_one())


@contextmanager
def copied(store: Store, revision: str) -> Iterator[Scratch]:
    """A copy of the store as of one moment. The store is only read.

    SQLite: a file in the folder for temporary files. PostgreSQL: a database next to the store's. Raises StoreError.
    """
    if store.file is None:
        from audience_sync.store.rehearsal.postgresql import copied_database

        with copied_database(store, revision) as url, closing(Store(url)) as copy:
            yield Scratch(copy, url)
        return
    temporary = TemporaryFolder()
    try:
        folder = temporary.path / "store"
        folder.mkdir(mode=0o700)
        file = folder / store.file.name
        create_private_file(file)
        _copy_file(store.file, file)
        url = sqlite_url(file)
        with closing(Store(url)) as copy:
            yield Scratch(copy, url, folder)
    finally:
        temporary.remove()


def _copy_file(original: Path, copy: Path) -> None:
    size, free = original.stat().st_size, shutil.disk_usage(copy.parent).free
    if size > free:
        raise StoreError(
            f"The copy of {original} needs {size:,} bytes, and {tempfile.gettempdir()} has {free:,}. Nothing was done. "
            "Set TMPDIR to a folder with three times the size of the store."
        )
    try:
        backup_sqlite(original, copy)
    except sqlite3.Error as error:
        raise StoreError(f"The store {original} could not be copied: {error}. Nothing was done.") from None
