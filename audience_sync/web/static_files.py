"""Serve style, scripts and font under an address with their hash, so that browsers keep them for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain; charset=utf-8",
}
#: A year; the address changes with the content.
CACHE_CONTROL = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    content: bytes
    media_type: str


@cache
def static_files() -> dict[str, StaticFile]:
    """All static files by their path below the folder: about 200 KB, read once."""
    found = sorted(path for path in FOLDER.rglob("*") if path.suffix in MEDIA_TYPES)
    return {
        path.relative_to(FOLDER).as_posix(): StaticFile(path.read_bytes(), MEDIA_TYPES[path.suffix]) for path in found
    }


@cache
def static_hash() -> str:
    """A hash of all static files: they refer to each other by relative addresses."""
    digest = hashlib.sha256()
    for name, file in static_files().items():
        digest.update(f"{name}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return digest.hexdigest()[:12]


def static_address(name: str) -> str:
    """The address of a static file. Raises KeyError for another name."""
    static_files()[name]
    return f"/static/{static_hash()}/{name}"
