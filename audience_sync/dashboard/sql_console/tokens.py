"""Divide SQL into tokens as SQLite and PostgreSQL do, to see which names a query contains."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class TokenKind(Enum):
    NAME = "name"  # also a quoted one
    TEXT = "text"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """A token without comments. ``text``: of a name as the database compares it. ``start``: its first character."""

    kind: TokenKind
    text: str
    start: int


_NAME = r"[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*"
_SQLITE = re.compile(
    rf"""
    (?P<space>[ \t\n\f\r][ \t\n\v\f\r]*|\ufeff|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<blob>[xX]'[^']*')
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<name>{_NAME})
    |(?P<number>\d[\w.]*|\.\d\w*)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_POSTGRESQL = re.compile(
    rf"""
    (?P<space>[ \t\n\f\r\v]+|--[^\n\r]*)
    |(?P<blob>[bBxXnN]'(?:[^']|'')*')
    |(?P<escaped>[eE]'(?:[^'\\]|''|\\.)*')
    |(?P<text>'(?:[^']|'')*')
    |(?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<name>{_NAME})
    |(?P<number>\d[\w.]*|\.\d\w*)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(sql: str, *, is_sqlite: bool) -> list[Token]:
    """Divide a query. What is not closed is a sign of one character, which the database refuses anyway."""
    return list(_tokens(sql, is_sqlite=is_sqlite))


def _tokens(sql: str, *, is_sqlite: bool) -> Iterator[Token]:
    pattern, position = (_SQLITE if is_sqlite else _POSTGRESQL), 0
    while position < len(sql):
        if not is_sqlite and sql.startswith("/*", position):
            position = _after_comment(sql, position)
            continue
        found = pattern.match(sql, position)
        if found is None:  # every character is a sign at least
            return
        start, position = position, found.end()
        match found.lastgroup:
            case "space":
                continue
            case "name":
                # Both databases fold the letters A to Z only.
                yield Token(TokenKind.NAME, _folded(found[0]), start)
            case "quoted":
                text = found[0][1:-1].replace(found[0][-1] * 2, found[0][-1])
                yield Token(TokenKind.NAME, _folded(text) if is_sqlite else text, start)
            case "text":
                yield Token(TokenKind.TEXT, found[0][1:-1].replace("''", "'"), start)
            case "blob" | "escaped" | "dollar" | "tag":
                yield Token(TokenKind.TEXT, found[0], start)
            case _:
                yield Token(TokenKind.SIGN, found[0], start)


def defines_query(found: Sequence[Token], index: int) -> bool:
    """Return whether a token is the name of a query: ``name as (``, ``name (column) as materialized (``."""
    if found[index].kind is TokenKind.SIGN:
        return False
    following = index + 1
    if following < len(found) and _is_sign(found[following], "("):
        while following < len(found) and not _is_sign(found[following], ")"):
            following += 1
        following += 1
    words = [each.text.lower() for each in found[following : following + 2]]
    return words[:1] == ["as"] and words[1:] in (["("], ["not"], ["materialized"])


def _is_sign(token: Token, sign: str) -> bool:
    return token.kind is TokenKind.SIGN and token.text == sign


def _after_comment(sql: str, start: int) -> int:
    """Return the position after a comment. PostgreSQL's comments may contain comments."""
    depth, position = 0, start
    while position < len(sql):
        if sql.startswith("/*", position):
            depth, position = depth + 1, position + 2
        elif sql.startswith("*/", position):
            depth, position = depth - 1, position + 2
            if not depth:
                return position
        else:
            position += 1
    return len(sql)


def _folded(name: str) -> str:
    return "".join(chr(ord(sign) + 32) if "A" <= sign <= "Z" else sign for sign in name)
