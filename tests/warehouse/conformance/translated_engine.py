"""Compare in DuckDB by the SQL of a warehouse that we can't run: sqlglot parses each statement and translates it."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import sqlglot
from sqlglot import exp

from audience_sync.sources.warehouse.comparison_sql import subquery
from audience_sync.sources.warehouse.engine import Row
from audience_sync.sql import Query

from .duckdb_engine import DuckDB, DuckDBEngine


class TranslatedEngine(DuckDBEngine):
    """A cursor of DuckDB. Statements, and the types of columns, are those of another warehouse."""

    @property
    def _language(self) -> str:
        return type(self.dialect).__name__.lower()

    def _translated(self, statement: str) -> Query:
        [parsed] = sqlglot.parse(statement, read=self._language)
        assert not isinstance(parsed, (exp.Command, type(None))), statement  # a statement that was not understood
        _translate_rest(parsed)
        return Query(parsed.sql("duckdb"))

    def columns(self, query: str) -> Sequence[tuple[str, str]]:
        described = super().columns(self._translated(f"select * from {subquery(query)}"))
        return [(name, exp.DataType.build(kind, dialect="duckdb").sql(self._language)) for name, kind in described]

    def stream(self, query: Query) -> Generator[Sequence[Row], None, None]:
        return super().stream(self._translated(query))

    def run(self, statement: Query) -> None:
        super().run(self._translated(statement))

    def tables(self, prefix: str) -> set[str]:
        """DuckDB's own list: catalogs have other places in each warehouse."""
        batches = super().stream(DuckDB().tables(self.schema, prefix))
        return {name for rows in batches for (name,) in rows}


def _translate_rest(statement: exp.Expr) -> None:
    """What sqlglot does not translate: the length of a text in bytes, and collations, since DuckDB compares bytes."""
    for collated in list(statement.find_all(exp.Collate)):
        collated.replace(collated.this)
    for node in list(statement.find_all(exp.ByteLength, exp.Anonymous, exp.Length)):
        match node:
            case exp.ByteLength(this=text) | exp.Anonymous(this="octet_length", expressions=[text]):
                node.replace(exp.func("strlen", text))
            case exp.Length(this=exp.Encode(this=text)):
                node.replace(exp.func("strlen", text))
