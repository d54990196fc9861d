"""Decode a request's body: compression, and JSON as strictly as a service reads it."""

from __future__ import annotations

import json
import zlib
from typing import Any

import orjson

from audience_sync.sandbox.values import Problem, Request

#: The largest body, unpacked. A larger one is refused before it fills the memory.
MOST_BYTES = 64 * 1024 * 1024
#: zlib's window sizes: gzip or zlib by the header, and plain deflate.
_AUTOMATIC, _RAW = 47, -15


class BodyError(Exception):
    """The body can't be read. Carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def unpacked(request: Request) -> bytes:
    """Return the body without its compression. Raises BodyError."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    body = request.body
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BodyError(Problem("encoding", f"Content-Encoding is {encoding!r}: the service reads gzip and deflate"))
    for window in (_AUTOMATIC, _RAW) if encoding == "deflate" else (_AUTOMATIC,):
        unpacker = zlib.decompressobj(window)
        try:
            plain = unpacker.decompress(body, MOST_BYTES + 1)
        except zlib.error:
            continue
        if len(plain) > MOST_BYTES:
            raise BodyError(Problem("body_too_large", "the body is larger than 64 MB when it is unpacked"))
        if unpacker.eof or window == _RAW:
            return plain
        raise BodyError(Problem("encoding", "the compressed body ends early: a part of it is missing"))
    raise BodyError(Problem("encoding", f"Content-Encoding is {encoding}, and the body is not"))


def parsed(body: bytes) -> Any:
    """Return the value of a JSON text. Raises BodyError with the line and column at which it ends to be JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:  # integers over 64 bits and halves of a surrogate pair are JSON, too
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise BodyError(Problem("invalid_json", "the body is nested too deeply")) from None
    except UnicodeDecodeError as error:
        raise BodyError(Problem("invalid_json", f"the body is not UTF-8: byte {error.start:,} is wrong")) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        what = "the body is empty" if not body.strip() else f"the body is not JSON: {error.msg} at {where}"
        raise BodyError(Problem("invalid_json", what)) from None
    except ValueError as error:
        raise BodyError(Problem("invalid_json", str(error))) from None


def written(value: Any) -> str:
    """Return a value as JSON text that can be stored anywhere: half a surrogate pair stays an escape."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, orjson.JSONEncodeError):
        return json.dumps(value, separators=(",", ":"))


def storable(text: str) -> str:
    """Return the text with half a surrogate pair written as an escape, because UTF-8 has no bytes for it."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _refuse(name: str) -> Any:
    raise ValueError(f"the body is not JSON: {name} is not a number of JSON")
