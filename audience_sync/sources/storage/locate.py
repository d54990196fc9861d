"""Find the files that a name in the config means: a file, glob or folder, local or remote."""

from __future__ import annotations

import glob
import gzip
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from msgspec import Struct, field

from audience_sync.errors import SourceError
from audience_sync.sources.fingerprint import file_version, remote_version
from audience_sync.sources.rows.scan import did_you_mean, join_names
from audience_sync.sources.storage.resolve_names import (
    PARQUET,
    TEXT_SUFFIXES,
    LocalFolder,
    is_data,
    is_partition,
    literal_start,
    partition_values,
)
from audience_sync.workspace import Workspace

#: The beginning and the end of a Parquet file. Before the end, in four bytes, is the length of its footer.
_PARQUET_MAGIC = b"PAR1"
_FOOTER_END = 4 + len(_PARQUET_MAGIC)


class FoundFile(Struct, frozen=True):
    """A file: its displayed name, its readable path, and for a local file its size and time when it was found.

    ``partitions``: the columns that its folders add, if they are requested.
    """

    name: str
    path: Path
    state: tuple[int, int] | None
    partitions: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """The suffix of the format, without ``.gz``."""
        plain = self.name.lower().removesuffix(".gz")
        return plain[plain.rfind(".") :]

    @property
    def is_packed(self) -> bool:
        return self.name.lower().endswith(".gz")

    def open(self) -> BinaryIO:
        """Open the file to read its bytes, unpacked."""
        return cast(BinaryIO, gzip.open(self.path) if self.is_packed else self.path.open("rb"))

    def refuse_change(self) -> None:
        """Raise SourceError if the file has changed since it was found."""
        if self.state and self.state != _file_state(self.path):
            raise SourceError(
                f"{self.name} changed during the read: it is still being written. Nothing of it was used. "
                "Write it under another name and rename it when it is complete, and run again."
            )


class FileMtime(NamedTuple):
    """A file, and the time of its last write in seconds since 1970; None if the file system doesn't report it."""

    name: str
    at: float | None


def _file_state(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"{path.name} can't be opened: {error.strerror}. Is it there, and readable?") from None
    return stat.st_size, stat.st_mtime_ns


