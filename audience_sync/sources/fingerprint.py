"""Compute fingerprints of sources, which change when the rows of a snapshot may have changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audience_sync.errors import SourceError
from audience_sync.version import __version__

if TYPE_CHECKING:
    from audience_sync.sources.base import SnapshotRequest

#: Seconds after a write during which a file has no version: within one tick of the file system's clock, a second write
#: would leave the same version.
MTIME_GRACE_SECONDS = 2.0


#: Maximum number of rows in the answer of a probe.
MAX_PROBE_ROWS = 1_000


def probe_fingerprint(request: SnapshotRequest, rows: Sequence[Sequence[Any]]) -> str | None:
    """The fingerprint of a request and the rows of its probe. Raises SourceError if they are too many."""
    if len(rows) > MAX_PROBE_ROWS:
        raise SourceError(f"the probe returns more than {MAX_PROBE_ROWS} rows. Write a cheap query that returns a few.")
    return request_fingerprint(request, [repr(tuple(row)) for row in rows])


def request_fingerprint(request: SnapshotRequest, *versions: Sequence[str] | None) -> str | None:
    """The fingerprint of a request, the program's version, and the versions of files or the rows of a probe.

    None if any of these versions is missing.
    """
    found = [each for each in versions if each]
    if not found or len(found) < len(versions):
        return None
    traits = sorted(f"{key}={trait.column}:{trait.type}" for key, trait in request.traits.items())
    asked = [__version__, request.file, request.query, request.probe, request.user_id, request.name, request.encoding]
    asked += [request.sheet, request.partitions]
    parts = [*map(repr, asked), *traits, *(text for each in found for text in each)]
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def file_version(path: str, now: float | None = None) -> str | None:
    """The version of a local file: size, times and inode. None while the file may still be written."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    settled = stat.st_mtime < (time.time() if now is None else now) - MTIME_GRACE_SECONDS
    return f"{path}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}" if settled else None


def remote_version(path: str, info: dict[str, Any]) -> str | None:
    """The version of a remote file from its metadata: an ETag, or else a time."""
    metadata = {name.lower(): value for name, value in info.items()}
    for name in ("etag", "md5hash", "content_md5", "generation", "lastmodified", "last_modified", "updated", "mtime"):
        if metadata.get(name):
            return f"{path}:{metadata.get('size')}:{name}={metadata[name]}"
    return None
