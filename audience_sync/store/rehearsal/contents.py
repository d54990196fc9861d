"""Sum up what a store has, before and after an upgrade: its tables, its views, its members and its trait values.

The tables and views of an older schema are read under its own names, and summed up under those of this program.
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Inspector, inspect, select, text

from audience_sync.model import PropertyKind
from audience_sync.store.maintenance import migrate
from audience_sync.store.maintenance.checksum import count_and_checksum
from audience_sync.store.snapshots.chain import Chain, current_rows_query
from audience_sync.store.snapshots.files import download_chain
from audience_sync.store.tables import VIEWS, lease, metadata, properties, view_prefix
from audience_sync.workspace import Workspace

#: Rows in memory at once; the bytes of snapshots are megabytes each.
BATCH, LARGE_BATCH = 1_000, 1
#: How the files of snapshots are read before an upgrade, where their tables had other names.
SNAPSHOTS_0022 = {
    "snapshot_files": "select id, chain_id, kind, run_id, row_count, bytes, checksum, null as object_url from segments",
    "snapshot_file_chunks": "select segment_id as file_id, number, body as content from segment_parts",
}


class Part(Struct, frozen=True):
    """Rows, and a checksum of their values in any order."""

    rows: int
    checksum: str


class Relation(Struct, frozen=True):
    """A table or view. ``columns``: pairs of a column's present name and its SQL in the older schema. ``where``: a
    condition, in the older schema and in this one."""

    name: str
    columns: Sequence[tuple[str, str]]
    where: str = "true"


class Layout(Struct, frozen=True):
    """The tables and views that a store had before an upgrade, by their present names."""

    tables: Mapping[str, Relation]
    views: Mapping[str, Relation]
    has_schema_0022: bool


class Contents(Struct, frozen=True):
    """The sums of a store. A table or view that does not exist is missing. ``lost``: columns that do not exist."""

    tables: Mapping[str, Part]
    views: Mapping[str, Part]
    snapshots: Mapping[tuple[str, ...], Part]
    kinds: Mapping[tuple[str, ...], PropertyKind]
    lost: Sequence[str] = ()


def tables_of(revision: str) -> tuple[str, ...]:
    """The names of the tables of a schema, from ``alembic_version`` on."""
    tables = _moved()["TABLES"].values() if revision == migrate.OLDEST else metadata.tables
    return ("alembic_version", *tables)


def layout_of(connection: Connection, revision: str) -> Layout:
    """The layout of a store with this schema, which may be the program's."""
    inspector, moved = inspect(connection), _moved() if revision == migrate.OLDEST else {}
    schema = None if moved else view_prefix(connection).removesuffix(".") or None
    names = moved.get("TABLES", {name: name for name in metadata.tables})
    there = set(inspector.get_table_names())
    tables = {
        new: Relation(old, _columns(new, inspector.get_columns(old), moved))
        for new, old in names.items()
        if old in there and new != lease.name
    }
    renamed = moved.get("RENAMED_VIEWS", {})
    found = inspector.get_view_names(schema)
    views = {
        renamed.get(old, old): Relation(
            old if schema is None else f"{schema}.{old}",
            [(each["name"], f'"{each["name"]}"') for each in inspector.get_columns(old, schema)],
            moved.get("SAME_ROWS", {}).get(old, "true"),
        )
        for old in (moved.get("VIEWS") or VIEWS)
        if old in found
    }
    return Layout(tables, views, bool(moved))


def _moved() -> dict[str, Any]:
    """The names of schema 0022, as its migration has them."""
    return runpy.run_path(str(migrate.folder() / "store_0022.py"))


