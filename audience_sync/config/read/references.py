"""Parse the references in a text of the config: `${NAME}`, `${NAME:-default}`, `${file:PATH}`, nested to any depth."""

from __future__ import annotations

import re
from dataclasses import dataclass

BROKEN = "`${` begins a variable, `${NAME}`, `${NAME:-default}` or `${file:/path}`; a plain `${` is written `$${`"
#: Levels of references within references: more are a mistake, or an attack on Python's stack.
MAX_NESTING = 50
_TOKEN = re.compile(r"\$\$\{|\$\{|\}")
_HEAD = re.compile(r"\$\{(?:(?P<file>file:)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-)?)")


class BrokenReferenceError(ValueError):
    """A `${` that does not begin a valid reference, is not closed, or is nested too deeply."""


@dataclass(frozen=True, slots=True)
class Variable:
    """``default`` is None if the reference has no default."""

    name: str
    default: ParsedText | None


@dataclass(frozen=True, slots=True)
class FileContent:
    path: ParsedText


#: Literal texts and references, in order.
ParsedText = tuple[str | Variable | FileContent, ...]


def parse(text: str) -> ParsedText:
    """The literal texts and references of a text. Raises BrokenReferenceError."""
    parts, end = _parse_text(text, 0, 0)
    assert end == len(text)
    return parts


def _parse_text(text: str, start: int, depth: int) -> tuple[ParsedText, int]:
    """The parts up to the closing brace of a reference (``depth`` > 0) or up to the end, and its position."""
    if depth > MAX_NESTING:
        raise BrokenReferenceError(f"variables are nested deeper than {MAX_NESTING} times: write fewer")
    parts, escaped = list[str | Variable | FileContent](), 0
    while token := _TOKEN.search(text, start):
        parts.append(text[start : token.start()])
        start = token.end()
        if token[0] == "${":
            reference, start = _parse_reference(text, token.start(), depth)
            parts.append(reference)
        elif token[0] == "$${":
            parts.append("${")
            escaped += depth > 0  # `${A:-$${B}}`: the first brace belongs to the escaped one
        elif depth and not escaped:
            return tuple(filter(None, parts)), token.start()
        else:
            parts.append("}")
            escaped -= escaped > 0
    if depth:
        raise BrokenReferenceError(BROKEN)
    return tuple(filter(None, [*parts, text[start:]])), len(text)


def _parse_reference(text: str, start: int, depth: int) -> tuple[Variable | FileContent, int]:
    """The reference at this position, and the position after it."""
    head = _HEAD.match(text, start)
    if head is None:
        raise BrokenReferenceError(BROKEN)
    if head["name"] and not head["default"]:
        if text[head.end() : head.end() + 1] != "}":
            raise BrokenReferenceError(BROKEN)
        return Variable(head["name"], None), head.end() + 1
    inner, end = _parse_text(text, head.end(), depth + 1)
    if head["name"]:
        return Variable(head["name"], inner), end + 1
    if not inner:
        raise BrokenReferenceError(BROKEN)
    return FileContent(inner), end + 1
