"""Find options that name the same file, if a run writes that file."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audience_sync.config.read.paths import SqliteUrl, duckdb_path
from audience_sync.errors import ConfigError, Problem
from audience_sync.text import display_path

#: Suffixes of the files that SQLite keeps next to a database.
_NEXT_TO_SQLITE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """A file that an option of the config or of the command line names.

    ``suffix``: the suffix of a file that SQLite keeps next to a database. ``is_database``: SQLite reads and writes it
    row by row, so the store may be in the database of a source.
    """

    option: str
    path: str
    is_written: bool = False
    suffix: str = ""
    is_database: bool = False


def database_uses(option: str, url: str, *, is_written: bool) -> Iterator[FileUse]:
    """A DuckDB file, or an SQLite database and the files next to it; nothing for other databases."""
    if path := duckdb_path(url):
        yield FileUse(option=option, path=path, is_written=is_written)
    found = SqliteUrl.parse(url)
    if found and found.is_file:
        yield from (
            FileUse(option=option, path=f"{found.path}{part}", is_written=is_written, suffix=part, is_database=True)
            for part in ("", *_NEXT_TO_SQLITE)
        )


def refuse_store_as_config(store: str, config: str) -> None:
    """Raise ConfigError if both are the same file. For commands that read only the store's part of the config."""
    if problems := shared_paths(
        [FileUse(option="the config", path=config), *database_uses("store", store, is_written=True)]
    ):
        raise ConfigError(problems)


def shared_paths(uses: Sequence[FileUse]) -> list[Problem]:
    """A problem for each file that one option writes and another one names, also by a symbolic or hard link.

    Devices, pipes and folders are skipped: they can't be overwritten.
    """
    files = defaultdict[tuple[int, int] | str, list[FileUse]](list)
    for use in uses:
        if identity := _identity(use.path):
            files[identity].append(use)
    found = dict[frozenset[str], Problem]()  # one problem per two options, even if they share several files
    for written, other in (pair for group in files.values() for pair in _pairs(group)):
        found.setdefault(frozenset((written.option, other.option)), _problem(written, other))
    return list(found.values())


def _pairs(group: Sequence[FileUse]) -> Iterator[tuple[FileUse, FileUse]]:
    """Pairs of a writing use and another use of the same file. Two databases may be the same file."""
    by_option = {use.option: use for use in group}
    first = next((use for use in by_option.values() if use.is_written), None)
    for use in by_option.values():
        if first is not None and use is not first and not (first.is_database and use.is_database):
            yield (use, first) if use.is_written else (first, use)


def _identity(path: str) -> tuple[int, int] | str | None:
    """The file's inode if it exists, else its real path; None if it is not a regular file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return os.path.realpath(path)
    except (OSError, ValueError):  # ValueError: a NUL character
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _problem(written: FileUse, other: FileUse) -> Problem:
    name = other.option if " " in other.option else f"`{other.option}`"
    what = f"`{display_path(written.path)}` is also the file of {name}"
    if other.suffix or written.suffix:
        kept, what = (other, what) if other.suffix else (written, what)
        what = f"`{display_path(written.path)}` lies next to the database of `{kept.option}`, and SQLite writes it"
    if os.path.abspath(written.path) != os.path.abspath(other.path):
        what += f" (`{display_path(other.path)}`, by a link)"
    return Problem(written.option, f"{what}: a run would write over it. Name another file in one of the two")