class FileLocation(LocalFolder):
    """The location of a source's files, local or remote."""

    def files(self) -> list[str]:
        """The data files directly in the folder, sorted. Raises SourceError."""
        folder = Path(self.root)
        if not os.path.isdir(folder):
            raise SourceError(f"there is no folder {self.root}. Create it, or correct `files:` of the source.")
        return sorted(self._display_name(path) for path in self._within(folder))

    def relative(self, name: str) -> str:
        """A name relative to this folder; a slash at its end stays."""
        path = Path(os.path.normpath(os.path.join(os.path.abspath(self.root), name)))
        roots = (Path(os.path.abspath(self.root)), Path(self.root).resolve())
        within = next((path.relative_to(root) for root in roots if path.is_relative_to(root)), path)
        return f"{within}/" if name.endswith("/") else str(within)

    def has(self, name: str) -> bool:
        return os.path.exists(Path(self.root, name))

    def is_folder(self, name: str) -> bool:
        return os.path.isdir(Path(self.root, name))

    def neighbours(self, name: str) -> list[str]:
        """The data files and folders (with a slash) in the folder of a name, or in this one if that does not exist.

        Each kind is sorted. Raises SourceError.
        """
        parent = Path(self.root, name).parent
        if parent == Path(self.root) or not os.path.isdir(parent):
            files, parent = self.files(), Path(self.root)
        else:
            files = sorted(self._display_name(path) for path in self._within(parent))
        folders = sorted(f"{self._display_name(path)}/" for path in parent.iterdir() if path.is_dir())
        return files + folders

    def require_package(self) -> None:
        """Raise SourceError if a remote folder needs a package that is not installed."""
        from audience_sync.remote import missing_package, require_file_system

        try:
            require_file_system(self.root)
        except ImportError as error:
            raise SourceError(f"{missing_package(self.root, error)}.") from None
        except ValueError as error:
            raise _unsupported(self.root, error) from None

    def find(self, name: str, workspace: Workspace, *, most_bytes: int | None = None) -> list[FoundFile]:
        """The files that a file name, a glob or a folder means, sorted by name. Raises SourceError.

        ``most_bytes``: of a long remote file only what a sample needs, see ``RemoteFiles.fetch``.
        """
        if "://" in name or "://" in self.root:
            return self._remote(name).fetch(workspace, name, most_bytes)
        paths = self.paths(name)
        if not paths:
            raise self._missing(name)
        return [FoundFile(self._display_name(path), path, _file_state(path), self._partitions(path)) for path in paths]

    def find_any(self, name: str, workspace: Workspace, *, most_bytes: int | None = None) -> list[FoundFile]:
        """The same, but empty if no file matches. Raises SourceError for remote files only."""
        if "://" in name or "://" in self.root or self.paths(name):
            return self.find(name, workspace, most_bytes=most_bytes)
        return []

    def versions(self, name: str) -> list[str] | None:
        """The versions of these files, without opening them; None without files, or if one has no version."""
        if "://" in name or "://" in self.root:
            return self._remote(name).versions()
        found = [file_version(str(path)) for path in self.paths(name)]
        return [version for version in found if version] if all(found) else None

    def times(self, name: str) -> list[FileMtime]:
        """The times of the last write of the files that a name means, if there are any."""
        if "://" in name or "://" in self.root:
            return self._remote(name).times()
        return [FileMtime(self._display_name(path), path.stat().st_mtime) for path in self.paths(name)]

    def _remote(self, name: str) -> RemoteFiles:
        return RemoteFiles(name if "://" in name else f"{self.root.rstrip('/')}/{name}", self)

    def _partitions(self, path: Path) -> Mapping[str, str | None]:
        """The values of the folders below this one; for a file elsewhere, those of its whole path."""
        return partition_values(Path(self._display_name(path)).parent.parts) if self.hive else {}

    def _display_name(self, path: Path) -> str:
        name = str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)
        return name.encode(errors="surrogateescape").decode(errors="replace")

    def _missing(self, name: str) -> SourceError:
        what = "no data file in the folder" if os.path.isdir(Path(self.root, name)) else "no file"
        files = self.files()
        meant = "" if glob.has_magic(name) else did_you_mean(name, files)
        return SourceError(
            f"{what} {name!r} in {self.root}.{meant} "
            f"Data files there: {join_names(files)}. Correct the name in the config, or write the file."
        )


