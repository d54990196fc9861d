"""Run a query over files: each file is a view of the same name, with types that lose nothing.

DuckDB would open ``'orders.csv'`` itself and turn the id ``007`` into 7; a view of that name has priority. Each read
has a separate schema, so that the views of several reads don't conflict.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

import duckdb
from msgspec import Struct
from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.files.column_lineage import GUESSED, text_columns
from audience_sync.sources.files.column_origins import Origins
from audience_sync.sources.files.open import OpenFiles, open_files, open_tables_for_sql, with_sql_types
from audience_sync.sources.formats.json import invalid_line
from audience_sync.sources.rows.column_schema import generic_type
from audience_sync.sources.rows.scan import (
    Column,
    Scan,
    SnapshotPart,
    duplicate_column,
    looks_like_data,
    snapshot_part,
    wanted_columns,
)
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.type_inference import stays_text
from audience_sync.sources.sql_errors import DESCRIBE, file_problem, query_problem
from audience_sync.sources.storage.head import sampled_bytes
from audience_sync.sources.storage.locate import FileLocation, FoundFile
from audience_sync.sources.storage.resolve_names import file_words
from audience_sync.sql import Expression, Relation, quote_identifier, quote_literal
from audience_sync.workspace import Workspace, interruptible_query

QUERY_NAME = "the query"
_STRING_LITERAL = r"'(?:[^']|'')+'"
#: A function that reads files, and its first argument: a name, or a list of names.
_FILE_FUNCTION = re.compile(
    rf"(\b(?:read_\w+|parquet_\w+|sniff_csv|glob)\s*\(\s*)({_STRING_LITERAL}|\[\s*{_STRING_LITERAL}(?:\s*,\s*{_STRING_LITERAL})*\s*\])",
    re.IGNORECASE,
)
#: Functions that return a file's content as one value.
_READS_WHOLE_FILE = re.compile(r"read_(text|blob)\b", re.IGNORECASE)
#: A query with this option of DuckDB's functions gets the original paths, which have the folders' values.
_USES_HIVE_OPTION = re.compile(r"\bhive_partitioning\b", re.IGNORECASE)
_PARENTHESIS = re.compile(rb"[()]|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_RAISES_ERROR = re.compile(r"\berror\s*\(", re.IGNORECASE)
_NOT_REPEATABLE = re.compile(
    r"\b(now|today|current_\w+|localtime\w*|get_current\w*|\w*_timestamp|age|random\w*|\w*uuid\w*|shuffle|sample|"
    r"tablesample|getenv|read_\w+|parquet_\w+|sniff_csv|glob)\b",
    re.IGNORECASE,
)


class QueryResult(Struct, frozen=True):
    """The answer of a query. ``columns``: the answer's columns with their generic types."""

    part: SnapshotPart
    errors: ScanErrors
    found: Sequence[FoundFile]
    columns: Mapping[str, str]


def is_repeatable(query: str) -> bool:
    """Whether the same files surely give the same answer: no clock, no randomness, no files outside of views."""
    return not _NOT_REPEATABLE.search(query)


