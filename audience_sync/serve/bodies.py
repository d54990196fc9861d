"""Read what a request asks for: its JSON, its idempotency key, and its numbers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from audience_sync.serve.problems import ProblemError

#: Bytes of a body, and characters of a key.
LONGEST_BODY, LONGEST_KEY = 1_000_000, 255
Body = TypeVar("Body", bound=Struct)


#: Keys of audiences or traits. A list that is empty by mistake must not mean all of them.
Keys = Annotated[tuple[str, ...], Meta(min_length=1)]


class RunBody(Struct, frozen=True, forbid_unknown_fields=True):
    """``audiences``: the keys of those to sync; None is all. ``reason``: recorded with who asked for it."""

    audiences: Keys | None = None
    reason: str | None = None


class PlanBody(Struct, frozen=True, forbid_unknown_fields=True):
    """``audiences``: the keys of those to plan; None is all."""

    audiences: Keys | None = None


class DecisionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """``keys``: what to approve or reject of what the run held; None is all."""

    keys: Keys | None = None
    reason: str | None = None


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The body; without one, everything is left to its default. Raises ProblemError."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LONGEST_BODY:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is longer than {LONGEST_BODY:,} bytes.")
    if not content.strip():
        return kind()
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        names = ", ".join(f"`{each}`" for each in kind.__struct_fields__)
        what = str(error).replace("Object", "it")
        message = f"The body is not valid: {what}. It can have: {names}. Nothing was done."
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, message) from None
    except msgspec.DecodeError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {error}. Nothing was done.") from None


def idempotency_key(request: Request) -> str | None:
    """The key of the header, with or without the quotes of RFC 8941. Raises ProblemError."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        message = f"Idempotency-Key has to have 1 to {LONGEST_KEY} characters. Nothing was done."
        raise ProblemError(HTTPStatus.BAD_REQUEST, message)
    return key


def number_of(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of the query, such as ``?limit=20``. Raises ProblemError."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"`{name}` has to be a number from {least} to {most:,}.")
    return int(text)
