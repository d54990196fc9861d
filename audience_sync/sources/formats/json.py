"""How are JSON lines (or one JSON array) read? Each value as JSON, so that every digit and quote survives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from audience_sync.sources.lookup import Found
from audience_sync.sources.tables import Column, Table, column_missing
from audience_sync.workspace import Workspace, literal, quoted

_SCALARS = {"UBIGINT": "HUGEINT", "BIGINT": "HUGEINT", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "VARCHAR": "VARCHAR"}


def json_table(found: Found, path: Path, names: Sequence[str]) -> Table:
    """Whether the names are there, only the records can tell: ``check_columns``."""
    scan = f"read_json({literal(str(path))}, {_options(path, names)})"
    return Table(found.name, scan, {name: Column(quoted(name), "JSON") for name in names})


def _options(path: Path, names: Sequence[str]) -> str:
    columns = ", ".join(f"{literal(name)}: 'JSON'" for name in names)
    return f"auto_detect = false, format = '{_format(path)}', columns = {{{columns}}}"


def _format(path: Path) -> str:
    with path.open("rb") as file:
        return "array" if file.read(4096).lstrip().startswith(b"[") else "newline_delimited"


def check_columns(workspace: Workspace, tables: Sequence[Table], names: Sequence[str]) -> None:
    """Raises SourceError for a name that no record of the files has, where there are records."""
    for name in names:
        if not _any_record(workspace, tables, f"{quoted(name)} is not null"):
            _refuse_unknown(workspace, tables, name)


def _any_record(workspace: Workspace, tables: Sequence[Table], condition: str) -> bool:
    rows = " union all ".join(f"select 1 from {table.scan} where {condition}" for table in tables)
    return bool(workspace.all(f"{rows} limit 1"))


def _refuse_unknown(workspace: Workspace, tables: Sequence[Table], name: str) -> None:
    keys = sorted({key for table in tables for key in keys_of(workspace, table)})
    if name not in keys and (keys or _any_record(workspace, tables, "true")):
        raise column_missing(" and ".join(table.name for table in tables[:3]), name, keys)


def keys_of(workspace: Workspace, table: Table) -> list[str]:
    """All keys of all records, in alphabetical order; reads the whole file."""
    objects = table.scan[: table.scan.index(", auto_detect")].replace("read_json(", "read_json_objects(", 1)
    format_option = table.scan[table.scan.index("format = ") :].split(", columns")[0]
    rows = workspace.all(f"select distinct unnest(json_keys(json)) as key from {objects}, {format_option}) order by key")
    return [key for (key,) in rows]


def typed(workspace: Workspace, table: Table) -> Table:
    """The columns with the types that all their values have, for SQL; JSON where they differ."""
    kinds = ", ".join(f"list(distinct json_type({column.sql}))" for column in table.columns.values())
    found = workspace.one(f"select {kinds} from {table.scan}")
    columns = {
        name: _typed(column, {kind for kind in kinds or () if kind and kind != "NULL"})
        for (name, column), kinds in zip(table.columns.items(), found, strict=True)
    }
    return Table(table.name, table.scan, columns)


def _typed(column: Column, kinds: set[str]) -> Column:
    types = {_SCALARS.get(kind, "JSON") for kind in kinds}
    if types <= {"HUGEINT", "DOUBLE"} and "DOUBLE" in types:
        types = {"DOUBLE"}
    if len(types) != 1 or types == {"JSON"}:
        return column
    duckdb_type = types.pop()
    return Column(f"try_cast({column.sql} ->> '$' as {duckdb_type})", duckdb_type)


def bad_line(path: str) -> int | None:
    """The first line of a file that is no JSON, read one by one."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not _is_json(line):
                return number
    return None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return True
