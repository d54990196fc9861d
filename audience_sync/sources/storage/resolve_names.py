"""Resolve names in the config to local files: files, globs, folders (also Hive's), and quoted words of a query."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

CSV, JSON, EXCEL = (".csv", ".tsv"), (".jsonl", ".ndjson", ".json"), (".xlsx", ".xls")
PARQUET = ".parquet"
TEXT_SUFFIXES = (*CSV, *JSON, *(f"{suffix}.gz" for suffix in CSV + JSON))
SUFFIXES = (*TEXT_SUFFIXES, PARQUET, *EXCEL)
#: The value in the folder name of Hive and Spark for rows without a value.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_QUOTED_WORD = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")


def is_data(name: str) -> bool:
    """Whether a file in a folder is data: a supported format, and no name like ``.hidden`` or ``_SUCCESS``."""
    return name.lower().endswith(SUFFIXES) and not name.startswith((".", "_"))


def file_words(query: str) -> list[str]:
    """The distinct quoted words of a query that may be files, globs or folders (``'members/'``)."""
    words = [single.replace("''", "'") or double.replace('""', '"') for single, double in _QUOTED_WORD.findall(query)]
    return list(dict.fromkeys(word for word in words if word.lower().endswith((*SUFFIXES, "/"))))


def literal_start(name: str, exists: Callable[[str], bool]) -> str:
    """The glob with existing folders at its start escaped, so that they match only themselves."""
    parts = name.split("/")
    if not glob.has_magic("/".join(parts[:-1])):
        return name
    count = next((count for count in range(len(parts) - 1, 0, -1) if exists("/".join(parts[:count]))), 0)
    return "/".join([*map(glob.escape, parts[:count]), *parts[count:]])


def is_partition(folder: str) -> bool:
    """Whether a folder's name is ``name=value``."""
    name, equals, _ = folder.partition("=")
    return bool(name and equals) and not name.startswith((".", "_"))


def partition_values(folders: Iterable[str]) -> Mapping[str, str | None]:
    """The columns that these folders add to a file, the outermost first; None means no value.

    Hive encodes characters that are not allowed in a path (``%2F``). Of two folders with the same name, the innermost
    counts.
    """
    pairs = (folder.partition("=") for folder in folders if is_partition(folder))
    return {unquote(name): None if value in ("", NO_VALUE) else unquote(value) for name, _, value in pairs}


class LocalFolder:
    """A folder of files; names are relative to it. An impossible name (too long) matches nothing.

    ``hive``: folders ``name=value`` add columns to their files, and a folder includes their files.
    """

    def __init__(self, root: str | Path, *, hive: bool = False) -> None:
        self.root = str(root)
        self.hive = hive

    def holds(self, name: str) -> bool:
        """Whether a name lies in this folder, by its text alone: a link in it may lead elsewhere."""
        if "://" in name:
            return name.startswith(f"{self.root.rstrip('/')}/")
        root = os.path.abspath(self.root)
        return Path(os.path.normpath(os.path.join(root, name))).is_relative_to(root)

    def paths(self, name: str) -> list[Path]:
        """The local files that a name means, if there are any."""
        path = Path(self.root, name)
        if os.path.isdir(path):
            return sorted(self._within(path))
        if os.path.isfile(path):
            return [path]
        pattern = literal_start(name, lambda start: os.path.exists(Path(self.root, start)))
        found = sorted(map(Path, glob.glob(str(Path(glob.escape(self.root), pattern)), recursive=True)))
        return [match for match in found if os.path.isfile(match) and not match.name.startswith((".", "_"))]

    def would_match(self, name: str, path: str) -> bool:
        """Whether a name would include this local file once it exists: by name, folder or glob."""
        file, meant = Path(os.path.realpath(path)), Path(self.root, name)
        if file == Path(os.path.realpath(meant)):
            return True
        if os.path.isdir(meant):
            below = _parts_below(file, meant)
            is_within = len(below) == 1 or (self.hive and all(map(is_partition, below[:-1])))
            return bool(below) and is_data(file.name) and is_within
        if not glob.has_magic(name) or file.name.startswith((".", "_")):
            return False
        below = file.parts if os.path.isabs(name) else _parts_below(file, Path(self.root))
        return _matches(below, Path(os.path.normpath(name)).parts)

    def _within(self, folder: Path) -> Iterator[Path]:
        for entry in folder.iterdir():
            if self.hive and is_partition(entry.name) and entry.is_dir():
                yield from self._within(entry)
            elif is_data(entry.name) and entry.is_file():
                yield entry


def _parts_below(file: Path, folder: Path) -> tuple[str, ...]:
    """A file's path relative to a folder; empty if it is elsewhere."""
    root = os.path.realpath(folder)
    return file.relative_to(root).parts if file.is_relative_to(root) else ()


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path matches a glob, in which `**` matches any number of folders."""
    if not parts or not pattern:
        return not parts and not pattern
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or _matches(parts[1:], pattern)
    is_match = parts[0] == pattern[0] or fnmatchcase(parts[0], pattern[0])
    return is_match and _matches(parts[1:], pattern[1:])
