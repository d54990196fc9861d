"""Where do relative paths and short URLs point? The spelling that the rest of the program uses."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?):///([^?]+)(\?.*)?", re.DOTALL)
_OPTIONS = re.compile(r"(\?(\w+=[^&]*(&\w+=[^&]*)*)?)?", re.DOTALL)
_POSTGRESQL = re.compile(r"postgres(?:ql)?://")


def folder_url(text: str, folder: Path) -> str:
    """A `files:` source: URLs (``s3://``) as they are, paths absolute."""
    return text if "://" in text else absolute_path(text, folder)


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """The address of an SQLite file. ``path`` is the file's own, decoded."""

    driver: str
    path: str
    query: str = ""

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None for every other database, and for an address without a file."""
        match = _SQLITE_FILE.fullmatch(url)
        return match and cls(match[1], unquote(match[2], errors="surrogateescape"), match[3] or "")

    @property
    def is_file(self) -> bool:
        """Neither in memory nor a `file:` URI, which SQLite reads itself."""
        return self.path != ":memory:" and not self.path.startswith("file:")

    @property
    def text(self) -> str:
        path = self.path.replace("%", "%25").replace("?", "%3F")
        return f"{self.driver}:///{path}{self.query}"


def sqlite_url(path: str | Path) -> str:
    """The URL that means exactly this file, whatever its name has in it."""
    return SqliteUrl("sqlite", str(path)).text


def database_url(url: str, folder: Path) -> str:
    """SQLite's file made absolute; PostgreSQL by psycopg 3, whatever SQLAlchemy's version would take."""
    if sqlite := SqliteUrl.parse(url):
        if not sqlite.is_file:
            return url
        return SqliteUrl(sqlite.driver, absolute_path(sqlite.path, folder), sqlite.query).text
    return _POSTGRESQL.sub("postgresql+psycopg://", url, count=1) if _POSTGRESQL.match(url) else url


def store_problem(url: str) -> str | None:
    """Why this can't be a store, or None."""
    if "://" not in url:
        return "it must be a URL: `sqlite:///audience_sync.db`, or `postgresql://user@host/database`"
    if not re.match(r"(sqlite|postgres|postgresql)(\+\w+)?://", url):
        return "the store is SQLite (`sqlite:///...`) or PostgreSQL (`postgresql://...`)"
    if re.fullmatch(r"sqlite(\+\w+)?://(/(:memory:)?)?(\?.*)?", url):
        return "a database in memory forgets what was sent; name a file: `sqlite:///audience_sync.db`"
    return url_problem(url)


def url_problem(url: str) -> str | None:
    """Why a database's URL would mean another one than its writer meant, or None."""
    sqlite = SqliteUrl.parse(url)
    if sqlite and not _OPTIONS.fullmatch(sqlite.query):
        return "a `?` in it begins options, `?timeout=30`; in a file's name write `%3F` instead"
    return password_problem_in_url(url)


def password_problem_in_url(url: str) -> str | None:
    """Why the password can't be told from the host, or None: the rest of it would be looked up, and shown."""
    if re.match(r"[\w+.-]+://[^:/]*:[^@]*@[^/?]*@", url):
        return "the password in it has an `@`: write `%40` instead (and `%3A` for `:`, `%2F` for `/`, `%25` for `%`)"
    return None


def absolute_path(path: str, folder: Path) -> str:
    return os.path.abspath(folder / os.path.expanduser(path))
