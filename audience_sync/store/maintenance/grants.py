"""Keep the rights of other PostgreSQL roles on the views through a migration; a SQLite file has one owner."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, inspect, text

from audience_sync.store.tables import metadata
from audience_sync.store.tables.views import VIEW_SCHEMA

#: The rights of other roles on the views: the view's name, and the statement that grants the right.
_VIEW_GRANTS = text(
    "select c.relname, format('grant %s on %I.%I to %s', a.privilege_type, n.nspname, c.relname, "
    "case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end) "
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a "
    f"where c.relkind = 'v' and n.nspname = '{VIEW_SCHEMA}' and a.grantee <> c.relowner"
)
_OWNS_TABLES = text(
    "select coalesce(bool_and(pg_has_role(relowner, 'usage')), true) from pg_class "
    "where relkind = 'r' and pg_table_is_visible(oid) and relname in :names"
).bindparams(bindparam("names", expanding=True))


def read_grants(connection: Connection) -> Sequence[tuple[str, str]]:
    """The rights on views, which a migration may drop and create again: view names and grant statements."""
    if connection.dialect.name != "postgresql":
        return []
    return [(row[0], row[1]) for row in connection.execute(_VIEW_GRANTS)]


def restore_grants(connection: Connection, granted: Sequence[tuple[str, str]]) -> None:
    """Grant the rights again on the views that still exist."""
    there = set(inspect(connection).get_view_names(VIEW_SCHEMA)) if granted else set()
    for view, statement in granted:
        if view in there:
            connection.exec_driver_sql(statement)


def is_owner(connection: Connection) -> bool:
    """Whether this role owns all tables, so that VACUUM skips none."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(_OWNS_TABLES, {"names": list(metadata.tables)}).scalar())
