"""Read a store of any version: its views, its tables, and the rows of its snapshot files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Table:
    """A view or a table: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[list[Any]]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class StoreContent:
    """``views`` are the contract. ``tables`` can be compared between stores of the same ``revision`` alone.

    ``snapshots``: the rows of every snapshot file, in the order of its number.
    """

    revision: str
    views: Mapping[str, Table]
    tables: Mapping[str, Table]
    snapshots: list[str]


EMPTY = StoreContent("", {}, {}, [])
#: Tables of bytes, and those that no two runs have alike.
LEFT_OUT = {"alembic_version", "installation", "lease"}


def read_store(file: Path) -> StoreContent:
    if not file.exists():
        return EMPTY
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        names = connection.execute("select name, type from sqlite_master where type in ('table', 'view') order by name")
        found: dict[str, dict[str, Table]] = {"table": {}, "view": {}}
        for name, kind in names.fetchall():
            if name not in LEFT_OUT and not name.startswith("sqlite_"):
                rows = connection.execute(f'select * from "{name}"')
                found[kind][name] = Table([column[0] for column in rows.description], [list(row) for row in rows])
        revision = connection.execute("select version_num from alembic_version").fetchone()
        snapshots = list(_snapshots(found["table"], file.parent))
    tables = {name: table for name, table in found["table"].items() if not _bytes_column(table)}
    return StoreContent(revision[0], found["view"], tables, snapshots)


def _bytes_column(table: Table) -> str | None:
    """The column with the bytes of snapshot files, if the table has one: until schema 0022 it was `body`."""
    return next((name for name in ("content", "body") if {name, "number"} <= set(table.columns)), None)


def _snapshots(tables: Mapping[str, Table], folder: Path) -> Iterator[str]:
    """Each snapshot file as text. The table of its bytes is found by its columns: its name depends on the version."""
    import duckdb

    parts: dict[int, list[tuple[int, bytes]]] = {}
    for table in tables.values():
        if content := _bytes_column(table):
            owner = next(name for name in table.columns if name.endswith("_id"))
            for row in table.dicts():
                parts.setdefault(row[owner], []).append((row["number"], row[content]))
    for number, bodies in sorted(parts.items()):
        path = folder / "snapshot.parquet"
        path.write_bytes(b"".join(body for _, body in sorted(bodies)))
        with duckdb.connect() as connection:
            found = connection.execute(f"select * from read_parquet('{path}') order by all")
            columns = [column[0] for column in found.description or ()]
            rows = found.fetchall()
        path.unlink()
        yield f"{number} {' '.join(columns)}: " + " ".join(map(repr, rows))
