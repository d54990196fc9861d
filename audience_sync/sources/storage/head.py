"""Copy the beginning of long text files, so that a sample costs the same for files of any length."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from audience_sync.encodings import codec_of
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sources.storage.resolve_names import CSV, JSON
from audience_sync.workspace import Workspace

#: Bytes, unpacked. Shorter files are read completely.
HEAD_BYTES = 1_000_000
#: Bytes of a remote file that are copied for a sample: a packed one of so many has more than HEAD_BYTES unpacked.
REMOTE_BYTES = 2 * HEAD_BYTES
_COMMA = re.compile(r"[ \t\n\r]*,?[ \t\n\r]*")
_QUOTE_OR_LINE = re.compile('["\\n]')


def sampled_bytes(request: SnapshotRequest) -> int | None:
    """How many bytes of a remote file a sample needs; None: all, also for the sizes and checksums of a manifest."""
    return None if request.sample_rows is None or request.expected.manifest else REMOTE_BYTES


def cut_heads(workspace: Workspace, found: Sequence[FoundFile], encoding: str) -> list[FoundFile]:
    """The files, with long ones replaced by a copy of their first rows.

    Other formats, and text without a boundary between two rows, stay complete.
    """
    return [_cut_head(workspace, each, encoding) if each.suffix in CSV + JSON else each for each in found]


def _cut_head(workspace: Workspace, found: FoundFile, encoding: str) -> FoundFile:
    try:
        with found.open() as file:
            start = file.read(HEAD_BYTES + 1)
        if len(start) <= HEAD_BYTES:
            return found
        codec = codec_of(encoding)
        text = codecs.getincrementaldecoder(codec)().decode(start)  # without a last character that is cut
        content = _whole_rows(text, is_csv=found.suffix in CSV).encode(codec)
    except (OSError, EOFError, ValueError, zlib.error):  # reading the whole file reports the error
        return found
    if not content:
        return found
    copy = Path(workspace.path("-head"))
    copy.write_bytes(gzip.compress(content, 1) if found.is_packed else content)
    return replace(found, path=copy, state=None)


def _whole_rows(text: str, *, is_csv: bool) -> str:
    """The text up to the last line end outside of quotes; a JSON array up to its last whole item. Empty without any."""
    if not is_csv:
        return _whole_items(text) if text.lstrip().startswith("[") else text[: text.rfind("\n") + 1]
    end, is_quoted = 0, False
    for sign in _QUOTE_OR_LINE.finditer(text):
        if sign[0] == '"':
            is_quoted = not is_quoted
        elif not is_quoted:
            end = sign.end()
    return text[:end]


def _whole_items(text: str) -> str:
    """The beginning of a JSON array as an array of its whole items."""
    decoder, end = json.JSONDecoder(), 0
    after = text.index("[") + 1
    try:
        while True:
            start = _COMMA.match(text, after).end()  # type: ignore[union-attr]  # it matches any text
            _, after = decoder.raw_decode(text, start)
            end = after
    except (ValueError, RecursionError):  # the item that is cut, or one that reading the whole file reports
        return f"{text[:end]}]" if end else ""
