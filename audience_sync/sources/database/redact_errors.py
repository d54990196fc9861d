"""How is a database's error said without its secrets and its data? The URL's secrets and all values become ``***``."""

from __future__ import annotations

import re

from sqlalchemy import URL

from audience_sync.redaction.secrets import MASK, collect_secrets, mask_secrets

MAX_LINES = 3
_SECRET_NAME = re.compile("pass|pwd|secret|token|key|credential|auth", re.IGNORECASE)
#: What a server-side cursor puts before the query.
_CURSOR = re.compile(r'DECLARE "\w+" (?:\w+ )*?CURSOR (?:\w+ )*?FOR ')
_VALUE = re.compile(r""""[^"]*(?:"|$)|(?<!\w)'[^']*(?:'|$)|[^\s'"()=,;]+@[^\s'"()=,;]+""")
#: What stands at the end is the value, quotes in it included.
_VALUE_AT_END = re.compile(r"""(?<=: )(["'])(?P<first>.*?)(?:\1.*|$)""")
#: PostgreSQL's classes of errors that are about the query's own words, with place and hint.
_QUERY_ERRORS = "42"
#: ... and of those that a function of the database words itself.
_FUNCTION_ERRORS = "P0"


class ErrorRedactor:
    """What may be shown of a URL, and of errors that may repeat it, or the data."""

    def __init__(self, url: URL) -> None:
        self._secrets = collect_secrets(_secrets_in_url(url))
        shown = url.set(query={name: _mask_option(name, value) for name, value in url.query.items()})
        self.url = mask_secrets(shown.render_as_string(hide_password=True).replace("%2A%2A%2A", MASK), self._secrets)

    def error_message(self, error: BaseException, query: str | None = None) -> str:
        """The error's first lines, on one line. Of an error of a ``query`` no value that the query doesn't name."""
        text = mask_secrets(_CURSOR.sub("", _error_text(error, of_query=query is not None)), self._secrets)
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip(" ^")]
        words = " ".join(lines[:MAX_LINES]).rstrip(". ")
        return words if query is None or _sqlstate_class(error) == _QUERY_ERRORS else _mask_values(words, query)


def _sqlstate_class(error: BaseException) -> str:
    """PostgreSQL's class of the error: the first two letters of its SQLSTATE."""
    return str(getattr(error, "sqlstate", None) or "")[:2]


def _error_text(error: BaseException, *, of_query: bool) -> str:
    """Without PostgreSQL's DETAIL, HINT and CONTEXT where these quote rows, and MySQL's tuple."""
    match error.args:
        case (int(), str(text)):
            return text
    state = _sqlstate_class(error)
    if not of_query or state in ("", _QUERY_ERRORS):
        return str(error)
    if state == _FUNCTION_ERRORS:
        return "a function in the database raised an error, whose words are not shown since they may name people"
    return str(getattr(getattr(error, "diag", None), "message_primary", None) or error)


def _mask_values(words: str, query: str) -> str:
    """What the query itself says is no value: a column's name, a literal."""
    words = _VALUE_AT_END.sub(lambda found: found[0] if found["first"] in query else MASK, words)
    return _VALUE.sub(lambda found: found[0] if found[0].strip("'\"") in query else MASK, words)


def _mask_option(name: str, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return MASK if _SECRET_NAME.search(name) else value


def _secrets_in_url(url: URL) -> list[str]:
    plain = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if _SECRET_NAME.search(name):
            plain += [value] if isinstance(value, str) else list(value)
    return plain
