"""Mask secrets and data in a database's errors: secrets of the URL and all values become ``***``."""

from __future__ import annotations

import re

from sqlalchemy import URL

from audience_sync.redaction.secrets import MASK, collect_secrets, mask_secrets

MAX_LINES = 3
_SECRET_NAME = re.compile("pass|pwd|secret|token|key|credential|auth", re.IGNORECASE)
#: The prefix that a server-side cursor adds to the query.
_CURSOR = re.compile(r'DECLARE "\w+" (?:\w+ )*?CURSOR (?:\w+ )*?FOR ')
_VALUE = re.compile(r""""[^"]*(?:"|$)|(?<!\w)'[^']*(?:'|$)|[^\s'"()=,;]+@[^\s'"()=,;]+""")
#: A value at the end of the message, with the quotes inside it.
_VALUE_AT_END = re.compile(r"""(?<=: )(["'])(?P<first>.*?)(?:\1.*|$)""")
#: PostgreSQL's class of errors about the text of the query, with position and hint.
_QUERY_ERRORS = "42"
#: PostgreSQL's class of errors that a function of the database raises, in its own words.
_FUNCTION_ERRORS = "P0"


class ErrorRedactor:
    """Redacts the URL, and errors that may quote the URL or data."""

    def __init__(self, url: URL) -> None:
        self._secrets = collect_secrets(_secrets_in_url(url))
        shown = url.set(query={name: MASK if _SECRET_NAME.search(name) else value for name, value in url.query.items()})
        self.url = mask_secrets(shown.render_as_string(hide_password=True).replace("%2A%2A%2A", MASK), self._secrets)

    def error_message(self, error: BaseException, query: str | None = None) -> str:
        """The error's first lines as one line; with a ``query``, values that are not in it are masked."""
        text = mask_secrets(_CURSOR.sub("", _error_text(error, of_query=query is not None)), self._secrets)
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip(" ^")]
        message = " ".join(lines[:MAX_LINES]).rstrip(". ")
        return message if query is None or _sqlstate_class(error) == _QUERY_ERRORS else _mask_values(message, query)


def _sqlstate_class(error: BaseException) -> str:
    """The class of PostgreSQL's error: the first two letters of its SQLSTATE."""
    return str(getattr(error, "sqlstate", None) or "")[:2]


def _error_text(error: BaseException, *, of_query: bool) -> str:
    """The message without MySQL's tuple, and without PostgreSQL's DETAIL, HINT and CONTEXT: these may quote rows."""
    match error.args:
        case (int(), str(text)):
            return text
    state = _sqlstate_class(error)
    if not of_query or state in ("", _QUERY_ERRORS):
        return str(error)
    if state == _FUNCTION_ERRORS:
        return "a function in the database raised an error; its message is hidden, since it may contain personal data"
    return str(getattr(getattr(error, "diag", None), "message_primary", None) or error)


def _mask_values(message: str, query: str) -> str:
    """Mask quoted values, except text of the query itself: names of columns, literals."""
    message = _VALUE_AT_END.sub(lambda found: found[0] if found["first"] in query else MASK, message)
    return _VALUE.sub(lambda found: found[0] if found[0].strip("'\"") in query else MASK, message)


def _secrets_in_url(url: URL) -> list[str]:
    plain = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if _SECRET_NAME.search(name):
            plain += [value] if isinstance(value, str) else list(value)
    return plain
