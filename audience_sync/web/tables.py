"""Write the rows of a query as CSV or JSON, for every table and chart in the same way."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from starlette.responses import Response

from audience_sync.web.formats import cell, iso

#: A cell that a spreadsheet would run as a formula.
_FORMULA = re.compile(r"\A[=+\-@\t\r]")
_NUMBER = re.compile(r"\A[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\Z")
FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV with a head. Times are in UTC. A text that a spreadsheet would run as a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_harmless(cell(value)) for value in row])
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def json_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A JSON array with an object for each row, one a line. Times as in `--json`."""
    lines = [json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, default=_json) for row in rows]
    return "[" + ",\n".join(lines) + "]\n"


def _json(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def table_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, kind: str) -> str:
    """The rows as text. ``kind``: ``csv`` or ``json``."""
    return (csv_text if kind == "csv" else json_text)(columns, rows)


def table_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, kind: str) -> Response:
    """A file to save. ``kind``: ``csv`` or ``json``. ``name``: of the file, without its ending."""
    text = table_text(columns, rows, kind=kind)
    safe = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "table"
    headers = {"content-disposition": f'attachment; filename="{safe}.{kind}"'}
    return Response(text.encode("utf-8", "backslashreplace"), headers=headers, media_type=FORMATS[kind])
