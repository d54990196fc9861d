"""Read JSON lines, or one JSON array: each value as JSON, so that every digit and quote survives."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from audience_sync.sources.rows.scan import Column, Scan, batched, missing_column
from audience_sync.sources.storage.decode import has_placeholders
from audience_sync.sources.storage.locate import FoundFile
from audience_sync.sources.values.json_sql import SURROGATE_PLACEHOLDER
from audience_sync.sql import Expression, Relation, quote_identifier, quote_literal
from audience_sync.workspace import Workspace

_TYPES = {"UBIGINT": "HUGEINT", "BIGINT": "HUGEINT", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "VARCHAR": "VARCHAR"}
#: DuckDB's message about a record that is not an object.
NOT_OBJECT_ERROR = "JSON transform error"
#: Columns per statement: each needs memory for regular expressions, in addition to what DuckDB counts.
MAX_COLUMNS_PER_QUERY = 30
#: Bytes of a record: DuckDB's limit, and the minimum for its reader.
MAX_OBJECT_BYTES, MIN_OBJECT_BYTES = 16_777_216, 65_536
_WHOLE_NUMBERS = {"UBIGINT", "BIGINT", "LONGER"}


def json_table(found: FoundFile, path: Path, names: Sequence[str]) -> Scan:
    """A table with these columns; ``check_columns`` checks that the records have them."""
    if len({name.lower() for name in names}) < len(names):
        scan, values = _case_sensitive_scan(path), {name: _extract_value(name) for name in names}
    else:
        scan, values = _plain_scan(path, names), {name: quote_identifier(name) for name in names}
    return Scan(
        name=found.name,
        scan=scan,
        columns={name: Column(value, "JSON") for name, value in values.items()},
        is_parsed=True,
        placeholders=(SURROGATE_PLACEHOLDER,) if has_placeholders(path) else (),
    )


def _plain_scan(path: Path, names: Sequence[str]) -> Relation:
    columns = ", ".join(f"{quote_literal(name)}: 'JSON'" for name in names or ("-",))
    # `records`: with one column, DuckDB would read a line that is not an object as that column's value.
    return Relation(
        f"read_json({quote_literal(str(path))}, auto_detect = false, format = '{_format(path)}', records = 'true',"
        f" columns = {{{columns}}}, hive_partitioning = false, {_object_size(path)})"
    )


def _case_sensitive_scan(path: Path) -> Relation:
    """A scan of whole records, for names that differ only in case: equal in tables, different in JSON."""
    keys = "json_keys(json)"
    record = (
        f"case when json_type(json) <> 'OBJECT' then error('{NOT_OBJECT_ERROR}')"
        f" when len({keys}) <> len(list_distinct({keys})) then error('{NOT_OBJECT_ERROR}: duplicate key') else json end"
    )
    return Relation(f"(select {record} as record from {_objects(path)})")


def _extract_value(name: str) -> Expression:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return Expression(f"json_extract(record, {quote_literal(pointer)})")


def _objects(path: Path) -> Relation:
    file = quote_literal(str(path))
    return Relation(f"read_json_objects({file}, format = '{_format(path)}', {_object_size(path)})")


def _object_size(path: Path) -> str:
    """The option for the largest possible record: no record is larger than its file.

    DuckDB allocates two buffers of this size per file and thread, by default of 16 MB each.
    """
    return f"maximum_object_size = {min(max(path.stat().st_size, MIN_OBJECT_BYTES), MAX_OBJECT_BYTES)}"


def _format(path: Path) -> str:
    with path.open("rb") as file:
        return "array" if file.read(4096).lstrip().startswith(b"[") else "newline_delimited"


def record_keys(workspace: Workspace, paths: Sequence[Path]) -> list[str]:
    """The keys of all records, in alphabetical order; this reads all files completely."""
    records = " union all ".join(f"select json_keys(json) as keys from {_objects(path)}" for path in paths)
    return [key for (key,) in workspace.all(f"select distinct unnest(keys) as key from ({records}) order by key")]


def check_columns(workspace: Workspace, tables: Sequence[Scan], paths: Sequence[Path], names: Sequence[str]) -> None:
    """Raise SourceError for a name that no record has, if there are records."""
    scans = {name: [f"{each.scan} where {each.columns[name].sql} is not null" for each in tables] for name in names}
    absent = [name for name in names if not _any_record(workspace, scans[name])]
    if not absent or not _any_record(workspace, [table.scan for table in tables]):
        return
    keys = record_keys(workspace, paths)
    for name in absent:
        if name not in keys:
            raise missing_column(" and ".join(table.name for table in tables[:3]), name, keys)


def _any_record(workspace: Workspace, scans: Sequence[str]) -> bool:
    rows = " union all ".join(f"select 1 from {scan}" for scan in scans)
    return bool(workspace.all(f"{rows} limit 1"))


def with_common_types(
    workspace: Workspace, tables: Sequence[Scan], names: Sequence[str], text: Collection[str]
) -> list[Scan]:
    """The tables with a type for each of these columns: the type of all its values, or JSON if they differ.

    Whole numbers in the columns of ``text`` become text too, since these become user ids.
    """
    found: dict[str, Sequence[str] | None] = {}
    for some in batched(names, MAX_COLUMNS_PER_QUERY):
        rows = " union all ".join(table.select_values(some) for table in tables)
        kinds = ", ".join(f"list(distinct {_json_kind(f'v{index}')})" for index in range(len(some)))
        found |= dict(zip(some, workspace.one(f"select {kinds} from ({rows})"), strict=True))
    types = {name: _common_type(set(found[name] or ()) - {None, "NULL"}, is_id=name in text) for name in names}
    return [
        table.with_columns({name: _with_type(table.columns[name], kind) for name, kind in types.items()})
        for table in tables
    ]


def _json_kind(column: str) -> str:
    # DuckDB reports integers of more than 64 bits as doubles, although it keeps their digits. HUGEINT has up to 38.
    text = f"cast({column} as VARCHAR)"
    return (
        f"case when json_type({column}) is distinct from 'DOUBLE' then json_type({column})"
        f" when regexp_full_match({text}, '-?[0-9]{{1,38}}') then 'BIGINT'"
        f" when regexp_full_match({text}, '-?[0-9]+') then 'LONGER' else 'DOUBLE' end"
    )


def _common_type(kinds: set[str], *, is_id: bool) -> str:
    """The common DuckDB type of values of these kinds."""
    if is_id:
        return "VARCHAR" if kinds in ({"VARCHAR"}, set()) or kinds <= _WHOLE_NUMBERS else "JSON"
    types = {_TYPES.get(kind, "JSON") for kind in kinds}
    if types == {"HUGEINT", "DOUBLE"}:
        return "DOUBLE"
    return types.pop() if len(types) == 1 else "JSON"


def _with_type(column: Column, duckdb_type: str) -> Column:
    text = Column(Expression(f"{column.sql} ->> '$'"), "VARCHAR")
    return column if duckdb_type == "JSON" else text.cast(duckdb_type)


def invalid_line(path: str) -> int | None:
    """The number of the first invalid line of a file of JSON lines, or None."""
    if _format(Path(path)) == "array":
        return None
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not _is_json(line):
                return number
    return None


def _is_json(line: bytes) -> bool:
    try:
        # Half of a surrogate pair is valid in JSON, but not as text.
        json.dumps(json.loads(line.decode()), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True
