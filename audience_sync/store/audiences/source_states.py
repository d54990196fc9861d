"""Keep the names of the tables in warehouses that have the last snapshots, and what else is known of those."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, exists, insert, select

from audience_sync.model import StateTable
from audience_sync.sql import TableName
from audience_sync.store.tables import claimed_users, properties, source_states
from audience_sync.workspace import Workspace

_BASE, _DELTA = "base", "delta"


def read_state(connection: Connection, subject: str, source: str) -> tuple[StateTable, ...]:
    """The tables of one audience, `names_from` entry or entry of computed traits, the base first.

    None if it has no state in this source.
    """
    mine = (source_states.c.subject == subject) & (source_states.c.source == source)
    rows = connection.execute(select(source_states).where(mine).order_by(source_states.c.id)).all()
    return tuple(
        StateTable(row.table_name, row.kind == _BASE, row.row_count, _listed(row.left_out), _listed(row.reread))
        for row in rows
    )


def read_table_names(connection: Connection, source: str) -> frozenset[str]:
    """The names of all tables in a source's schema that are still of use."""
    names = select(source_states.c.table_name).where(source_states.c.source == source)
    return frozenset(connection.execute(names).scalars())


def read_sources(connection: Connection) -> list[str]:
    """The sources that keep last snapshots, sorted."""
    return list(connection.execute(select(source_states.c.source).distinct().order_by("source")).scalars())


def save_state(connection: Connection, subject: str, source: str, tables: Sequence[StateTable]) -> None:
    """Replace the tables of one subject (see ``read_state``)."""
    connection.execute(delete(source_states).where(source_states.c.subject == subject))
    rows = [
        {
            "subject": subject,
            "source": source,
            "kind": _BASE if each.is_base else _DELTA,
            "table_name": each.name,
            "row_count": each.rows,
            "left_out": _json(each.left_out),
            "reread": _json(each.reread),
        }
        for each in tables
    ]
    if rows:
        connection.execute(insert(source_states), rows)


def keep_states(connection: Connection, subjects: Collection[str]) -> None:
    """Forget the tables of all others, so that a later run compares everything. The tables are dropped then."""
    connection.execute(delete(source_states).where(source_states.c.subject.not_in(list(subjects))))
    kept = select(properties.c.id).where(properties.c.key.in_(list(subjects)))
    connection.execute(delete(claimed_users).where(claimed_users.c.property_id.not_in(kept)))


def forget_states(connection: Connection) -> None:
    """Forget all tables, so that the next run compares everything."""
    connection.execute(delete(source_states))
    connection.execute(delete(claimed_users))


def read_claimed(connection: Connection, workspace: Workspace, key: str) -> TableName | None:
    """Load the users of an audience's last snapshot who belonged to an earlier audience of its priority group.

    Returns a table with ``user_id``; None without any.
    """
    mine = claimed_users.c.property_id == select(properties.c.id).where(properties.c.key == key).scalar_subquery()
    if not connection.execute(select(exists().where(mine))).scalar():
        return None
    query = select(claimed_users.c.user_id).where(mine)
    rows = connection.execution_options(yield_per=10_000).execute(query).partitions()
    return workspace.load({"user_id": "varchar"}, rows)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text or "[]"))


def _json(names: Sequence[str]) -> str | None:
    return json.dumps(names, ensure_ascii=False) if names else None
