"""Run a query over files: each file is a view of the same name, with types that lose nothing.

DuckDB would open ``'orders.csv'`` itself and turn the id ``007`` into 7; a view of that name has priority. Each read
has a separate schema, so that the views of several reads don't conflict.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import duckdb

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.files.column_lineage import GUESSED, Origins, text_columns
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
from audience_sync.sources.storage.locate import FileLocation, FoundFile
from audience_sync.sources.storage.resolve_names import file_words
from audience_sync.workspace import Workspace, interruptible_query, quote_identifier, quote_literal

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


@dataclass(frozen=True, slots=True)
class QueryResult:
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
    views = Views(workspace, folder, request, schema)
    for word in file_words(request.query or ""):
        views.open(word)
    texts = _find_text_columns(workspace, query, views.columns, request)
    read_by = sorted(name for table, name in texts if table == GUESSED)
    query = _read_csv_as_text(query, read_by)
    views.create(texts)
    try:
        answer = _create_answer_view(workspace, schema, query, wanted_columns(request))
    except duckdb.Error as error:
        raise query_problem(error, folder, headless=views.headless, texts=views.texts) from None
    if guessing := [name.split()[0] for name in read_by if not name.startswith("read_csv")]:
        raise SourceError(
            f"the query: its user ids come from {guessing[0]!r}, for which DuckDB guesses types from the rows, so ids "
            "may differ from the file. Nothing of it was used. Name the file as a table (`from 'users.jsonl'`), or "
            "pass `columns = ...` to the function."
        )
    raises = bool(_RAISES_ERROR.search(query))
    problems = ScanErrors(views.names, what=QUERY_NAME, bad_line=invalid_line, raises=raises)
    columns = {name: generic_type(column.type) for name, column in answer.columns.items()}
    part = snapshot_part(replace(answer, placeholders=tuple(sorted(views.placeholders))), request)
    return QueryResult(part, problems, views.found, columns)


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


@dataclass(frozen=True, slots=True)
class _OpenedWord:
    """The files that one quoted word of a query means, as tables without inferred types."""

    word: str
    files: OpenFiles
    tables: Sequence[Scan]
    names: Mapping[str, str]


class Views:
    """The views of one read, one for each word of the query that means files.

    ``headless``: one file has values instead of names in its first row. ``texts``: columns that are text because they
    become ids. ``placeholders``: those that the files' texts may contain.
    """

    def __init__(self, workspace: Workspace, folder: FileLocation, request: SnapshotRequest, schema: str) -> None:
        self._workspace, self._folder, self._wanted, self._schema = workspace, folder, request, schema
        self._opened: list[_OpenedWord] = []
        self.found: list[FoundFile] = []
        self.names: dict[str, str] = {}
        self.texts: list[str] = []
        self.headless = False
        self.placeholders: set[str] = set()

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """The SQL names of columns, by file."""
        return {each.word: list(each.names.values()) for each in self._opened}

    def open(self, word: str) -> None:
        # DuckDB refuses other words, with their position in the query.
        found = self._folder.find_any(word, self._workspace) if self._folder.holds(word) else []
        if not found:
            return
        files = open_files(self._workspace, found, self._wanted)
        self.names |= files.display_names
        self.found += found
        try:
            tables = open_tables_for_sql(self._workspace, files, self._wanted.sheet)
        except duckdb.Error as error:
            raise files.errors.explain(error) from None
        self.placeholders.update(*(table.placeholders for table in tables))
        if not tables:
            raise SourceError(f"{word} has no records, so its columns are unknown. Is it complete?")
        names = list(tables[0].columns)
        self.headless |= looks_like_data(names)
        self._opened.append(_OpenedWord(word, files, tables, _sql_names(names)))

    def create(self, texts: Origins) -> None:
        """Create the views, with inferred types except for the columns of ``texts``."""
        for each in self._opened:
            text = [name for name, own in each.names.items() if (each.word.lower(), own.lower()) in texts]
            self.texts += [name for name in text if name not in self.texts]
            try:
                tables = with_sql_types(self._workspace, each.files, each.tables, text)
            except duckdb.Error as error:
                raise each.files.errors.explain(error) from None
            rows = " union all ".join(_select(table, each.names) for table in tables)
            try:
                self._workspace.run(f"create view {self._schema}.{quote_identifier(each.word)} as {rows}")
            except duckdb.CatalogException:
                raise SourceError(
                    f"the query reads {each.word!r} and another file whose name differs in case only, which are one "
                    "name in SQL. Nothing was read. Rename one of the files."
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
    with workspace.cursor() as cursor, interruptible_query():
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
    columns = {row[0]: Column(f"c{index}", row[1]) for index, row in enumerate(described)}
    return Scan(name=QUERY_NAME, scan=f"{schema}.answer", columns=columns)
