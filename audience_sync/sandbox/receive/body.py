"""Decode a request's body: compression, and JSON as strictly as a service reads it."""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import Any

import orjson

from audience_sync.sandbox.values import Problem, Request

#: The largest body, unpacked. No service accepts one as large.
MOST_BYTES = 10 * 1024 * 1024
#: The most calls of one request.
MOST_CALLS = 20_000
#: Lists and objects within each other. SQLite and our own code read no more than about 1,000.
MOST_LEVELS = 100
#: zlib's window sizes: gzip or zlib by the header, and plain deflate.
_AUTOMATIC, _RAW = 47, -15
#: What may be an integer over 64 bits, which orjson would round.
_LARGE_NUMBER = re.compile(rb"[0-9]{19}")


class BodyError(Exception):
    """The body can't be read. Carries the problem."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(code, text)


def unpacked(request: Request) -> bytes:
    """Return the body without its compression. Raises BodyError, also for a body that did not arrive whole."""
    if request.problem is not None:
        raise BodyError(request.problem.code, request.problem.text)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return request.body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BodyError("encoding", f"Content-Encoding is {encoding!r}: the service reads gzip and deflate")
    for window in (_AUTOMATIC, _RAW) if encoding == "deflate" else (_AUTOMATIC,):
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(request.body, MOST_BYTES + 1)
        except zlib.error:
            continue
        if len(plain) > MOST_BYTES:
            raise BodyError("body_too_large", "the body is larger than 10 MB when it is unpacked")
        if not unpacker.eof:
            raise BodyError("encoding", "the compressed body ends early: a part of it is missing")
        return plain
    raise BodyError("encoding", f"Content-Encoding is {encoding}, and the body is not")


def parsed(body: bytes) -> Any:
    """Return the value of a JSON text. Raises BodyError with the line and column where it stops being JSON."""
    try:
        found = _parsed_slowly(body) if _LARGE_NUMBER.search(body) else orjson.loads(body)
    except orjson.JSONDecodeError:
        found = _parsed_slowly(body)
    if _is_deep(found):
        raise BodyError("invalid_json", _TOO_DEEP)
    return found


def not_too_many(items: list[Any]) -> list[Any]:
    """Return the items. Raises BodyError if there are more than the sandbox reads of one request."""
    if len(items) > MOST_CALLS:
        raise BodyError("batch_too_long", f"the body has {len(items):,} items: the sandbox reads {MOST_CALLS:,}")
    return items


_TOO_DEEP = f"the body is nested too deeply: {MOST_LEVELS} levels are accepted"


def _parsed_slowly(body: bytes) -> Any:
    """Read what orjson does not: halves of a surrogate pair, and all digits of integers over 64 bits."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_int=_whole, parse_float=_finite)
    except RecursionError:
        text = _TOO_DEEP
    except UnicodeDecodeError as error:
        text = f"the body is not UTF-8: byte {error.start:,} is wrong"
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        text = "the body is empty" if not body.strip() else f"the body is not JSON: {error.msg} at {where}"
    except ValueError as error:
        text = str(error)
    raise BodyError("invalid_json", text)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        if not (nested := [each for each in level if each.__class__ in (dict, list)]):
            return False
        level = [inner for each in nested for inner in (each.values() if each.__class__ is dict else each)]
    return True


def _refuse(name: str) -> Any:
    raise ValueError(f"the body is not JSON: {name} is not a number of JSON")


def _finite(digits: str) -> float:
    if math.isinf(found := float(digits)):
        raise ValueError(f"the body has a number that is too large: {digits[:20]}")
    return found


def _whole(digits: str) -> int:
    _finite(digits)
    return int(digits)
