"""Where do relative paths and short URLs point? The spelling that the rest of the program uses."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?):///([^?]+)(\?.*)?")
_POSTGRESQL = re.compile(r"postgres(?:ql)?://")


def folder_url(text: str, folder: Path) -> str:
    """A `files:` source: URLs (``s3://``) as they are, paths absolute."""
    return text if "://" in text else absolute(text, folder)


def database_url(url: str, folder: Path) -> str:
    """SQLite's file made absolute; PostgreSQL by psycopg 3, whatever SQLAlchemy's version would take."""
    if match := _SQLITE_FILE.fullmatch(url):
        driver, path, query = match.groups(default="")
        return url if path == ":memory:" or path.startswith("file:") else f"{driver}:///{absolute(path, folder)}{query}"
    return _POSTGRESQL.sub("postgresql+psycopg://", url, count=1) if _POSTGRESQL.match(url) else url


def store_problem(url: str) -> str | None:
    """Why this can't be a store, or None."""
    if "://" not in url:
        return "it must be a URL: `sqlite:///audience_sync.db`, or `postgresql://user@host/database`"
    if not re.match(r"(sqlite|postgres|postgresql)(\+\w+)?://", url):
        return "the store is SQLite (`sqlite:///...`) or PostgreSQL (`postgresql://...`)"
    if re.fullmatch(r"sqlite(\+\w+)?://(/(:memory:)?)?(\?.*)?", url):
        return "a database in memory forgets what was sent; name a file: `sqlite:///audience_sync.db`"
    return password_problem(url)


def password_problem(url: str) -> str | None:
    """Why the password can't be told from the host, or None: the rest of it would be looked up, and shown."""
    if re.match(r"[\w+.-]+://[^:/]*:[^@]*@[^/?]*@", url):
        return "the password in it has an `@`: write `%40` instead (and `%3A` for `:`, `%2F` for `/`, `%25` for `%`)"
    return None


def absolute(path: str, folder: Path) -> str:
    return os.path.abspath(folder / os.path.expanduser(path))
