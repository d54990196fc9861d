"""How do packed or differently encoded files become ones that DuckDB reads well? Copies, plain and in UTF-8.

DuckDB reads gzip, but believes a damaged one as long as it unpacks (it doesn't compare the checksum), and its
UTF-16 reads nothing of some files without a word. Python's codecs and gzip are strict, and stream.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from audience_sync.errors import SourceError
from audience_sync.sources.lookup import Found
from audience_sync.workspace import Workspace

_CHUNK = 1 << 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def plain(workspace: Workspace, found: Found, encoding: str) -> Path:
    """The file itself where it is plain UTF-8 without a byte order mark, else a copy. Raises SourceError."""
    name = _codec(encoding)
    with _unpacking(found):
        start = _start(found)
        if not start:
            raise SourceError(
                f"{found.name} is empty (0 bytes): not even a header, so it says nothing about the members. "
                "Is it still being written? A snapshot of nobody has a header and no rows."
            )
        if name == "utf-8" and start.startswith(_UTF_16):
            raise SourceError(f"{found.name} is UTF-16, not UTF-8. Say so in the config: `encoding: utf-16`.")
        if name == "utf-8" and not start.startswith(codecs.BOM_UTF8) and not _is_packed(found):
            return found.path
        return _copy(workspace, found, name)


def _codec(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise SourceError(f"there is no encoding {encoding!r}. Try utf-8, utf-16, latin-1 or cp1252.") from None


def _is_packed(found: Found) -> bool:
    return found.name.lower().endswith(".gz")


def _open(found: Found) -> BinaryIO:
    return cast(BinaryIO, gzip.open(found.path) if _is_packed(found) else found.path.open("rb"))


def _start(found: Found) -> bytes:
    with _open(found) as file:
        return file.read(4)


@contextmanager
def _unpacking(found: Found) -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise SourceError(
            f"{found.name} ends in the middle of its gzip data: it is cut off, or still being written. "
            "Nothing of it was used. Write it again, under another name until it is complete."
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise SourceError(
            f"{found.name} is not gzip, or damaged (its checksum is wrong). Nothing of it was used. "
            "Pack it again, or leave out .gz if it isn't packed."
        ) from None
    except OSError as error:
        raise SourceError(f"{found.name} can't be read: {error.strerror or type(error).__name__}.") from None


def _copy(workspace: Workspace, found: Found, encoding: str) -> Path:
    copy = workspace.path("-plain")
    with _open(found) as file, copy.open("wb") as out:
        _pour(file, out, encoding, found.name)
    return copy


def _pour(file: BinaryIO, out: IO[bytes], encoding: str, name: str) -> None:
    if encoding == "utf-8":
        first = file.read(_CHUNK).removeprefix(codecs.BOM_UTF8)  # DuckDB checks the rest
        out.write(first)
        while chunk := file.read(_CHUNK):
            out.write(chunk)
        return
    _transcode(file, out, encoding, name)


def _transcode(file: BinaryIO, out: IO[bytes], encoding: str, name: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    try:
        while chunk := file.read(_CHUNK):
            text = decoder.decode(chunk)
            lines += text.count("\n")
            out.write(text.encode())
        out.write(decoder.decode(b"", final=True).encode())
    except UnicodeError:
        raise SourceError(
            f"{name}, line {lines} or after: this is not {encoding}. Nothing of it was used. "
            "Correct `encoding:` in the config, or write the file as UTF-8."
        ) from None
