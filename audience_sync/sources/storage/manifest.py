"""Check that the files of a manifest exist and are complete, by name, and by rows, sizes and checksums if it has them.

A manifest is JSON (``{"files": [{"name": "a.csv", "rows": 2, "bytes": 20, "sha256": "..."}]}``, or the output of
Redshift's UNLOAD), or the output of ``sha256sum``. Names are relative to the manifest's folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from audience_sync.errors import IncompleteError
from audience_sync.sources.storage.locate import FileLocation, FoundFile
from audience_sync.workspace import Workspace

_CHECKSUM = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_FORMS = 'JSON with a list "files", or what `sha256sum` writes'


class ManifestEntry(Struct, frozen=True):
    """A file in a manifest; None for what the manifest does not state."""

    name: str
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None


def manifest_row_count(
    workspace: Workspace, folder: FileLocation, manifest: str, found: Sequence[FoundFile]
) -> int | None:
    """The number of rows that the manifest states for the found files, or None.

    Raises IncompleteError if there is no manifest, or if the files differ from it.
    """
    if not folder.times(manifest):
        raise IncompleteError(f"there is no {manifest}, which lists the files")
    file = folder.find(manifest, workspace)[0]
    entries = parse_manifest(manifest, file.path.read_bytes())
    parent = PurePosixPath(manifest).parent
    listed = {each.name: _find_entry(each, entries, manifest, parent) for each in found}
    for entry in entries:
        if entry not in listed.values() and not folder.times(str(parent / entry.name)):
            raise IncompleteError(f"{manifest} lists {entry.name}, which does not exist")
    for each in found:
        _check_file(manifest, listed[each.name], each)
    rows = [entry.rows for entry in listed.values()]
    return None if None in rows else sum(number or 0 for number in rows)


def parse_manifest(manifest: str, content: bytes) -> list[ManifestEntry]:
    """The entries of a manifest. Raises IncompleteError for other content, and for a truncated manifest."""
    text = content.decode("utf-8", "replace").removeprefix("\ufeff").strip()
    try:
        found = _parse_json(json.loads(text)) if text.startswith("{") else _parse_checksums(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IncompleteError(f"{manifest} is not a complete manifest: {_FORMS}") from None
    if not found:
        raise IncompleteError(f"{manifest} lists no files")
    return found


def _parse_json(manifest: Any) -> list[ManifestEntry]:
    if "entries" in manifest:  # Amazon Redshift: UNLOAD ... MANIFEST VERBOSE
        files = ((each["url"].rsplit("/", 1)[-1], each.get("meta", {})) for each in manifest["entries"])
        return [_entry(name, meta.get("record_count"), meta.get("content_length")) for name, meta in files]
    return [
        _entry(each)
        if isinstance(each, str)
        else _entry(str(each["name"]), each.get("rows"), each.get("bytes"), each.get("sha256"))
        for each in manifest["files"]
    ]


def _entry(name: str, rows: Any = None, size: Any = None, sha256: str | None = None) -> ManifestEntry:
    return ManifestEntry(name, None if rows is None else int(rows), None if size is None else int(size), sha256)


def _parse_checksums(text: str) -> list[ManifestEntry]:
    """Raises ValueError for a line in another form."""
    found = [_CHECKSUM.fullmatch(line) for line in text.splitlines()]
    if None in found:
        raise ValueError(text)
    return [ManifestEntry(match[2], sha256=match[1]) for match in found if match]


def _find_entry(
    found: FoundFile, entries: Sequence[ManifestEntry], manifest: str, parent: PurePosixPath
) -> ManifestEntry:
    """The entry of a file. A remote file is found by the last part of its name. Raises IncompleteError."""
    name = PurePosixPath(found.name.replace("\\", "/"))
    for entry in entries:
        path = parent / entry.name
        if path == name or (found.state is None and path.name == name.name):
            return entry
    raise IncompleteError(f"{found.name} isn't listed in {manifest}")


def _check_file(manifest: str, entry: ManifestEntry, found: FoundFile) -> None:
    size = found.path.stat().st_size
    if entry.bytes is not None and size != entry.bytes:
        raise IncompleteError(f"{found.name} has {size} bytes, but {manifest} states {entry.bytes}")
    if entry.sha256 is not None:
        with found.path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        if checksum != entry.sha256.lower():
            raise IncompleteError(f"{found.name} is not the file that {manifest} lists: its checksum differs")
