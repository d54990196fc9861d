"""Compare the store's schema with the program's, and upgrade or downgrade it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, inspect, select, text

from audience_sync.errors import StoreError, StoreNewerError, StoreOutdatedError
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.backup import backup_sqlite
from audience_sync.store.maintenance.grants import read_grants, restore_grants
from audience_sync.store.maintenance.new_file import create_database, create_private_file

if TYPE_CHECKING:
    from alembic.config import Config

    from audience_sync.store.runs.decisions import Decision

#: The newest revision in migrations/. A constant, so that a current store does not load Alembic.
HEAD = "0100"
#: The last revision from before the first release. A store of an older one can't be upgraded.
OLDEST = "0022"
#: Between the statements of the script for SQLite; none of them has an empty line.
SEPARATOR = ";\n\n"


def folder() -> Path:
    """The folder of the migrations: in the package when installed, next to it in a checkout."""
    packaged = Path(__file__).parents[1] / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "migrations"


def is_new(store: Store) -> bool:
    """Whether the store is a SQLite file that does not exist yet."""
    return store.file is not None and not store.file.exists()


def current(store: Store) -> str | None:
    """The store's revision; None if it has no schema yet."""
    if is_new(store):
        return None
    with store.reading() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def ensure(store: Store, *, upgrade_allowed: bool) -> None:
    """Require the program's schema, and upgrade a SQLite store, or any store with ``upgrade_allowed``.

    Raises StoreOutdatedError or StoreNewerError, with the command to run.
    """
    if store.is_sqlite or upgrade_allowed:
        upgrade(store)
    else:
        require_current_schema(store)


def require_current_schema(store: Store) -> None:
    """Raise StoreOutdatedError or StoreNewerError unless the schema is the program's."""
    revision = current(store)
    refuse_newer(store, revision)
    if revision != HEAD:
        state = "has no schema yet" if revision is None else f"has the schema of an older version ({revision})"
        raise StoreOutdatedError(f"The store {store.label} {state}. Nothing was done. Run: audience-sync db upgrade")


def refuse_newer(store: Store, revision: str | None) -> None:
    if revision is not None and revision > HEAD:
        raise StoreNewerError(
            f"The store {store.label} was made by a newer version of audience-sync (schema {revision}; this "
            f"program has {HEAD}). Nothing was done. Install the newer version, or point `store:` elsewhere."
        )


def refuse_older(store: Store, revision: str) -> None:
    if revision < OLDEST:
        raise StoreError(
            f"The store {store.label} has schema {revision}, from before the first release. Nothing was done. "
            f"Upgrade it with a version of audience-sync that has schema {OLDEST}, then with this one: "
            "audience-sync db upgrade"
        )


def upgrade(
    store: Store, *, reason: str | None = None, before_commit: Callable[[Connection], None] | None = None
) -> Path | None:
    """Bring the schema up to date, in one transaction. Returns the backup made of a SQLite store, if any.

    It is recorded as a decision of this process's user, with their ``reason``. Raises RunInProgressError during a run.
    If two processes upgrade at once, the second waits and finds it done. ``before_commit`` is called at the end of the
    transaction of an older store.
    """
    revision = current(store)
    refuse_newer(store, revision)
    if revision == HEAD:
        return None
    if store.file:
        create_database(store.file)
    if revision is None and store.is_sqlite and _create_from_script(store):
        return None
    decision = _decision(revision, reason) if revision else None
    return _run_alembic(store, "upgrade", "head", decision, before_commit)


def sqlite_script() -> Path:
    """The statements of a new SQLite store, which make what all migrations together make: `nox -s schema` writes it."""
    return folder() / f"sqlite_{HEAD}.sql"


def _create_from_script(store: Store) -> bool:
    """Create the schema of a new SQLite store without Alembic, whose import takes longer than everything else.

    Returns whether that was possible: there must be no schema yet, also not one that another process has just made.
    """
    if not sqlite_script().exists():
        return False
    with store.migrating() as connection:
        if inspect(connection).has_table("alembic_version"):
            return False
        for statement in sqlite_script().read_text("utf-8").split(SEPARATOR):
            connection.exec_driver_sql(statement)
        _insert_required_rows(connection)
    return True


def _decision(before: str, reason: str | None) -> Decision:
    from audience_sync.store.runs.decisions import Decision

    return Decision("db upgrade", f"schema {before} to {HEAD}", reason)


def downgrade(store: Store, revision: str) -> None:
    """Downgrade the schema to an older revision (``base`` = no schema). Raises RunInProgressError."""
    _run_alembic(store, "downgrade", revision)


def _run_alembic(
    store: Store,
    direction: str,
    target: str,
    decision: Decision | None = None,
    before_commit: Callable[[Connection], None] | None = None,
) -> Path | None:
    from alembic import command

    from audience_sync.store.connection.lease import acquire_row, release_row

    backup = None
    with store.migrating() as connection:
        before = _revision(connection)
        if direction == "upgrade":
            refuse_newer(store, before)
            if before == HEAD:  # another process was faster
                return None
        token = None
        if before:
            refuse_older(store, before)
            token = acquire_row(connection)
            backup = _back_up(store, before) if direction == "upgrade" else None
        granted = read_grants(connection)
        getattr(command, direction)(alembic_config(connection), target)
        restore_grants(connection, granted)
        _refuse_orphans(store, connection)
        _insert_required_rows(connection)
        if decision is not None:
            from audience_sync.store.runs.decisions import record_decision

            record_decision(connection, decision, ())
        if token is not None and inspect(connection).has_table("lease"):
            release_row(connection, token)
        if before_commit is not None:
            before_commit(connection)
    return backup


def alembic_config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    return config


def _refuse_orphans(store: Store, connection: Connection) -> None:
    if not store.is_sqlite:
        return
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if orphans:
        raise StoreError(
            f"The migration would leave {len(orphans)} rows without the row they refer to (first: {orphans[0]}). "
            "The store is unchanged. Please report this."
        )


def _insert_required_rows(connection: Connection) -> None:
    """Insert the two rows that every store has, if they are missing."""
    from audience_sync.store.tables import installation, lease

    if not inspect(connection).has_table("installation"):
        return
    if connection.execute(select(installation.c.id)).first() is None:
        identity = {"id": 1, "uuid": uuid.uuid4().hex, "created_at": datetime.now(UTC)}
        tables = {"members_table": True, "trait_values_table": True}
        connection.execute(insert(installation).values({**identity, **tables}))
        connection.execute(insert(lease).values(id=1, token=0, holder="", acquired_at=0.0, expires_at=0.0))


def _back_up(store: Store, revision: str) -> Path | None:
    """Copy a SQLite store to a file next to it, while the migration's transaction locks other writers out."""
    if not store.file:
        return None
    backup = store.file.with_name(f"{store.file.name}.before-{HEAD}-from-{revision}")
    create_private_file(backup)
    backup_sqlite(store.file, backup)
    return backup
