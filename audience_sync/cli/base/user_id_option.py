"""Read a user id from the command line, and format one for people."""

from __future__ import annotations

import json
import os

import click


def validate_user_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an empty id. A callback of click."""
    value = decode_utf8(value)
    if not value:
        raise click.BadParameter("the id is empty")
    return value


def decode_utf8(argument: str) -> str:
    """Decode an argument as UTF-8 under every locale. Raises click.BadParameter if it is not UTF-8."""
    try:
        return os.fsencode(argument).decode() if _has_bytes(argument) else argument
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise click.BadParameter("the id is not text in UTF-8") from None


def _has_bytes(argument: str) -> bool:
    """Whether the argument has bytes that Python could not decode."""
    return any("\udc80" <= sign <= "\udcff" for sign in argument)


def display_id(value: str) -> str:
    """Format an id for people: an id with invisible characters is written as in JSON."""
    if value.isprintable() and value == value.strip():
        return value
    # JSON does not escape DEL, the terminal's C1 controls, and characters that reverse the text.
    written = json.dumps(value, ensure_ascii=False)
    return "".join([sign if sign.isprintable() else _escaped(sign) for sign in written])


def _escaped(sign: str) -> str:
    return "\\u007f" if sign == "\x7f" else json.dumps(sign)[1:-1]