def query_rows(workspace: Workspace, folder: FileLocation, request: SnapshotRequest) -> QueryResult:
    """Open the query's files and create a view of its answer. Raises SourceError with the position or the file."""
    query = _resolve_function_paths(request.query or "", folder, workspace)
    schema = workspace.name("query")
    workspace.run(f"create schema {schema}")
    opened = [
        files for word in file_words(request.query or "") if (files := _open_word(workspace, folder, request, word))
    ]
    origins = _find_text_columns(workspace, query, {each.word: list(each.names.values()) for each in opened}, request)
    read_by = sorted(name for table, name in origins if table == GUESSED)
    query = _read_csv_as_text(query, read_by)
    for each in opened:
        _create_view(workspace, schema, each, each.text_columns(origins))
    try:
        answer = _create_answer_view(workspace, schema, query, wanted_columns(request))
    except duckdb.Error as error:
        texts = list(dict.fromkeys(name for each in opened for name in each.text_columns(origins)))
        headless = any(looks_like_data(each.names) for each in opened)
        raise query_problem(error, folder, headless=headless, texts=texts) from None
    if guessing := [name.split()[0] for name in read_by if not name.startswith("read_csv")]:
        raise SourceError(
            f"the query: its user ids come from {guessing[0]!r}, for which DuckDB guesses types from the rows, so ids "
            "may differ from the file. Nothing of it was used. Name the file as a table (`from 'users.jsonl'`), or "
            "pass `columns = ...` to the function."
        )
    display_names = {path: name for each in opened for path, name in each.files.display_names.items()}
    raises = bool(_RAISES_ERROR.search(query))
    errors = ScanErrors(display_names, what=QUERY_NAME, bad_line=invalid_line, raises=raises)
    placeholders = sorted({text for each in opened for table in each.tables for text in table.placeholders})
    part = snapshot_part(replace(answer, placeholders=tuple(placeholders)), request)
    columns = {name: generic_type(column.type) for name, column in answer.columns.items()}
    return QueryResult(part, errors, [file for each in opened for file in each.found], columns)


def _find_text_columns(
    workspace: Workspace, query: str, tables: Mapping[str, Sequence[str]], request: SnapshotRequest
) -> Origins:
    """The files' columns that become user ids, names or texts; empty for a query that is not a SELECT."""
    ids = [request.user_id, *([request.name] if request.name else [])]
    ids += [trait.column for trait in request.traits.values() if trait.is_id]
    texts = [
        trait.column
        for key, trait in request.traits.items()
        if trait.type == "text" or (trait.type is None and (stays_text(key) or stays_text(trait.column)))
    ]
    tree = json.loads(workspace.one("select json_serialize_sql(?)", [query])[0])
    return frozenset() if tree["error"] else text_columns(tree, tables, ids, texts)


def _read_csv_as_text(query: str, read_by: Sequence[str]) -> str:
    """The query with ``all_varchar`` in calls of ``read_csv`` that ids come from, which would guess types otherwise."""
    text = query.encode()
    starts = sorted((int(name.split()[1]) for name in read_by if name.startswith("read_csv")), reverse=True)
    for start in starts:
        end = _closing_parenthesis(text, start)
        text = text[:end] + b", all_varchar = true" + text[end:]
    return text.decode()


def _closing_parenthesis(text: bytes, start: int) -> int:
    """The position of the closing parenthesis of the call at ``start``."""
    depth = 0
    for part in _PARENTHESIS.finditer(text, start):
        depth += {b"(": 1, b")": -1}.get(part[0], 0)
        if depth == 0 and part[0] == b")":
            return part.start()
    return len(text)


class _OpenedWord(Struct, frozen=True, kw_only=True):
    """The files that one quoted word of a query means, as tables without inferred types.

    ``names``: the SQL name of each column.
    """

    word: str
    found: Sequence[FoundFile]
    files: OpenFiles
    tables: Sequence[Scan]
    names: Mapping[str, str]

    def text_columns(self, origins: Origins) -> list[str]:
        return [name for name, own in self.names.items() if (self.word.lower(), own.lower()) in origins]


def _open_word(workspace: Workspace, folder: FileLocation, request: SnapshotRequest, word: str) -> _OpenedWord | None:
    """The files that a word means; None for a word that DuckDB refuses, with its position in the query."""
    found = folder.find_any(word, workspace, most_bytes=sampled_bytes(request)) if folder.holds(word) else []
    if not found:
        return None
    files = open_files(workspace, found, request)
    try:
        tables = open_tables_for_sql(workspace, files, request)
    except duckdb.Error as error:
        raise files.errors.explain(error) from None
    if not tables:
        raise SourceError(f"{word} has no records, so its columns are unknown. Is it complete?")
    return _OpenedWord(word=word, found=found, files=files, tables=tables, names=_sql_names(list(tables[0].columns)))