class RemoteFiles:
    """Files behind a URL, through fsspec.

    They are copied into the workspace, so that repeated scans (for inferred types) read the same rows.
    """

    def __init__(self, url: str, folder: FileLocation) -> None:
        self.url = url
        self._folder = folder

    def fetch(self, workspace: Workspace, name: str, most_bytes: int | None = None) -> list[FoundFile]:
        """Copy the files. Raises SourceError, with the missing package if one is missing.

        ``most_bytes``: copy so many from the beginning of a text file, and the footer alone of a Parquet file, in a
        file of its size without rows.
        """
        try:
            system, path = _file_system(self.url)
            paths = self._paths(system, path)
            if not paths:
                raise SourceError(f"no file {name!r} at {self._scheme}://. Correct the name in the config.")
            copies = {path: self._copy(workspace, system, path, most_bytes) for path in paths}
            return [FoundFile(_base_name(path), copy, None, self._partitions(path)) for path, copy in copies.items()]
        except ImportError as error:
            from audience_sync.remote import missing_package

            raise SourceError(f"{missing_package(self.url, error)}.") from None
        except SourceError:
            raise
        except Exception as error:  # every file system has errors of its own
            raise SourceError(f"{name!r} can't be read from {self._scheme}://: {type(error).__name__}.") from None

    def versions(self) -> list[str] | None:
        """The versions, or None after any error, which ``fetch`` reports."""
        with suppress(Exception):  # every file system has errors of its own
            system, path = _file_system(self.url)
            found = [remote_version(path, system.info(path)) for path in self._paths(system, path)]
            return [version for version in found if version] if all(found) else None
        return None

    def times(self) -> list[FileMtime]:
        with suppress(Exception):  # every file system has errors of its own
            system, path = _file_system(self.url)
            return [FileMtime(_base_name(each), _modified_at(system, each)) for each in self._paths(system, path)]
        return []

    @property
    def _scheme(self) -> str:
        return self.url.split("://", 1)[0]

    def _partitions(self, path: str) -> Mapping[str, str | None]:
        below = path.removeprefix(_remote_root(self._folder.root))
        return partition_values(below.split("/")[:-1]) if self._folder.hive else {}

    def _paths(self, system: Any, path: str) -> Sequence[str]:
        """An existing name means itself, even if it looks like a glob."""
        if not glob.has_magic(path) or system.exists(path):
            found = list(self._within(system, path)) if system.isdir(path) else [path] if system.exists(path) else []
        else:
            root = _remote_root(self._folder.root)
            name = literal_start(path.removeprefix(root), lambda start: system.exists(root + start))
            pattern = glob.escape(root) + name
            found = [match for match in system.glob(pattern) if not _base_name(match).startswith((".", "_"))]
        return sorted(match for match in found if not system.isdir(match))

    def _within(self, system: Any, folder: str) -> Iterator[str]:
        for entry in system.ls(folder, detail=False):
            if self._folder.hive and is_partition(_base_name(entry)) and system.isdir(entry):
                yield from self._within(system, entry)
            elif is_data(_base_name(entry)):
                yield entry

    def _copy(self, workspace: Workspace, system: Any, path: str, most_bytes: int | None) -> Path:
        copy, name = workspace.path("-remote"), path.lower()
        with system.open(path, "rb") as remote, copy.open("wb") as local:
            if most_bytes is not None and name.endswith(TEXT_SUFFIXES):
                local.write(remote.read(most_bytes))
            elif most_bytes is None or not (name.endswith(PARQUET) and _copy_footer(remote, local)):
                shutil.copyfileobj(remote, local, 1 << 20)
        return copy


def _copy_footer(remote: BinaryIO, local: BinaryIO) -> bool:
    """Copy the footer of a Parquet file, which has its columns, to the same place. Returns whether it has one."""
    size = remote.seek(0, os.SEEK_END)
    remote.seek(max(size - _FOOTER_END, 0))
    end = remote.read(_FOOTER_END)
    start = size - _FOOTER_END - int.from_bytes(end[:4], "little")
    is_footer = end[4:] == _PARQUET_MAGIC and start > 0
    remote.seek(start if is_footer else 0)
    if is_footer:
        local.write(_PARQUET_MAGIC)
        local.truncate(size)
        local.seek(start)
        local.write(remote.read(size - start))
    return is_footer


def _file_system(url: str) -> tuple[Any, str]:
    from audience_sync.remote import open_file_system

    try:
        return open_file_system(url)
    except ValueError as error:
        raise _unsupported(url, error) from None


def _unsupported(url: str, error: ValueError) -> SourceError:
    return SourceError(f"{url.split('://', 1)[0]}:// is not a supported file system: {error}.")


def _remote_root(folder: str) -> str:
    """The path of a remote folder in its file system, with a slash at its end; empty for a local folder."""
    return f"{_file_system(folder)[1].rstrip('/')}/" if "://" in folder else ""


def _modified_at(system: Any, path: str) -> float | None:
    with suppress(Exception):  # not every file system supports it
        return float(system.modified(path).timestamp())
    return None


def _base_name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]
