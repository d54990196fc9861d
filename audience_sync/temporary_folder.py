"""Give each run a private folder for temporary files. It is removed at the end, or by the next run after a kill."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TextIO

from audience_sync.errors import ConfigError, Problem

PREFIX, LOCK = "audience-sync-", "in-use"
#: Characters in a path that DuckDB can't open even through a link.
_UNREADABLE_CHARACTERS = re.compile("[\\\\\ud800-\udfff]")
#: Characters in a path that DuckDB interprets or can't read: globs, folders ``name=value``, backslashes, controls.
_SPECIAL_CHARACTERS = re.compile("[*?\\[\\]\\\\=\x00-\x1f\x7f\ud800-\udfff]")
_ENDINGS = re.compile(r"(?:\.[A-Za-z0-9]{1,10}){1,2}$")


class TemporaryFolder:
    """A folder that only its owner may read. ``path``: a name of it that DuckDB can read."""

    def __init__(self) -> None:
        _remove_abandoned_folders()
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX)
        self._handle, self.path = _readable_folder(Path(self._folder.name))
        self._lock = _lock_folder(self.path)
        self._numbers = count(1)

    def file(self, suffix: str) -> Path:
        """An unused file name in the folder."""
        return self.path / f"{next(self._numbers)}{suffix}"

    def scannable(self, path: Path) -> Path:
        """A path by which DuckDB reads exactly this file: its own, or that of a link in the folder.

        DuckDB reads a path as a glob if it can, and finds columns in folders named ``name=value``. The link's name ends
        like the file's.
        """
        plain = path.absolute()
        if not _SPECIAL_CHARACTERS.search(str(plain)):
            return plain
        ending = _ENDINGS.search(path.name)
        link, target = self.file("-link" + (ending[0] if ending else "")), os.path.realpath(plain)
        if self.is_unreadable(target):
            shutil.copyfile(target, link)
        else:
            link.symlink_to(target)
        return link

    def is_unreadable(self, path: str) -> bool:
        """Whether DuckDB can open this path not even through a link."""
        return bool(_UNREADABLE_CHARACTERS.search(path))

    def remove(self) -> None:
        self._lock.close()
        if self._handle is not None:
            os.close(self._handle)
        self._folder.cleanup()


def _remove_abandoned_folders() -> None:
    """Remove the folders of runs that were killed: they contain user ids and values."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("r+") as file:  # another user's, in use, or just removed
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)


def _readable_folder(folder: Path) -> tuple[int | None, Path]:
    """The folder by a name that DuckDB can read, and its file descriptor if that name needs one.

    Raises ConfigError if the system has no such name.
    """
    if not _SPECIAL_CHARACTERS.search(str(folder)):
        return None, folder
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    plain = Path(f"/proc/self/fd/{handle}")
    if not plain.is_dir():
        os.close(handle)
        message = (
            f"the folder for temporary files is {folder.parent}, a name that DuckDB can't read. Nothing was read or "
            "sent. Set TMPDIR to a folder whose path has none of * ? [ ] = \\ in it."
        )
        raise ConfigError([Problem("", message)])
    return handle, plain


def _lock_folder(folder: Path) -> TextIO:
    """Lock the folder as long as the returned file is open. The system unlocks it when the process ends."""
    lock = folder / f"{LOCK}.new"  # no other process may find it before it is locked
    file = lock.open("w")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.rename(folder / LOCK)
    return file
