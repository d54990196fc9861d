"""Name the fragments of SQL by what they stand for, and quote names and values in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NewType

#: Where rows come from: what stands after FROM.
Relation = NewType("Relation", str)
#: A value of a row: what stands after SELECT.
Expression = NewType("Expression", str)
#: A condition on a row: what stands after WHERE.
Condition = NewType("Condition", str)
NEVER = Condition("false")
#: A query that can stand in ``from (...)``; it runs at each use.
Query = NewType("Query", str)
#: The name of a table or view in a workspace.
TableName = NewType("TableName", str)

#: Options to read a CSV file that Python wrote. Without ``new_line`` DuckDB might detect a line end within quotes.
WRITTEN_CSV = "header = false, new_line = '\\r\\n'"
#: The longest line that DuckDB reads in a CSV file by default (bytes).
LINE_BYTES = 2_000_000


def quote_identifier(name: str) -> Expression:
    """An SQL identifier."""
    return Expression('"' + name.replace('"', '""') + '"')


def quote_literal(text: str) -> Expression:
    """An SQL string."""
    return Expression("'" + text.replace("'", "''") + "'")


def csv_scan(path: Path, columns: Mapping[str, str], *, delimiter: str = ",", options: str) -> Relation:
    """SQL that reads a CSV file as these columns (names and types); an empty cell is NULL.

    ``options``: more of the options of ``read_csv``.
    """
    types = ", ".join(f"{quote_literal(name)}: {quote_literal(kind)}" for name, kind in columns.items())
    return Relation(
        f"read_csv({quote_literal(str(path))}, auto_detect = false, columns = {{{types}}}, "
        f"delim = {quote_literal(delimiter)}, quote = '\"', escape = '\"', nullstr = '', {options})"
    )
