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
from typing import BinaryIO, cast

from audience_sync.errors import SourceError
from audience_sync.sources.lookup import Found
from audience_sync.sources.surrogates import Halves, marked
from audience_sync.workspace import Workspace

UTF_8 = "utf-8"
_CHUNK = 1 << 20
_MARKED = "-marked"
_NOT_JSON = (".csv", ".tsv")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def plain(workspace: Workspace, found: Found, encoding: str) -> Path:
    """The file itself where it is plain UTF-8 without a byte order mark, else a copy. Raises SourceError.

    Every byte is checked, also of columns that nobody wants: a file in another encoding than it is said to be
    is not what its writer meant.
    """
    name = _codec(encoding)
    with _unpacking(found):
        start = _start(found)
        _refuse_start(found, start, name)
        if name == UTF_8 and not start.startswith(codecs.BOM_UTF8) and not _is_packed(found):
            return _marked(workspace, found.path) if _pour(found, None, name) else found.path
        copy = workspace.path("-plain")
        with copy.open("wb") as out:
            has_halves = _pour(found, out, "utf-8-sig" if name == UTF_8 else name)
        return _marked(workspace, copy) if has_halves else copy


def is_marked(path: Path) -> bool:
    """Whether halves of surrogate pairs were replaced by marks in what ``plain`` gave."""
    return path.name.endswith(_MARKED)


def _marked(workspace: Workspace, path: Path) -> Path:
    copy = workspace.path(_MARKED)
    with path.open("rb") as file, copy.open("wb") as out:
        out.writelines(marked(iter(lambda: file.read(_CHUNK), b"")))
    return copy


def _refuse_start(found: Found, start: bytes, encoding: str) -> None:
    if not start:
        raise SourceError(
            f"{found.name} is empty (0 bytes): not even a header, so it says nothing about the members. "
            "Is it still being written? A snapshot of nobody has a header and no rows."
        )
    if encoding == UTF_8 and start.startswith(_UTF_16):
        raise SourceError(f"{found.name} is UTF-16, not UTF-8. Say so in the config: `encoding: utf-16`.")


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


def _pour(found: Found, out: BinaryIO | None, encoding: str) -> bool:
    """Decode the whole file and write it as UTF-8, or only check it. Whether it is JSON that may have halves of
    surrogate pairs in it."""
    decoder = codecs.getincrementaldecoder(encoding)()
    halves, is_json = Halves(), found.suffix not in _NOT_JSON
    lines = 1
    with _open(found) as file:
        while chunk := file.read(_CHUNK):
            text = _decoded(found, decoder, chunk, lines)
            lines += chunk.count(b"\n")
            written = text.encode() if out else chunk
            if out:
                out.write(written)
            if is_json:
                halves.see(written)
        _decoded(found, decoder, b"", lines, final=True)
    if is_json:
        halves.see(b"", is_last=True)
    return halves.may_be


def _decoded(found: Found, decoder: codecs.IncrementalDecoder, chunk: bytes, lines: int, *, final: bool = False) -> str:
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        line = lines + chunk[: error.start].count(b"\n")
        raise SourceError(
            f"{found.name}, line {line}: this is not {error.encoding.upper()}. Nothing of it was used. "
            "Say which encoding the file has in the config (`encoding: latin-1`), or write it as UTF-8."
        ) from None
    except UnicodeError as error:  # UTF-16 without its byte order mark
        raise SourceError(
            f"{found.name}: {error}. Nothing of it was used. Correct `encoding:` in the config."
        ) from None
