"""Read a user's id from the command line, and show one to a person."""

from __future__ import annotations

import json
import os

import click


def validate_user_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A callback that refuses what can't be the id of any source."""
    value = decode_utf8(value)
    if not value:
        raise click.BadParameter("the id is empty")
    return value


def decode_utf8(argument: str) -> str:
    """The argument read as UTF-8, also where the locale is ASCII. Raises click.BadParameter where it is not UTF-8."""
    try:
        return os.fsencode(argument).decode() if _has_bytes(argument) else argument
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise click.BadParameter("the id is not text in UTF-8") from None


def _has_bytes(argument: str) -> bool:
    """Whether Python kept bytes of the argument that it could not decode."""
    return any("\udc80" <= sign <= "\udcff" for sign in argument)


def display_id(value: str) -> str:
    """An id for people: one with signs that can't be seen is written as in JSON."""
    if value.isprintable() and value == value.strip():
        return value
    # JSON leaves some of them: DEL, the terminal's other controls (C1), and those that turn text round.
    written = json.dumps(value, ensure_ascii=False)
    return "".join([sign if sign.isprintable() else _escaped(sign) for sign in written])


def _escaped(sign: str) -> str:
    return "\\u007f" if sign == "\x7f" else json.dumps(sign)[1:-1]
