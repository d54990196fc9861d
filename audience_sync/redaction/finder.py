"""Find secret values in a text in any spelling, and mask them.

Services repeat a key in capitals, a password in JSON, an address in a URL, a header in base64. A search for the plain
text would miss each of them. So texts and values are compared in decoded form: without escapes of JSON, URLs and HTML,
without regard to case, and with base64 decoded.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import chain
from urllib.parse import unquote_to_bytes

MASK = "***"

_ONE_LETTER = re.compile(r"(?s).")
_ESCAPED = re.compile(
    r"(?P<url>(?:%(?:25)*[0-9a-f]{2})+)|(?P<json>(?:\\+u[0-9a-f]{4})+)|(?P<html>&\#?\w+;)|(?P<escape>\\+)|.",
    re.IGNORECASE | re.DOTALL,
)
#: Characters; shorter values appear in base64 by chance.
_MIN_BASE64_LENGTH = 4
_ESCAPES = frozenset("%\\&")
#: Six letters are the base64 of the shortest secret; slash and plus may be escaped.
_BASE64 = re.compile(r"(?:[a-z0-9+/_-]|\\/|%2[bf]){6,}(?:=|%3d)*", re.IGNORECASE)

Span = tuple[int, int]


class Redactor:
    """Masks a set of values in any text, and ``words`` where no letter or digit is next to them."""

    def __init__(self, values: Iterable[str], words: Iterable[str] = ()) -> None:
        plain = set(values)
        self._values = {letters for value in plain for letters in _spellings(value)} - {""}
        self._words = {letters for word in words for letters in _spellings(word)} - {""} - self._values
        self._bytes = {
            _fold_bytes(value.encode(errors="replace")) for value in plain if len(value) >= _MIN_BASE64_LENGTH
        }

    def redact(self, text: str) -> str:
        """The text with each value replaced by a mask; overlapping values become one mask."""
        if not (self._values or self._words):
            return text
        shown, end = [], 0
        for start, stop in _merge(chain(self._in_letters(text), self._in_base64(text))):
            shown += [text[end:start], MASK]
            end = stop
        return "".join([*shown, text[end:]])

    def _in_letters(self, text: str) -> Iterator[Span]:
        """Search the plain text too: the letters before a value may look like the beginning of an escape."""
        for reading in (_DecodedText(text, _ONE_LETTER), _DecodedText(text, _ESCAPED)):
            for value in self._values:
                yield from reading.spans(value)
            for word in self._words:
                yield from reading.spans(word, is_word=True)

    def _in_base64(self, text: str) -> Iterator[Span]:
        for run in _BASE64.finditer(text):
            meant = "\n".join(_base64_decoded(run[0]))
            if any(value in meant for value in self._bytes):
                yield run.span()


class _DecodedText:
    """A decoded text, with the position of each of its letters in the original."""

    def __init__(self, text: str, pattern: re.Pattern[str]) -> None:
        letters: list[str] = []
        self._positions: list[Span] = []
        for token in pattern.finditer(text):
            meant = _normalize(_decode(token))
            letters.append(meant)
            self._positions += [token.span()] * len(meant)
        self.text = "".join(letters)

    def spans(self, value: str, *, is_word: bool = False) -> Iterator[Span]:
        start = self.text.find(value)
        while start >= 0:
            stop = start + len(value)
            neighbours = self.text[max(start - 1, 0) : start] + self.text[stop : stop + 1]
            if not (is_word and any(map(str.isalnum, neighbours))):
                yield self._positions[start][0], self._positions[stop - 1][1]
            start = self.text.find(value, start + 1)


def _spellings(value: str) -> Iterator[str]:
    yield _normalize(value)
    if not _ESCAPES.isdisjoint(value):
        yield _DecodedText(value, _ESCAPED).text


def _normalize(text: str) -> str:
    """Ignore case, and treat a space like the plus of URLs."""
    return text.casefold().replace(" ", "+")


def _decode(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "url":
            return _to_text(unquote_to_bytes(re.sub("%(?:25)+", "%", token[0])))
        case "json":
            units = re.findall(r"u(.{4})", token[0], re.IGNORECASE)
            return bytes.fromhex("".join(units)).decode("utf-16-be", "replace")
        case "html":
            return unescape(token[0])
        case "escape":
            return ""
        case _:
            return token[0]


def _to_text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _base64_decoded(run: str) -> Iterator[str]:
    """The four possible decodings: up to three letters before the base64 may belong to other text."""
    letters = _to_text(unquote_to_bytes(run)).replace("\\", "").rstrip("=").replace("-", "+").replace("_", "/")
    for skipped in range(4):
        whole = letters[skipped:]
        whole = whole[:-1] if len(whole) % 4 == 1 else whole
        yield _fold_bytes(b64decode(whole + "=" * (-len(whole) % 4)))


def _fold_bytes(content: bytes) -> str:
    return content.decode("latin-1").casefold()


def _merge(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, with overlapping or adjacent ones merged."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            start, stop = found[-1][0], max(stop, found.pop()[1])
        found.append((start, stop))
    return found
