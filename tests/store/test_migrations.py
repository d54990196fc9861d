"""A store becomes what the program expects, with everything that was in it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from audience_sync.errors import StoreNewerError, StoreOutdatedError
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import VIEWS, installation, lease, metadata

from .examples import table_and_view_names

ROOT = Path(__file__).parents[2]

UPGRADES = """
import sys
from audience_sync.store.maintenance import migrate
from audience_sync.store.connection.engine import Store
migrate.upgrade(Store(sys.argv[1]))
"""


class TestTheSchema:
    def test_is_that_of_the_program(self, store: Store) -> None:
        """Types, NULLs, keys, indexes and, on PostgreSQL, comments."""
        with store.reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, metadata)
        assert differences == []

    def test_has_the_views_that_are_promised(self, store: Store) -> None:
        assert table_and_view_names(store)[1] == set(VIEWS)

    def test_says_what_every_table_and_column_is(self) -> None:
        everything = [item for table in metadata.sorted_tables for item in (table, *table.columns)]
        assert [str(item) for item in everything if not item.comment] == []

    def test_says_what_every_view_and_its_columns_are(self, new_store: Callable[..., Store]) -> None:
        """PostgreSQL keeps comments; SQLite has them in the text of a view."""
        query = (
            "select c.relname, a.attname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 "
            "where n.nspname = 'audience_sync' and (obj_description(c.oid) is null "
            "or col_description(c.oid, a.attnum) is null)"
        )
        with new_store("postgresql", with_schema=True).reading() as connection:
            assert connection.execute(text(query)).all() == []
        with new_store("sqlite", with_schema=True).reading() as connection:
            (definition,) = connection.execute(text("select sql from sqlite_master where name = 'sync_runs'")).one()
        assert '    r.id as "run", -- The number of the run\n' in definition

    def test_goes_up_down_and_up(self, empty_store: Store) -> None:
        migrate.upgrade(empty_store)
        complete = table_and_view_names(empty_store)
        migrate.downgrade(empty_store, "base")
        assert table_and_view_names(empty_store) == ({"alembic_version"}, set())
        with empty_store.reading() as connection:
            assert "audience_sync" not in inspect(connection).get_schema_names()
        assert migrate.current(empty_store) is None
        migrate.upgrade(empty_store)
        assert table_and_view_names(empty_store) == complete

    def test_comes_with_an_installation_and_a_free_lease(self, store: Store) -> None:
        with store.reading() as connection:
            assert len(connection.execute(select(installation.c.uuid)).scalar_one()) == 32
            assert connection.execute(select(lease.c.holder)).scalar_one() == ""

    def test_is_another_installation_in_another_database(self, new_store: Callable[..., Store], database: str) -> None:
        ids = set()
        for _ in range(2):
            store = new_store(database)
            migrate.upgrade(store)
            with store.reading() as connection:
                ids.add(connection.execute(select(installation.c.uuid)).scalar_one())
        assert len(ids) == 2

    def test_leaves_a_guests_table_alone(self, empty_store: Store) -> None:
        with empty_store.writing() as connection:
            connection.execute(text("create table guest (id integer)"))
            connection.execute(text("insert into guest values (7)"))
        migrate.upgrade(empty_store)
        with empty_store.reading() as connection:
            assert connection.execute(text("select id from guest")).scalar_one() == 7

    def test_orders_user_ids_by_their_bytes_on_postgresql(self, new_store: Callable[..., Store]) -> None:
        """Hazard 5, by declaration: the tests' server knows no language that would sort otherwise."""
        query = text(
            "select table_name, column_name from information_schema.columns where collation_name is distinct from 'C' "
            "and column_name in ('user_id', 'after_user', 'through_user') order by 1, 2"
        )
        with new_store("postgresql", with_schema=True).reading() as connection:
            assert connection.execute(query).all() == [("invalid_rows", "user_id"), ("run_invalid_rows", "user_id")]


class TestTheProgram:
    def test_knows_the_newest_revision(self, store: Store) -> None:
        with store.reading() as connection:
            scripts = ScriptDirectory.from_config(migrate.alembic_config(connection))
        assert scripts.get_heads() == [migrate.HEAD]

    def test_says_that_there_is_no_schema(self, empty_store: Store) -> None:
        assert migrate.current(empty_store) is None
        with pytest.raises(StoreOutdatedError, match=r"has no schema yet.*Run: audience-sync db upgrade"):
            migrate.require_current_schema(empty_store)

    def test_creates_an_sqlite_store_itself(self, new_store: Callable[..., Store]) -> None:
        store = new_store("sqlite")
        migrate.ensure(store, upgrade_allowed=False)
        assert migrate.current(store) == migrate.HEAD

    def test_changes_a_postgresql_store_only_when_asked(self, new_store: Callable[..., Store]) -> None:
        """Other programs may use that server; a person decides."""
        store = new_store("postgresql")
        with pytest.raises(StoreOutdatedError):
            migrate.ensure(store, upgrade_allowed=False)
        assert migrate.current(store) is None
        migrate.ensure(store, upgrade_allowed=True)
        assert migrate.current(store) == migrate.HEAD

    @pytest.mark.parametrize("upgrade_allowed", [False, True])
    def test_refuses_a_newer_store(self, store: Store, upgrade_allowed: bool) -> None:
        with store.writing() as connection:
            connection.execute(text("update alembic_version set version_num = '9999'"))
        with pytest.raises(StoreNewerError) as caught:
            migrate.ensure(store, upgrade_allowed=upgrade_allowed)
        assert str(caught.value) == (
            f"The store {store.label} was made by a newer version of audience-sync (schema 9999; this program has "
            f"{migrate.HEAD}). Nothing was done. Install the newer version, or point `store:` elsewhere."
        )

    def test_finds_its_migrations_beside_the_package_in_a_checkout(self) -> None:
        assert migrate.folder() == ROOT / "migrations"

    def test_finds_its_migrations_where_the_wheel_puts_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
        place = tmp_path / build["targets"]["wheel"]["force-include"]["migrations"]
        place.mkdir(parents=True)
        module = tmp_path / "audience_sync" / "store" / "maintenance" / "migrate.py"
        monkeypatch.setattr(migrate, "__file__", str(module))
        assert migrate.folder() == place

    def test_started_three_times_at_once_makes_one_schema(self, empty_store: Store) -> None:
        """In processes: Alembic is not made for threads."""
        command = [sys.executable, "-c", UPGRADES, empty_store.url.render_as_string(hide_password=False)]
        started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        assert [each.communicate(timeout=60)[1] for each in started] == ["", "", ""]
        with empty_store.reading() as connection:
            assert len(connection.execute(select(installation.c.id)).all()) == 1
