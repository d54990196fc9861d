"""Copy a store on PostgreSQL into a database of its own on the same server: tables, rows, views and rights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from audience_sync.errors import StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.errors import translated_errors
from audience_sync.store.rehearsal.contents import tables_of
from audience_sync.store.tables.views import VIEW_SCHEMA

#: The longest name of a database in bytes.
LONGEST_NAME = 63
SUFFIX = "_rehearsal"
_PLACE = (
    "select n.nspname, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, current_user "
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_database d "
    "where c.oid = to_regclass('alembic_version') and d.datname = current_database()"
)
#: The ids of the store's tables, or of its tables and views.
_TABLES = (
    "(select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where c.relkind = 'r' and n.nspname = :place and c.relname = any(:tables))"
)
#: With views that others have made of the store's: they can keep the upgrade from dropping what they read.
_VIEWS = (
    "(with recursive found(id) as (select unnest(array(select oid from pg_class where oid in " + _TABLES + ")) "
    "union select r.ev_class from found f join pg_depend d on d.refobjid = f.id "
    "and d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass "
    "join pg_rewrite r on r.oid = d.objid where r.ev_class <> f.id) "
    "select c.oid from found join pg_class c on c.oid = id where c.relkind in ('v', 'm'))"
)
_OWNS_ALL = f"select bool_and(pg_has_role(relowner, 'usage')), current_user from pg_class where oid in {_TABLES}"
_SEQUENCES = (
    "select format('create sequence %I.%I', n.nspname, s.relname), "
    "format('alter sequence %I.%I owned by %I.%I.%I', n.nspname, s.relname, n.nspname, c.relname, a.attname), "
    "format('%I.%I', n.nspname, s.relname) "
    "from pg_class s join pg_depend d on d.objid = s.oid and d.deptype = 'a' and d.classid = 'pg_class'::regclass "
    "join pg_class c on c.oid = d.refobjid join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid "
    f"join pg_namespace n on n.oid = s.relnamespace where s.relkind = 'S' and c.oid in {_TABLES}"
)
_CREATE_TABLES = (
    "select format('create table %I.%I (%s)', n.nspname, c.relname, string_agg("
    "format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)) "
    "|| coalesce(' collate ' || nullif(a.attcollation, t.typcollation)::regcollation, '') "
    "|| coalesce(' default ' || pg_get_expr(f.adbin, f.adrelid), '') "
    "|| case when a.attnotnull then ' not null' else '' end, ', ' order by a.attnum)) "
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
    "join pg_type t on t.oid = a.atttypid left join pg_attrdef f on f.adrelid = c.oid and f.adnum = a.attnum "
    f"where c.oid in {_TABLES} group by n.nspname, c.relname"
)
_TABLE_NAMES = (
    "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    f"where c.oid in {_TABLES}"
)
#: Keys to other tables last, and each index that is not a constraint's own.
_CONSTRAINTS = (
    "select format('alter table %s add constraint %I %s', k.conrelid::regclass, k.conname, "
    "pg_get_constraintdef(k.oid)) from pg_constraint k "
    f"where k.contype in ('p', 'u', 'c', 'f') and k.conrelid in {_TABLES} order by k.contype = 'f', k.oid"
)
_INDEXES = (
    "select pg_get_indexdef(i.indexrelid) from pg_index i "
    f"where i.indrelid in {_TABLES} and not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid)"
)
#: Those of others are copied as their name on a column of the store: what they read besides is not copied.
_CREATE_VIEWS = (
    "select n.nspname, format('create view %I.%I as ', n.nspname, c.relname) || case "
    "when n.nspname in (:place, :views) then pg_get_viewdef(c.oid) else (select format('select * from %s', "
    "min(d.refobjid)::regclass) from pg_rewrite r join pg_depend d on d.objid = r.oid and d.refclassid = "
    f"'pg_class'::regclass and (d.refobjid in {_TABLES} or d.refobjid in {_VIEWS}) and d.refobjid <> c.oid "
    "where r.ev_class = c.oid) end from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    f"where c.oid in {_VIEWS} order by c.oid"
)
_GRANTS = (
    "select format('grant %s on %s%s to %s', a.privilege_type, case c.relkind when 'S' then 'sequence ' else '' end, "
    "c.oid::regclass, case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end) "
    "from pg_class c, aclexplode(c.relacl) a where a.grantee <> c.relowner "
    f"and (c.oid in {_TABLES} or c.oid in {_VIEWS} or c.oid in (select d.objid from pg_depend d "
    f"where d.deptype = 'a' and d.classid = 'pg_class'::regclass and d.refobjid in {_TABLES}))"
)


@contextmanager
def copied_database(store: Store, revision: str) -> Iterator[str]:
    """The URL of a new database with a copy of the store as of one moment; it is dropped at the end.

    Raises StoreError if the role may not create a database, or does not own the tables: it could not upgrade them.
    """
    names = {"tables": list(tables_of(revision)), "views": VIEW_SCHEMA}
    with store.reading() as connection:
        place, encoding, collation, characters, role = connection.execute(text(_PLACE)).one()
        names["place"] = place
        is_owner, _ = connection.execute(text(_OWNS_ALL), names).one()
    if not is_owner:
        raise StoreError(
            f"The role {role} does not own the tables of {store.label}, so it could not upgrade them. Nothing was "
            "done. Rehearse as their owner."
        )
    database = _name(str(store.url.database))
    options = f"template template0 encoding '{encoding}' lc_collate '{collation}' lc_ctype '{characters}'"
    _create(store, database, role, options)
    try:
        url = store.url.set(database=database)
        if place != "public":
            url = url.update_query_dict({"options": f"-csearch_path={place}"})
        address = url.render_as_string(hide_password=False)
        with closing(Store(address)) as copy:
            _copy(store, copy, names)
        yield address
    finally:
        _execute(store, f'drop database "{database}" with (force)')


def _name(database: str) -> str:
    room = LONGEST_NAME - len(SUFFIX)
    return database.encode()[:room].decode("utf-8", "ignore").replace('"', "") + SUFFIX


def _create(store: Store, database: str, role: str, options: str) -> None:
    try:
        with store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f'create database "{database}" {options}')
            connection.exec_driver_sql(f'revoke all on database "{database}" from public')
    except ProgrammingError as error:
        state = getattr(error.orig, "sqlstate", "")
        if state == "42501":
            raise StoreError(
                f"The role {role} may not create a database, and the rehearsal upgrades a copy in one of its own. "
                f"Nothing was done. Allow it, as a superuser: alter role {role} createdb"
            ) from None
        if state == "42P04":
            raise StoreError(
                f"The database {database} exists already: another rehearsal is in progress, or one was killed. Nothing "
                f'was done. If none is in progress: drop database "{database}" with (force)'
            ) from None
        raise _failed(store, error) from None
    except SQLAlchemyError as error:
        raise _failed(store, error) from None


def _failed(store: Store, error: Exception) -> StoreError:
    try:
        with translated_errors(store):
            raise error
    except StoreError as translated:
        return translated


def _execute(store: Store, statement: str) -> None:
    with (
        translated_errors(store),
        store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection,
    ):
        connection.exec_driver_sql(statement)


def _copy(store: Store, copy: Store, names: dict[str, Any]) -> None:
    """Copy everything, as of one moment; runs continue meanwhile."""
    frozen = store.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with translated_errors(store), frozen.connect() as reading, copy.writing() as writing:
        # Names in the statements are then written in full.
        reading.exec_driver_sql("set local search_path = pg_catalog")
        writing.exec_driver_sql("set local search_path = pg_catalog")
        sequences = _read(reading, _SEQUENCES, names)
        views = _read(reading, _CREATE_VIEWS, names)
        for schema in sorted({names["place"], *(schema for schema, _ in views)}):
            writing.exec_driver_sql(f'create schema if not exists "{schema}"')
        _write(writing, [create for create, _, _ in sequences])
        _write(writing, [create for (create,) in _read(reading, _CREATE_TABLES, names)])
        for (table,) in _read(reading, _TABLE_NAMES, names):
            _copy_rows(reading, writing, table)
        for _, own, sequence in sequences:
            last, is_called = reading.exec_driver_sql(f"select last_value, is_called from {sequence}").one()
            _write(writing, [own, f"select setval('{sequence}', {last}, {is_called})"])
        for query in (_CONSTRAINTS, _INDEXES):
            _write(writing, [each for (each,) in _read(reading, query, names)])
        _write(writing, [create for _, create in views])
        _write(writing, [grant for (grant,) in _read(reading, _GRANTS, names)])
        _copy_schema_rights(reading, writing)


def _read(connection: Connection, query: str, names: dict[str, Any]) -> Sequence[Any]:
    return connection.execute(text(query), names).all()


def _write(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _copy_rows(reading: Connection, writing: Connection, table: str) -> None:
    source: Any = reading.connection.cursor()
    target: Any = writing.connection.cursor()
    with (
        source,
        target,
        source.copy(f"copy {table} to stdout (format binary)") as rows,
        target.copy(f"copy {table} from stdin (format binary)") as copied,
    ):
        for block in rows:
            copied.write(block)


def _copy_schema_rights(reading: Connection, writing: Connection) -> None:
    rights = text(
        "select format('grant %s on schema %I to %s', a.privilege_type, n.nspname, "
        "case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end) "
        "from pg_namespace n, aclexplode(n.nspacl) a "
        f"where n.nspname = '{VIEW_SCHEMA}' and a.grantee <> n.nspowner"
    )
    _write(writing, [grant for (grant,) in reading.execute(rights).all()])
