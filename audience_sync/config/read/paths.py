"""Make paths absolute and URLs canonical, and check URLs of databases."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

#: The store of a config that names none.
DEFAULT_STORE = "sqlite:///audience_sync.db"
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?):///([^?]+)(\?.*)?", re.DOTALL)
_DUCKDB_FILE = re.compile(r"duckdb:///([^?]+)", re.DOTALL)
_SPREADSHEET = re.compile(r"gsheets://([\w-]+)/?(?:\?url=(https?://.+))?")
_BROWSER = re.compile(r"https://docs\.google\.com/spreadsheets/(?:u/\d+/)?d/([\w-]+)")
#: Schemes of URLs, by the option of a source that they belong to.
_SCHEMES = {
    **dict.fromkeys(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "gsheets"), "files"),
    **dict.fromkeys(
        ("sqlite", "duckdb", "postgres", "postgresql", "mysql", "mariadb", "mssql", "redshift"), "database"
    ),
    **dict.fromkeys(("athena", "awsathena", "bigquery", "clickhouse", "clickhousedb", "databricks"), "database"),
    **dict.fromkeys(("snowflake", "trino"), "database"),
    "sc": "spark",
}
_OPTIONS = re.compile(r"(\?(\w+=[^&]*(&\w+=[^&]*)*)?)?", re.DOTALL)
_POSTGRESQL = re.compile(r"postgres(?:ql)?://")


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """The URL of an SQLite file. ``path`` is decoded."""

    driver: str
    path: str
    query: str = ""

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None for other databases, and for a URL without a file."""
        match = _SQLITE_FILE.fullmatch(url)
        return match and cls(match[1], unquote(match[2], errors="surrogateescape"), match[3] or "")

    @property
    def is_file(self) -> bool:
        """False for a database in memory, and for a `file:` URI, which SQLite reads itself."""
        return self.path != ":memory:" and not self.path.startswith("file:")

    @property
    def text(self) -> str:
        path = self.path.replace("%", "%25").replace("?", "%3F")
        return f"{self.driver}:///{path}{self.query}"


def duckdb_path(url: str) -> str | None:
    """The path in the URL of a DuckDB file, decoded; None for other URLs."""
    match = _DUCKDB_FILE.fullmatch(url)
    return match and unquote(match[1], errors="surrogateescape")


def duckdb_files_of(path: str) -> tuple[str, str]:
    """The real paths of a DuckDB file, and of the file next to it with its last changes, which need not exist."""
    real = os.path.realpath(path)
    return real, f"{real}.wal"


def duckdb_url(path: str) -> str:
    """The URL of this file, with special characters of its name encoded."""
    return f"duckdb:///{path.replace('%', '%25').replace('?', '%3F')}"


@dataclass(frozen=True, slots=True)
class Spreadsheet:
    """A Google spreadsheet. ``api``: the address of Google's API, or of what stands in for it."""

    id: str
    api: str = "https://sheets.googleapis.com"

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """The spreadsheet of a `gsheets://` URL, or of the address in a browser; None for other URLs."""
        if match := _BROWSER.match(url):
            return cls(match[1])
        match = _SPREADSHEET.fullmatch(url)
        return match and cls(match[1], *([match[2].rstrip("/")] if match[2] else []))


def sqlite_url(path: str | Path) -> str:
    """The URL of this file, with special characters of its name encoded."""
    return SqliteUrl("sqlite", str(path)).text


def database_url(url: str, folder: Path) -> str:
    """The URL with the file of SQLite or DuckDB as an absolute path, and PostgreSQL with psycopg 3.

    SQLAlchemy's own default differs between its versions.
    """
    if duckdb := duckdb_path(url):
        return duckdb_url(absolute_path(duckdb, folder))
    if sqlite := SqliteUrl.parse(url):
        if not sqlite.is_file:
            return url
        return SqliteUrl(sqlite.driver, absolute_path(sqlite.path, folder), sqlite.query).text
    return _POSTGRESQL.sub("postgresql+psycopg://", url, count=1) if _POSTGRESQL.match(url) else url


