"""Which user is meant? An id on the command line, taken as it is written."""

from __future__ import annotations

import json

import click


def usable_id(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A callback that refuses what no source's id can be."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is no text in UTF-8") from None
    if not value:
        raise click.BadParameter("it is empty")
    return value


def shown_id(value: str) -> str:
    """An id for people: one with signs that can't be seen is written as in JSON."""
    return value if value.isprintable() and value == value.strip() else json.dumps(value, ensure_ascii=False)