def _columns(table: str, columns: Sequence[Any], moved: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The columns of a table in the older schema. One that has no counterpart stands for itself, and will be lost."""
    others = {new: old for new, old in moved.get("COLUMNS", {}).get(table, {}).items() if old != "null"}
    names = [each["name"] for each in columns]
    used = set(others.values())
    plain = [(name, f'"{name}"') for name in names if name not in others and name not in used]
    return [*plain, *others.items()]


def read_contents(connection: Connection, workspace: Workspace, layout: Layout, *, older: bool) -> Contents:
    """The sums of a store. ``older``: it has the schema of the layout, and is not upgraded yet.

    Raises StoreDamagedError for a damaged snapshot.
    """
    lost = list[str]()
    tables, views = layout.tables, layout.views
    if not older:
        inspector, schema = inspect(connection), view_prefix(connection).removesuffix(".") or None
        tables = dict(_present(inspector, layout.tables, None, lost))
        views = dict(_present(inspector, layout.views, schema, lost))
    with _snapshots_by_present_names(connection, needed=older and layout.has_schema_0022):
        found = dict(_read_snapshots(connection, workspace))
    return Contents(
        {name: _sum(connection, each) for name, each in tables.items()},
        {name: _sum(connection, each) for name, each in views.items()},
        {chain.keys: part for chain, part in found.items()},
        {chain.keys: chain.kind for chain in found},
        lost,
    )


def count_new_tables(connection: Connection, layout: Layout) -> dict[str, int]:
    """The rows of the tables that the older schema did not have."""
    new = [name for name in inspect(connection).get_table_names() if name in metadata.tables]
    return {
        name: int(connection.execute(text(f"select count(*) from {name}")).scalar_one())
        for name in new
        if name not in layout.tables and name != lease.name
    }


def _present(
    inspector: Inspector, relations: Mapping[str, Relation], schema: str | None, lost: list[str]
) -> Iterator[tuple[str, Relation]]:
    """The relations of an upgraded store, with the columns that it still has; those that it has not are ``lost``."""
    for name, each in relations.items():
        if not inspector.has_table(name, schema=schema):
            continue
        there = {column["name"] for column in inspector.get_columns(name, schema)}
        lost += [f"{name}.{new}" for new, _ in each.columns if new not in there]
        columns = [(new, f'"{new}"') for new, _ in each.columns if new in there]
        yield name, Relation(name if schema is None else f"{schema}.{name}", columns, each.where)


def _sum(connection: Connection, relation: Relation) -> Part:
    size = LARGE_BATCH if any(new == "content" for new, _ in relation.columns) else BATCH
    query = f"select {', '.join(sql for _, sql in relation.columns)} from {relation.name} where {relation.where}"
    with connection.execute(text(query).execution_options(yield_per=size)) as rows:
        count, checksum = count_and_checksum(rows)
    return Part(count, f"{checksum:032x}")


@contextmanager
def _snapshots_by_present_names(connection: Connection, *, needed: bool) -> Iterator[None]:
    views = SNAPSHOTS_0022 if needed else {}
    for name, query in views.items():
        connection.execute(text(f"create temp view {name} as {query}"))
    yield
    for name in views:
        connection.execute(text(f"drop view {name}"))


def _read_snapshots(connection: Connection, workspace: Workspace) -> Iterator[tuple[Chain, Part]]:
    """Each audience's members, and the values of traits created together, in any files."""
    query = select(properties.c.chain_id, properties.c.kind, properties.c.key).order_by(properties.c.id)
    keys = dict[tuple[int, str], list[str]]()
    for row in connection.execute(query).all():
        keys.setdefault((row.chain_id, row.kind), []).append(row.key)
    for (number, kind), names in keys.items():
        chain = Chain(id=number, kind=PropertyKind(kind), keys=tuple(names), user_count=0)
        whole = download_chain(connection, workspace, chain)
        rows = current_rows_query(whole)
        count, digest = workspace.one(f"select count(*), bit_xor(md5_number(row::varchar)) from ({rows}) row")
        if chain.kind is not PropertyKind.AUDIENCE:
            values = " + ".join(f"count({column})" for column in chain.columns)
            (count,) = workspace.one(f"select {values} from ({rows})")
        for each in whole.files:
            if each.object_url is None:  # an object is read again after the upgrade
                each.path.unlink()
        yield chain, Part(int(count), f"{int(digest or 0):032x}")
