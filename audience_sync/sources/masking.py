"""How is a database's error said without its secrets? The URL's password and query secrets become ``***``."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

from sqlalchemy import URL

MASK = "***"
MOST_LINES = 3
_SECRET_NAME = re.compile("pass|pwd|secret|token|key|credential|auth", re.IGNORECASE)
#: What a server-side cursor puts before the query.
_CURSOR = re.compile(r'DECLARE "\w+" (?:\w+ )*?CURSOR (?:\w+ )*?FOR ')
#: A driver may repeat a value of the data in its error: 'invalid input syntax for type integer: "anna@..."'.
_VALUE_AT_END = re.compile(r"""(: )(?:"[^"]*"|'[^']*')$""")


class Masking:
    """What may be shown of a URL, and of errors that may repeat it."""

    def __init__(self, url: URL) -> None:
        self._secrets = _secrets(url)
        shown = url.set(query={name: _shown(name, value) for name, value in url.query.items()})
        self.url = self._masked(shown.render_as_string(hide_password=True).replace("%2A%2A%2A", MASK))

    def words(self, error: BaseException) -> str:
        """The error's first lines, on one line."""
        lines = [
            " ".join(line.split())
            for line in self._masked(_CURSOR.sub("", str(error))).splitlines()
            if line.strip(" ^")
        ]
        return " ".join(_VALUE_AT_END.sub(rf"\1{MASK}", line) for line in lines[:MOST_LINES]).rstrip(". ")

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _shown(name: str, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return MASK if _SECRET_NAME.search(name) else value


def _secrets(url: URL) -> list[str]:
    """All spellings of the URL's secrets, the longest first."""
    plain = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if _SECRET_NAME.search(name):
            plain += [value] if isinstance(value, str) else list(value)
    spellings = {spelling for text in plain if text for spelling in (text, quote(text, safe=""), quote_plus(text))}
    return sorted(spellings, key=len, reverse=True)
