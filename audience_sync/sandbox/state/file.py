"""Define the tables of the sandbox's file, open it, and keep other sandboxes from using it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from audience_sync.errors import ConfigError, Problem

#: Another number is a file of another version of the sandbox.
VERSION = 2
#: ``PRAGMA application_id``: "ASsb".
APPLICATION = 0x41537362
TABLES = """
create table calls (
  call integer primary key, request integer not null, at real not null, destination text not null,
  service text not null, type text not null, user_id text not null, event text not null, outcome text not null,
  status integer, message_id text not null, message text not null, changes text not null, problems text not null
);
create table requests (
  request integer primary key, at real not null, destination text not null, service text not null, method text not null,
  path text not null, headers text not null, bytes integer not null, calls integer not null, status integer,
  answer text not null, answer_headers text not null, seconds real not null, problems text not null, plan text not null
);
create table users (
  destination text not null, user_id text not null, properties text not null, calls integer not null,
  first_at real not null, last_at real not null, primary key (destination, user_id)
) without rowid;
create table groups (
  destination text not null, group_id text not null, properties text not null, primary key (destination, group_id)
) without rowid;
create table events (
  call integer primary key, at real not null, destination text not null, user_id text not null, event text not null,
  properties text not null
);
create index events_of_user on events (destination, user_id, event, at);
create table user_events (
  destination text not null, user_id text not null, event text not null, times integer not null, first_at real not null,
  last_at real not null, primary key (destination, user_id, event)
) without rowid;
create table counts (
  bucket integer not null, destination text not null, type text not null, event text not null, outcome text not null,
  calls integer not null, primary key (bucket, destination, type, event, outcome)
) without rowid;
create table property_counts (
  destination text not null, property text not null, kind text not null, users integer not null,
  primary key (destination, property, kind)
) without rowid;
create table problem_counts (
  bucket integer not null, destination text not null, code text not null, text text not null, calls integer not null,
  primary key (bucket, destination, code)
) without rowid;
create table destinations (
  destination text primary key, service text not null, requests integer not null, calls integer not null,
  first_at real not null, last_at real not null, users integer not null
) without rowid;
create table plans (destination text primary key, plan text not null) without rowid;
"""
CONTENT = (
    *("calls", "requests", "users", "groups", "events", "user_events"),
    *("counts", "property_counts", "problem_counts", "destinations"),
)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the file, which is created if it does not exist; only its owner may read it. Raises ConfigError.

    It is the only connection that writes and copies the log into the file. SQLite below 3.51.3 may damage a file in
    WAL mode if one connection does that while another one writes.
    """
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _set_up(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.DatabaseError, OSError) as error:
        raise _unusable(path, error) from None
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the file, whose path is absolute, for one page. Its connection never writes."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)


def lock_file(path: Path) -> int:
    """Keep another sandbox from using the same file. Returns the descriptor of the lock. Raises ConfigError."""
    try:
        found = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise _unusable(path, error.strerror) from None
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(found)
        text = f"another sandbox uses {path}. Nothing is received"
        raise ConfigError(
            [Problem("--file", f"{text}.\n    Use that one, or choose another file: --file NAME")]
        ) from None
    return found


def _unusable(path: Path, why: object) -> ConfigError:
    text = f"{path} can't be used as the sandbox's file: {why}. Nothing is received"
    return ConfigError([Problem("--file", f"{text}.\n    Choose another one: --file NAME")])


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    (tables,) = connection.execute("select count(*) from sqlite_schema").fetchone()
    if tables and (application, version) != (APPLICATION, VERSION):
        what = "is of another version of the sandbox" if application == APPLICATION else "is not a file of the sandbox"
        raise sqlite3.DatabaseError(f"it {what}")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")  # a killed process loses nothing, a power cut the last calls
    connection.execute("pragma cache_size = -65536")
    connection.execute("pragma wal_autocheckpoint = 4000")
    connection.execute("pragma journal_size_limit = 67108864")
    connection.execute("pragma temp_store = memory")
    if not tables:
        marks = f"pragma application_id = {APPLICATION}; pragma user_version = {VERSION};"
        connection.executescript(f"begin; {TABLES} {marks} commit;")
