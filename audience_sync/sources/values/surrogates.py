r"""Replace halves of surrogate pairs in JSON by a placeholder: DuckDB refuses a whole file for one of them.

``"\ud83d\ude00"`` is one character, ``"\ud83d"`` is half of one. Only a value with the placeholder is invalid then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from audience_sync.sources.values.json_sql import SURROGATE_PLACEHOLDER

_PLACEHOLDER = SURROGATE_PLACEHOLDER.encode()
#: Bytes of one escape, and of the two escapes of a surrogate pair.
_ESCAPE_BYTES, _PAIR_BYTES = 6, 12
#: Fast patterns, which may match after an escaped backslash too; `replace_halves` is exact.
_QUICK_PATTERNS = (
    re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"),
    re.compile(rb"(?<![^\\]\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"),
)
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class SurrogateScanner:
    """Scans a file chunk by chunk for possible halves of surrogate pairs."""

    def __init__(self) -> None:
        self.found = False
        self._before, self._is_cut = b"", False

    def scan(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Scan the next chunk of JSON in UTF-8. The end of a chunk is scanned with the next one."""
        text = self._before + chunk
        if not self.found and b"\\u" in text:
            first, last = (_ESCAPE_BYTES + 1 if self._is_cut else 0), len(text) - (0 if is_last else _ESCAPE_BYTES)
            found = (match for pattern in _QUICK_PATTERNS for match in pattern.finditer(text))
            self.found = any(match.start() >= first and match.end() <= last for match in found)
        self._before = text[-3 * _ESCAPE_BYTES - 1 :]
        self._is_cut |= len(self._before) < len(text)


def replace_halves(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same JSON with a placeholder for each half."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        end = _safe_end(text)
        yield _ESCAPE.sub(_replaced, text[:end])
        rest = text[end:]
    yield _ESCAPE.sub(_replaced, rest)


def _safe_end(text: bytes) -> int:
    """A position near the end that is not within an escape."""
    end = max(len(text) - _PAIR_BYTES, 0)
    for escape in _ESCAPE.finditer(text):
        if escape.end() > end:
            return min(escape.start(), end) if escape.start() < end else end
    return end


def _replaced(escape: re.Match[bytes]) -> bytes:
    return _PLACEHOLDER if escape["half"] else escape[0]
