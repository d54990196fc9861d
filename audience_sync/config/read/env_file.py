"""Read `.env`, the file next to the config with variables that the environment lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Maximum length of the file.
MAX_CHARACTERS = 1_000_000


class EnvFileError(ValueError):
    """The file can't be read. The message has no values of it."""


def read_env_file(path: Path) -> Mapping[str, str]:
    """Its variables, with their values as written: nothing in them is expanded. Raises EnvFileError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None)
        raise EnvFileError(f"it can't be read: {reason}" if reason else "it is not text in UTF-8") from None
    if len(text) > MAX_CHARACTERS:
        raise EnvFileError(f"it has more than {MAX_CHARACTERS:,} characters")
    return _parse(text)


def _parse(text: str) -> Mapping[str, str]:
    from io import StringIO

    from dotenv.parser import parse_stream

    found = dict[str, str]()
    for each in parse_stream(StringIO(text)):
        if each.error:
            raise EnvFileError(f"line {each.original.line} is not `NAME=value`")
        if each.key is not None and each.value is not None:
            found[each.key] = each.value
    return found
