"""Copy packed or differently encoded files as plain UTF-8, which DuckDB reads correctly.

DuckDB reads gzip without comparing the checksum, so it accepts damaged files. Its UTF-16 silently reads nothing of some
files. Python's codecs and gzip are strict, and stream.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from audience_sync.encodings import EBCDIC, codec_of, encoding_advice
from audience_sync.errors import SourceError
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sources.storage.resolve_names import CSV
from audience_sync.sources.values.surrogates import SurrogateScanner, replace_halves
from audience_sync.workspace import Workspace

UTF_8 = "utf-8"
_CHUNK = 1 << 20
_REPLACED_SUFFIX = "-marked"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_16_HALVES = ("utf-16-le", "utf-16-be")
_BYTE_ORDER_MARK = "\ufeff"
_HEADER_ONLY = " For an audience without members, write the header and no rows."
_NEXT_LINE = "\x85"


def decoded_copy(workspace: Workspace, found: FoundFile, encoding: str) -> Path:
    """The file itself if it is plain UTF-8 without a byte order mark, else a copy. Raises SourceError.

    Every byte is checked, also in columns that no entry uses: a file in another encoding than its config states is not
    what its writer meant.
    """
    try:
        name = codec_of(encoding)
    except ValueError as error:
        raise SourceError(f"{error}. Correct `encoding:` in the config.") from None
    with _unpacking(found):
        with found.open() as file:
            start = file.read(4)
        _refuse_start(found, start, name)
        if name in _UTF_16_HALVES and start.startswith(_UTF_16):
            name = "utf-16"  # the mark states the order of the bytes, and is not text
        if name == UTF_8 and not start.startswith(codecs.BOM_UTF8) and not found.is_packed:
            return _replaced_copy(workspace, found.path) if _transcode(found, None, name) else found.path
        copy = workspace.path("-plain")
        with copy.open("wb") as out:
            has_halves = _transcode(found, out, "utf-8-sig" if name == UTF_8 else name)
        if not copy.stat().st_size:
            raise _empty(found, "has a byte order mark and no text")
        return _replaced_copy(workspace, copy) if has_halves else copy


def has_placeholders(path: Path) -> bool:
    """Whether ``decoded_copy`` replaced halves of surrogate pairs by placeholders in this file."""
    return path.name.endswith(_REPLACED_SUFFIX)


def _replaced_copy(workspace: Workspace, path: Path) -> Path:
    copy = workspace.path(_REPLACED_SUFFIX)
    with path.open("rb") as file, copy.open("wb") as out:
        out.writelines(replace_halves(iter(lambda: file.read(_CHUNK), b"")))
    return copy


def _refuse_start(found: FoundFile, start: bytes, encoding: str) -> None:
    if not start:
        raise _empty(found, "is empty (0 bytes)")
    if not encoding.startswith("utf") and start.startswith(codecs.BOM_UTF8):
        raise SourceError(
            f"{found.name} is UTF-8, not {encoding.upper()}: it begins with the mark of UTF-8. Nothing of it was used. "
            "Leave `encoding:` out of the config."
        )
    if not encoding.startswith(("utf-16", "utf-32")) and start.startswith(_UTF_16):
        raise SourceError(f"{found.name} is UTF-16, not {encoding.upper()}. Set `encoding: utf-16` in the config.")


def _empty(found: FoundFile, what: str) -> SourceError:
    return SourceError(
        f"{found.name} {what}, so the members are unknown. It may still be being written. "
        f"The audience is unchanged.{_HEADER_ONLY if found.suffix in CSV else ''}"
    )


@contextmanager
def _unpacking(found: FoundFile) -> Iterator[None]:
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


def _transcode(found: FoundFile, out: BinaryIO | None, encoding: str) -> bool:
    """Decode the whole file and write it as UTF-8, or only check it.

    Returns whether it is JSON that may contain halves of surrogate pairs.
    """
    text = _Decoder(found, encoding)
    halves, is_json = SurrogateScanner(), found.suffix not in CSV
    with found.open() as file:
        while chunk := file.read(_CHUNK):
            written = text.to_utf8(chunk) if out else text.check(chunk)
            if out:
                out.write(written)
            if is_json:
                halves.scan(written)
        rest = text.to_utf8(b"", final=True)
        if out:
            out.write(rest)
    if is_json:
        halves.scan(b"", is_last=True)
    return halves.found


class _Decoder:
    """Decodes a file chunk by chunk, and finds line and byte of an error."""

    def __init__(self, found: FoundFile, encoding: str) -> None:
        self._found, self._encoding = found, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._bytes = 0

    def check(self, chunk: bytes) -> bytes:
        """Return the chunk of UTF-8. ASCII after a whole character needs no decoding."""
        if chunk.isascii() and not self._decoder.getstate()[0]:
            self._bytes += len(chunk)
        else:
            self._decode(chunk, final=False)
        return chunk

    def to_utf8(self, chunk: bytes, *, final: bool = False) -> bytes:
        is_first = self._bytes == 0
        text = self._decode(chunk, final=final)
        try:
            return (text.removeprefix(_BYTE_ORDER_MARK) if is_first else text).encode()
        except UnicodeEncodeError as error:  # UTF-7 can encode half of a surrogate pair
            line = self._line_at(self._bytes) - text[error.start :].count("\n")
            raise self._problem(f", line {line}", "it has half of a surrogate pair, which is not a character") from None

    def _decode(self, chunk: bytes, *, final: bool) -> str:
        before = self._decoder.getstate()
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            raise self._undefined_byte(error, before[0]) from None
        except UnicodeError as error:  # UTF-16 without its byte order mark
            raise SourceError(
                f"{self._found.name}: {error}. Nothing of it was used. A file without the mark is "
                f"`encoding: {self._encoding}-le` or `-be`, if it is {self._encoding.upper()} at all: correct "
                "`encoding:` in the config."
            ) from None
        self._bytes += len(chunk)
        return self._with_line_ends(text)

    def _with_line_ends(self, text: str) -> str:
        return text.replace(_NEXT_LINE, "\n") if self._encoding in EBCDIC else text

    def _undefined_byte(self, error: UnicodeDecodeError, pending: bytes) -> SourceError:
        """An error with line and byte. ``pending``: the bytes of a character that the chunk before began."""
        offset = self._bytes + error.start - len(pending)
        return self._problem(
            f", line {self._line_at(offset)}",
            f"byte 0x{error.object[error.start]:02X} at offset {offset:,} is not a character of it",
        )

    def _line_at(self, offset: int) -> int:
        """The line of the byte at this offset. It decodes the file again, so that lines are counted for errors only."""
        decoder, line = codecs.getincrementaldecoder(self._encoding)(), 1
        with self._found.open() as file:
            while chunk := file.read(min(_CHUNK, offset)):
                line += self._with_line_ends(decoder.decode(chunk)).count("\n")
                offset -= len(chunk)
        return line

    def _problem(self, index: str, what: str) -> SourceError:
        name = self._encoding.removesuffix("-sig").upper()
        return SourceError(
            f"{self._found.name}{index}: this is not {name}: {what}. Nothing of it was used. "
            f"{encoding_advice(self._encoding, self._found.name)}"
        )