def store_problem(url: str) -> str | None:
    """The reason why this URL can't be the store's, or None."""
    if "://" not in url:
        return "it must be a URL: `sqlite:///audience_sync.db`, or `postgresql://user@host/database`"
    if not re.match(r"(sqlite|postgres|postgresql)(\+\w+)?://", url):
        return "the store is SQLite (`sqlite:///...`) or PostgreSQL (`postgresql://...`)"
    if re.fullmatch(r"sqlite(\+\w+)?://(/(:memory:)?)?(\?.*)?", url):
        return "a database in memory loses what was sent. Name a file: `sqlite:///audience_sync.db`"
    return url_problem(url)


def state_problem(url: str) -> str | None:
    """The reason why this URL can't be the folder of the state, or None."""
    scheme, separator, place = url.partition("://")
    if not separator:
        return (
            "it must be the URL of a folder: `s3://bucket/audience_sync`, `gs://...`, `az://...`, or `file:///folder`"
        )
    if scheme in ("memory", "http", "https", "data", "ftp"):
        return f"{scheme}:// can't keep the state: name a folder in a bucket, such as `s3://bucket/audience_sync`"
    if "@" in place.split("/")[0] and ":" in place.split("@")[0]:
        return "a password in it would be stored: leave it out, credentials come from the environment"
    if re.search(r"[*?\[\]#]", place) or "::" in url:
        return "its name can't have any of `* ? [ ] #`, or `::`"
    if not place.strip("/"):
        return "it names no bucket: `s3://bucket/audience_sync`"
    if scheme == "file" and not place.startswith("/"):
        return f"its path has to begin with a slash: `file:///{place}`"
    return None


def files_problem(url: str) -> str | None:
    """The reason why this can't be the place of files, or None."""
    if problem := _other_option("files", url):
        return problem
    if url.startswith(("gsheets:", "https://docs.google.com/")) and Spreadsheet.parse(url) is None:
        return "it must be the address of a spreadsheet in the browser, or `gsheets://ID`, with the ID in that address"
    return None


def url_problem(url: str) -> str | None:
    """The reason why a database's URL is ambiguous, or none of a database, or None."""
    if problem := _other_option("database", url):
        return problem
    sqlite = SqliteUrl.parse(url)
    if sqlite and not _OPTIONS.fullmatch(sqlite.query):
        return "a `?` in it begins options, `?timeout=30`; in a file's name write `%3F` instead"
    if url.startswith("duckdb:"):
        return _duckdb_problem(url)
    return password_problem_in_url(url)


def _other_option(option: str, url: str) -> str | None:
    """The reason why this URL belongs to another option of a source, or None."""
    scheme, separator, _ = url.partition("://")
    meant = _SCHEMES.get(scheme.partition("+")[0], option)
    return f"`{scheme}://` belongs to `{meant}`: write it there" if separator and meant != option else None


def _duckdb_problem(url: str) -> str | None:
    path = duckdb_path(url)
    if path is None:
        return "it must name a file and have no options: `duckdb:///warehouse.duckdb`; in its name write `%3F` for `?`"
    if path == ":memory:" or path.startswith("md:"):
        return "it must be a file on this machine: `duckdb:///warehouse.duckdb`"
    return None


def password_problem_in_url(url: str) -> str | None:
    """The reason why the password is not separable from the host, or None.

    The rest of such a password would be looked up as a host, and appear in errors.
    """
    if re.match(r"[\w+.-]+://[^:/]*:[^@]*@[^/?]*@", url):
        return "the password in it has an `@`: write `%40` instead (and `%3A` for `:`, `%2F` for `/`, `%25` for `%`)"
    return None


def absolute_path(path: str, folder: Path) -> str:
    return os.path.abspath(folder / os.path.expanduser(path))
