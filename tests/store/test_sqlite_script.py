"""A new SQLite store is made by a script, which makes what the migrations make.

If the schema has changed: `nox -s schema` writes the script again.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from sqlalchemy import Row, inspect, select, text

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import installation

OBJECTS = text("select type, name, tbl_name, sql from sqlite_master order by rowid")
CREATES = """
import sys
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
migrate.upgrade(Store(sys.argv[1]))
assert "alembic" not in sys.modules
"""


def schema(store: Store) -> Sequence[Row[tuple[str, str, str, str | None]]]:
    with store.reading() as connection:
        return connection.execute(OBJECTS).all()


def run_migrations(store: Store) -> None:
    with store.migrating() as connection:
        command.upgrade(migrate.alembic_config(connection), "head")


def script(store: Store) -> str:
    """The script that makes the schema of a store, with its revision."""
    statements = [row.sql for row in schema(store) if row.sql is not None]
    stamp = f"insert into alembic_version values ('{migrate.current(store)}');\n"
    return migrate.SEPARATOR.join([*statements, stamp])


def test_the_script_makes_what_the_migrations_make(new_store: Callable[..., Store]) -> None:
    migrated, created = new_store("sqlite"), new_store("sqlite")
    run_migrations(migrated)
    migrate.upgrade(created)
    assert script(migrated) == migrate.sqlite_script().read_text("utf-8"), "the schema has changed: nox -s schema"
    assert schema(created) == schema(migrated)
    assert migrate.current(created) == migrate.current(migrated) == migrate.HEAD


def test_a_new_store_needs_no_alembic(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CREATES, f"sqlite:///{tmp_path}/store.db"], capture_output=True)
    assert done.stderr == b""


def test_without_the_script_the_migrations_make_the_store(
    new_store: Callable[..., Store], next_version: Callable[[str], None]
) -> None:
    """Somebody has added a migration and not written the script again."""
    next_version("\n    op.execute('create table extra (id integer)')")
    store = new_store("sqlite")
    migrate.upgrade(store)
    assert migrate.current(store) == migrate.HEAD
    with store.reading() as connection:
        assert inspect(connection).has_table("extra")
        assert len(connection.execute(select(installation.c.uuid)).all()) == 1


def main() -> None:
    """Write the script of the schema that the migrations of this tree make."""
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/store.db")
        run_migrations(store)
        migrate.sqlite_script().write_text(script(store), "utf-8")
        store.close()
    print(migrate.sqlite_script())


if __name__ == "__main__":
    main()
