"""Has a source changed since it was read? What its rows depend on, in one short text."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from typing import Any

from audience_sync.sources.base import SnapshotRequest
from audience_sync.version import __version__

#: Seconds for which a file that was just written is not trusted: within one tick of a file system's clock it may be
#: written again, and look the same.
MTIME_GRACE_SECONDS = 2.0


def request_fingerprint(request: SnapshotRequest, *versions: Sequence[str] | None) -> str | None:
    """Of what is asked, by which version of the program, of what: files' versions, or a probe's answer."""
    known = [found for found in versions if found]
    if not known or len(known) < len(versions):
        return None
    traits = sorted(f"{key}={trait.column}:{trait.type}" for key, trait in request.traits.items())
    asked = [__version__, request.file, request.query, request.probe, request.user_id, request.name, request.encoding]
    asked += [request.sheet, request.partitions]
    parts = [*map(repr, asked), *traits, *(each for found in known for each in found)]
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def file_version(path: str, now: float | None = None) -> str | None:
    """A local file's, by its size, times and number; None while it may still be written."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    settled = stat.st_mtime < (time.time() if now is None else now) - MTIME_GRACE_SECONDS
    return f"{path}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}" if settled else None


def remote_version(path: str, info: dict[str, Any]) -> str | None:
    """A remote file's, by what its file system says of it: an ETag, or else a time."""
    said = {name.lower(): value for name, value in info.items()}
    for name in ("etag", "md5hash", "content_md5", "generation", "lastmodified", "last_modified", "updated", "mtime"):
        if said.get(name):
            return f"{path}:{said.get('size')}:{name}={said[name]}"
    return None
