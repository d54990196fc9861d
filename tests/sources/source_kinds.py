"""The same user ids in every kind of source."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from audience_sync.sources.base import Source
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource

KINDS = ("csv", "tsv", "jsonl", "json", "parquet", "xlsx", "sqlite", "csv_query", "jsonl_query", "parquet_query")


def source_of(kind: str, folder: Path, ids: Sequence[Any]) -> tuple[Source, dict[str, str]]:
    """A source that holds the ids in the column user_id, and what to ask of it."""
    if kind == "sqlite":
        return DatabaseSource(f"sqlite:///{_sqlite(folder, ids)}"), {"query": "select user_id from members"}
    file_kind = kind.removesuffix("_query")
    name = f"members.{file_kind}"
    _WRITERS[file_kind](folder / name, ids)
    if kind.endswith("_query"):
        return FilesSource(folder), {"query": f"select user_id from '{name}'"}
    return FilesSource(folder), {"file": name}


def _csv(path: Path, ids: Sequence[Any], delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["user_id", "other"], *([user_id, "x"] for user_id in ids)])


def _json_lines(path: Path, ids: Sequence[Any]) -> None:
    lines = [json.dumps({"user_id": user_id}, ensure_ascii=False) for user_id in ids]
    path.write_text("\n".join(lines), encoding="utf-8")


def _json_array(path: Path, ids: Sequence[Any]) -> None:
    path.write_text(json.dumps([{"user_id": user_id} for user_id in ids]), encoding="utf-8")


def _parquet(path: Path, ids: Sequence[Any]) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table members (user_id VARCHAR)")
        connection.executemany("insert into members values (?)", [[user_id] for user_id in ids])
        connection.execute(f"copy members to '{path}' (format parquet)")


def _excel(path: Path, ids: Sequence[Any]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for value in ["user_id", *ids]:
        sheet.append([value, "x"])
        sheet.cell(sheet.max_row, 1).data_type = "s" if isinstance(value, str) else "n"
    book.save(path)


def _sqlite(folder: Path, ids: Sequence[Any]) -> Path:
    path = folder / "members.db"
    connection = sqlite3.connect(path)
    connection.execute("drop table if exists members")
    connection.execute("create table members (user_id)")
    connection.executemany("insert into members values (?)", [[user_id] for user_id in ids])
    connection.commit()
    connection.close()
    return path


_WRITERS = {
    "csv": _csv,
    "tsv": lambda path, ids: _csv(path, ids, "\t"),
    "jsonl": _json_lines,
    "json": _json_array,
    "parquet": _parquet,
    "xlsx": _excel,
}


def write_file(path: Path, row: Mapping[str, str]) -> None:
    """A file with one row of texts, in the format of its name's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = next(kind for kind in sorted(_ONE_ROW, key=len, reverse=True) if path.name.endswith(f".{kind}"))
    _ONE_ROW[kind](path, row)


def _one_text(path: Path, row: Mapping[str, str], delimiter: str = ",") -> None:
    path.write_text(f"{delimiter.join(row)}\n{delimiter.join(row.values())}\n", encoding="utf-8")


def _one_parquet(path: Path, row: Mapping[str, str]) -> None:
    values = ", ".join(f"'{value}' as \"{name}\"" for name, value in row.items())
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(f"copy (select {values}) to '{folder}/made.parquet' (format parquet)")
        path.write_bytes(Path(folder, "made.parquet").read_bytes())


def _one_workbook(path: Path, row: Mapping[str, str]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(list(row))
    book.active.append(list(row.values()))
    book.save(path)


_ONE_ROW: dict[str, Callable[[Path, Mapping[str, str]], object]] = {
    "csv": _one_text,
    "tsv": lambda path, row: _one_text(path, row, "\t"),
    "csv.gz": lambda path, row: path.write_bytes(
        gzip.compress(f"{','.join(row)}\n{','.join(row.values())}\n".encode())
    ),
    "jsonl": lambda path, row: path.write_text(json.dumps(row)),
    "jsonl.gz": lambda path, row: path.write_bytes(gzip.compress(json.dumps(row).encode())),
    "json": lambda path, row: path.write_text(json.dumps([row])),
    "parquet": _one_parquet,
    "xlsx": _one_workbook,
}
