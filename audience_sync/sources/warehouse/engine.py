"""Define the interface of what a comparison runs on: one connection to a place that keeps the last snapshots.

To add an engine: a subclass of ``Engine``, a function that connects it for ``WarehouseSource``, and a fixture of
`tests/warehouse/conformance`, whose cases it then has to pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain, islice
from typing import Any

from audience_sync.errors import SourceError
from audience_sync.sources.warehouse.dialects.base import Dialect
from audience_sync.sql import Query, Relation, TableName
from audience_sync.workspace import Workspace

Row = Sequence[Any]


class Engine(ABC):
    """A connection, and the schema in which it keeps tables.

    Operations raise the driver's errors. ``errors`` are their types, and ``explaining`` translates them.
    """

    errors: tuple[type[Exception], ...]
    #: Whether ``tables`` has the tables without rows.
    lists_empty: bool = True
    #: Whether ``load`` keeps the types of a query's columns. Else values are those of Python.
    loads_types: bool = False

    def __init__(self, dialect: Dialect, schema: str) -> None:
        self.dialect, self.schema = dialect, schema

    @abstractmethod
    def columns(self, query: str) -> Sequence[tuple[str, str]]:
        """Names and types of a query's columns. No row is read."""

    @abstractmethod
    def stream(self, query: Query) -> Generator[Sequence[Row], None, None]:
        """The rows of a query in batches, of which few are in memory."""

    @abstractmethod
    def run(self, statement: Query) -> None:
        """Run a statement without an answer. What it did is durable then; after an error others can follow."""

    @abstractmethod
    def problem(self, what: str, error: Exception, remedy: str, query: str | None = None) -> SourceError:
        """The error for one of the driver's, without secrets. ``query``: the part of it that a person wrote."""

    @property
    def label(self) -> str:
        """The schema, in messages."""
        return f"schema {self.schema}"

    def label_of(self, table: str) -> str:
        """A table of ours, in messages."""
        return f"{self.schema}.{table}"

    def place(self, table: str) -> Relation:
        """What stands after FROM for a table of ours."""
        return self.dialect.place(self.schema, table)

    def tables(self, prefix: str) -> set[str]:
        """Our tables whose names begin with a prefix."""
        return {name for (name,) in self.rows(self.dialect.tables(self.schema, prefix))}

    def create(self, table: str, rows: Query) -> None:
        """Create a table of these rows. Raises an error if there is one of this name."""
        self.run(self.dialect.create(self.place(table), rows))

    def drop(self, table: str) -> None:
        """Drop a table. Where readers would keep it waiting, it raises an error soon."""
        self.run(self.dialect.drop(self.place(table)))

    def load(self, workspace: Workspace, rows: Query, columns: Mapping[str, str]) -> TableName:
        """Load the rows of a query into a table of the workspace. ``columns``: names and DuckDB's types."""
        return workspace.load(columns, self.stream(rows))

    def missing_right(self) -> str:
        """What an administrator has to do so that this user may create, read and drop tables."""
        ((grantee,),) = self.rows(self.dialect.grantee)
        return f"An administrator has to run: {self.dialect.grants(self.schema, grantee)}"

    def rows(self, query: Query, limit: int | None = None) -> list[Row]:
        """The first rows of a query, or all of them."""
        with closing(self.stream(query)) as batches:
            return list(islice(chain.from_iterable(batches), limit))

    @contextmanager
    def explaining(self, what: str, remedy: str, query: str | None = None) -> Iterator[None]:
        """Raise SourceError for the driver's errors."""
        try:
            yield
        except self.errors as error:
            raise self.problem(what, error, remedy, query) from None
