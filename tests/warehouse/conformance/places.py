"""Engines under test: each with a schema for its tables, and one with the rows that it compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from audience_sync.model import RunId, StateTable
from audience_sync.sources.base import Comparison, SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.warehouse.dialects.base import Dialect, Kind
from audience_sync.sources.warehouse.source import Connect, WarehouseSource
from audience_sync.sql import Query
from audience_sync.workspace import Workspace

SCHEMA, SHOP = "audience_sync", "shop"
STANDARD_TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "varchar",
    Kind.INTEGER: "bigint",
    Kind.DECIMAL: "decimal(38, 2)",
    Kind.DOUBLE: "double precision",
    Kind.DATE: "date",
}
PREFIX = "sync_0a1b2c3d_"


class _NotFetched(Source):
    """Fails if a snapshot is fetched whole."""

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        raise NotImplementedError

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        raise NotImplementedError

    def check(self) -> str:
        return "connected"


@dataclass(frozen=True)
class Place:
    """An engine. ``types``: the types of columns, by their kind. ``create_schema``, ``drop_schema``: its statements."""

    dialect: Dialect
    connect: Connect
    types: Mapping[Kind, str] = field(default_factory=lambda: STANDARD_TYPES)
    create_schema: str = "create schema {}"
    drop_schema: str = "drop schema if exists {} cascade"

    def create_schemas(self) -> None:
        for each in (SCHEMA, SHOP):
            self.run(self.create_schema.format(self.dialect.quote(each)))

    def drop_schemas(self) -> None:
        for each in (SCHEMA, SHOP):
            self.run(self.drop_schema.format(self.dialect.quote(each)))

    @property
    def source(self) -> WarehouseSource:
        return WarehouseSource(_NotFetched(), self.connect)

    def run(self, *statements: str) -> None:
        with self.connect(True) as engine:
            for statement in statements:
                engine.run(Query(statement))

    def make_unusable(self) -> None:
        """Leave no place for tables."""
        self.run(self.drop_schema.format(self.dialect.quote(SCHEMA)))

    def replace(self, table: str, rows: Query) -> None:
        """Replace a table of ours with other rows."""
        with self.connect(True) as engine:
            engine.drop(table)
            engine.create(table, rows)

    def tables(self) -> list[str]:
        """The tables of last snapshots, sorted."""
        with self.connect(False) as engine:
            return sorted(engine.tables(""))

    def write(self, table: str, rows: Iterable[Sequence[Any]], *, kind: Kind = Kind.TEXT, **kinds: Kind) -> str:
        """Write a table anew, and return what stands after FROM. Its column user_id is of the kind."""
        columns = {"user_id": kind} | kinds
        place = self.dialect.place(SHOP, table)
        described = ", ".join(
            f"cast(null as {self.types[each]}) as {self.dialect.quote(name)}" for name, each in columns.items()
        )
        nothing = Query(f"select * from (select {described}) t where 1 = 0")
        values = ", ".join(f"({', '.join(map(self.literal, row))})" for row in rows)
        insert = [f"insert into {place} values {values}"] if values else []
        self.run(f"drop table if exists {place}", self.dialect.create(place, nothing), *insert)
        return place

    def literal(self, value: Any) -> str:
        """A value in SQL."""
        match value:
            case None:
                return "null"
            case str():
                return self.dialect.literal(value)
            case date():
                return f"date '{value.isoformat()}'"
        return str(value)


class Changes(NamedTuple):
    """What a run found: users, or names of audiences with users; and the rows without a valid id, by reason."""

    entered: set[Any]
    left: set[Any]
    invalid: Mapping[str, int]


@dataclass
class Runs:
    """Runs over one audience or `names_from` entry, with the state that the store would keep."""

    place: Place
    workspace: Workspace
    query: str
    name: str | None = None
    run: int = 0
    state: list[StateTable] = field(default_factory=list)

    def sync(self, *, accepts: bool = True, left_out: Sequence[str] = (), other: Iterable[str] = ()) -> Changes:
        """One run. ``left_out``: audiences that a guard holds. ``other``: tables of other entries."""
        self.run += 1
        rows = self._read(RunId(self.run), other)
        assert rows.state is not None
        if accepts:
            self.state = list(rows.state.before)
            if rows.state.new is not None:
                self.state.append(rows.state.new._replace(left_out=tuple(left_out)))
        return self._changes(rows)

    def preview(self) -> Changes:
        return self._changes(self._read(None, ()))

    def _read(self, run: RunId | None, other: Iterable[str]) -> SnapshotRows:
        comparison = Comparison(
            source="warehouse",
            mend="audience-sync resync vip",
            state=tuple(self.state),
            prefix=PREFIX,
            run=run,
            in_use=frozenset({each.name for each in self.state} | set(other)),
        )
        request = SnapshotRequest(user_id="user_id", query=self.query, name=self.name, comparison=comparison)
        return self.place.source.read(self.workspace, request)

    def _changes(self, rows: SnapshotRows) -> Changes:
        keys = "user_id" if self.name is None else "name, user_id"
        entered = self._set(f"select {keys} from ({rows.select}) where user_id is not null")
        left = self._set(f"select {keys} from ({rows.left})") if rows.left is not None else set()
        reasons = Counter(reason for (reason,) in self.workspace.all(f"select reason from ({rows.invalid_rows})"))
        invalid_ids = self.workspace.one(f"select count(*) from ({rows.select}) where user_id is null")[0]
        assert invalid_ids == reasons.total()
        return Changes(entered, left, dict(reasons))

    def _set(self, query: str) -> set[Any]:
        """The rows, of which none is there twice."""
        rows = [row[0] if len(row) == 1 else row for row in self.workspace.all(query)]
        assert len(set(rows)) == len(rows)
        return set(rows)