def _create_view(workspace: Workspace, schema: str, opened: _OpenedWord, texts: Sequence[str]) -> None:
    """Create a view of the files, with inferred types except for the columns of ``texts``."""
    try:
        tables = with_sql_types(workspace, opened.files, opened.tables, texts)
    except duckdb.Error as error:
        raise opened.files.errors.explain(error) from None
    rows = " union all ".join(_select(table, opened.names) for table in tables)
    try:
        workspace.run(f"create view {schema}.{quote_identifier(opened.word)} as {rows}")
    except duckdb.CatalogException:
        raise SourceError(
            f"the query reads {opened.word!r} and another file whose name differs in case only, which are one name in "
            "SQL. Nothing was read. Rename one of the files."
        ) from None


def _sql_names(names: Sequence[str]) -> Mapping[str, str]:
    """The SQL names of columns. Names that differ only in case are equal in SQL, so each of them gets a number."""
    times = Counter(name.lower() for name in names)
    used = set(times)
    found: dict[str, str] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        own = name if times[name.lower()] == 1 else next(each for each in numbered if each.lower() not in used)
        used.add(own.lower())
        found[name] = own
    return found


def _select(table: Scan, names: Mapping[str, str]) -> str:
    columns = ", ".join(f"{table.columns[name].sql} as {quote_identifier(own)}" for name, own in names.items())
    rows = f" where not ({table.repeated_header})" if table.repeated_header else ""
    return f"select {columns} from {table.scan}{rows}"


def _resolve_function_paths(query: str, folder: FileLocation, workspace: Workspace) -> str:
    """The query with resolved paths in ``read_csv('...')`` and similar functions, relative to the source's folder."""

    def paths(name: str, *, listed: bool, is_whole: bool) -> list[str]:
        if "://" in name:
            return [name]
        found = folder.paths(name) if listed and folder.holds(name) else []
        if not found and is_whole and folder.holds(name) and "://" not in folder.root:
            raise file_problem(name, folder)
        if not found:
            return [str(Path(folder.root).resolve() / name)]
        return [str(workspace.scannable(path.resolve())) for path in found]

    def argument(match: re.Match[str]) -> str:
        listed = not match[1].lower().startswith("glob") and not _USES_HIVE_OPTION.search(query)
        # For a missing file, DuckDB returns no rows here, and every member would leave.
        is_whole = listed and bool(_READS_WHOLE_FILE.match(match[1]))
        names = [text[1:-1].replace("''", "'") for text in re.findall(_STRING_LITERAL, match[2])]
        found = [quote_literal(path) for name in names for path in paths(name, listed=listed, is_whole=is_whole)]
        return match[1] + (found[0] if len(found) == 1 else f"[{', '.join(found)}]")

    return _FILE_FUNCTION.sub(argument, query)


def _create_answer_view(workspace: Workspace, schema: str, query: str, wanted: Sequence[str]) -> Scan:
    """A view of the query's answer.

    Raises duckdb.Error, and SourceError if the query is not one SELECT or its answer has a wanted column twice.
    """
    with workspace.cursor() as cursor, interruptible_query(cursor):
        cursor.execute(f"use {schema}")
        statements = cursor.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SourceError("the query must be one SELECT statement. Nothing was run. Correct it in the config.")
        select = query.rstrip().rstrip(";")
        described = cursor.execute(f"{DESCRIBE}{select}").fetchall()
        aliases = ", ".join(f"c{index}" for index in range(len(described)))
        cursor.execute(f"create view {schema}.answer({aliases}) as\n{select}\n")
    names = Counter(row[0] for row in described)
    for name in wanted:
        if names[name] > 1:
            raise duplicate_column(QUERY_NAME, name)
    columns = {row[0]: Column(Expression(f"c{index}"), row[1]) for index, row in enumerate(described)}
    return Scan(name=QUERY_NAME, scan=Relation(f"{schema}.answer"), columns=columns)
