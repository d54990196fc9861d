"""How is a Parquet file read? With the types it has."""

from __future__ import annotations

from collections import Counter

import duckdb

from audience_sync.errors import SourceError
from audience_sync.sources.lookup import Found
from audience_sync.sources.problems import Problems
from audience_sync.sources.tables import Column, Table
from audience_sync.workspace import Workspace, literal, quoted


def parquet_table(workspace: Workspace, found: Found) -> Table:
    """Raises SourceError where the file is not whole, or two of its columns have one name."""
    path = literal(str(found.path))
    scan = f"read_parquet({path})"
    try:
        described = workspace.all(f"describe from {scan}")
        _refuse_doubles(workspace, found.name, path)
    except duckdb.Error as error:
        raise Problems({str(found.path): found.name}).explain(error) from None
    return Table(found.name, scan, {row[0]: Column(quoted(row[0]), row[1]) for row in described})


def _refuse_doubles(workspace: Workspace, file: str, path: str) -> None:
    # The schema is a tree in depth-first order; DuckDB renames doubles where it reads the rows.
    rows = workspace.all(f"select name, coalesce(num_children, 0) from parquet_schema({path})")
    double = next((name for name, times in Counter(_top_names(rows)).items() if times > 1), None)
    if double is not None:
        raise SourceError(
            f"{file}: two columns are called {double!r}, so that it can't be said which is meant. "
            "Nothing of it was used. Give each column a name of its own."
        )


def _top_names(rows: list[tuple[str, int]]) -> list[str]:
    names, place = [], 1
    while place < len(rows):
        names.append(rows[place][0])
        place = _after(rows, place)
    return names


def _after(rows: list[tuple[str, int]], place: int) -> int:
    """The place behind a column and all that it is made of."""
    children = rows[place][1]
    place += 1
    for _ in range(children):
        place = _after(rows, place)
    return place
