"""Does a store become what the program expects, with everything that was in it?"""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text

from audience_sync.errors import StoreError, StoreNewerError, StoreOutdatedError
from audience_sync.store import migrate
from audience_sync.store.engine import Store
from audience_sync.store.tables import installation, lease, metadata, segment_parts, segments
from audience_sync.workspace import Workspace

from .examples import a_store_with, base, members, save, the_audience

ROOT = Path(__file__).parents[2]
MakeNext = Callable[[str], None]

REBUILD_A_PARENT = """
    with op.batch_alter_table("segments") as batch:
        batch.alter_column("row_count", type_=sa.BigInteger())
"""
FAIL_HALFWAY = """
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("insert into chains (kind, users) values ('audience', 1)")
    op.execute("drop view sync_runs")
    op.execute("insert into nowhere values (1)")
"""
LEAVE_ORPHANS = """
    op.execute("delete from chains")
"""
UPGRADES = """
import sys
from audience_sync.store import migrate
from audience_sync.store.engine import Store
migrate.upgrade(Store(sys.argv[1]))
"""


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeNext:
    """``next_version(body)``: from now on the program has one more migration, which does this."""

    def make(body: str) -> None:
        shutil.copytree(migrate.folder(), tmp_path / "migrations")
        number = f"{int(migrate.HEAD) + 1:04}"
        (tmp_path / "migrations" / "versions" / f"{number}_next.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n\n"
            f"revision = {number!r}\ndown_revision = {migrate.HEAD!r}\n\n\n"
            f"def upgrade():{body}\n"
        )
        monkeypatch.setattr(migrate, "folder", lambda: tmp_path / "migrations")
        monkeypatch.setattr(migrate, "HEAD", number)

    return make


def names(store: Store) -> tuple[set[str], set[str]]:
    with store.reading() as connection:
        inspector = inspect(connection)
        return set(inspector.get_table_names()), set(inspector.get_view_names())


class TestTheSchema:
    def test_is_that_of_the_program(self, store: Store) -> None:
        """Types, NULLs, keys, indexes and, on PostgreSQL, comments."""
        with store.reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, metadata)
        assert differences == []

    def test_says_what_every_table_and_column_is(self) -> None:
        everything = [item for table in metadata.sorted_tables for item in (table, *table.columns)]
        assert [str(item) for item in everything if not item.comment] == []

    def test_goes_up_down_and_up(self, empty_store: Store) -> None:
        migrate.upgrade(empty_store)
        complete = names(empty_store)
        migrate.downgrade(empty_store, "base")
        assert names(empty_store) == ({"alembic_version"}, set())
        assert migrate.current(empty_store) is None
        migrate.upgrade(empty_store)
        assert names(empty_store) == complete

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
            assert connection.execute(query).all() == [("rejected_rows", "user_id"), ("rejections", "user_id")]


class TestTheProgram:
    def test_knows_the_newest_revision(self, store: Store) -> None:
        with store.reading() as connection:
            scripts = ScriptDirectory.from_config(migrate.alembic_config(connection))
        assert scripts.get_heads() == [migrate.HEAD]

    def test_says_that_there_is_no_schema(self, empty_store: Store) -> None:
        assert migrate.current(empty_store) is None
        with pytest.raises(StoreOutdatedError, match=r"has no schema yet.*Run: audience-sync db upgrade"):
            migrate.refuse_other(empty_store)

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
            f"The store {store.label} was made by a newer version of audience-sync (schema 9999; this program knows "
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
        monkeypatch.setattr(migrate, "__file__", str(tmp_path / "audience_sync" / "store" / "migrate.py"))
        assert migrate.folder() == place

    def test_started_three_times_at_once_makes_one_schema(self, empty_store: Store) -> None:
        """In processes: Alembic is not made for threads."""
        command = [sys.executable, "-c", UPGRADES, empty_store.url.render_as_string(hide_password=False)]
        started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        assert [each.communicate(timeout=60)[1] for each in started] == ["", "", ""]
        with empty_store.reading() as connection:
            assert len(connection.execute(select(installation.c.id)).all()) == 1


class TestAnOlderStore:
    def test_keeps_its_rows(self, store: Store, workspace: Workspace, next_version: MakeNext) -> None:
        """Hazard 1: rebuilding a parent table must not take its children along (ON DELETE CASCADE)."""
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann", "ben"])))
        next_version(REBUILD_A_PARENT)
        migrate.upgrade(store)
        assert members(store, workspace, chain) == [("ann", 1), ("ben", 1)]
        assert migrate.current(store) == migrate.HEAD

    def test_refuses_orphans_afterwards(self, store: Store, workspace: Workspace, next_version: MakeNext) -> None:
        next_version(REBUILD_A_PARENT)
        migrate.upgrade(store)
        with pytest.raises(StoreError), store.writing() as connection:
            connection.execute(insert(segment_parts).values(segment_id=99, number=0, body=b""))

    def test_stays_as_it_was_when_the_migration_fails(self, store: Store, next_version: MakeNext) -> None:
        """Hazard 3: on SQLite too, tables and views come and go with the transaction."""
        before, revision = names(store), migrate.HEAD
        next_version(FAIL_HALFWAY)
        with pytest.raises(StoreError, match="nowhere"):
            migrate.upgrade(store)
        assert names(store) == before
        assert migrate.current(store) == revision
        with store.reading() as connection:
            assert connection.execute(text("select count(*) from chains")).scalar_one() == 0

    def test_stays_as_it_was_when_the_migration_would_leave_orphans(
        self, store: Store, workspace: Workspace, next_version: MakeNext
    ) -> None:
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        next_version(LEAVE_ORPHANS)
        with pytest.raises(StoreError):
            migrate.upgrade(store)
        assert members(store, workspace, chain) == [("ann", 1)]

    def test_on_sqlite_is_backed_up_first(
        self, new_store: Callable[..., Store], workspace: Workspace, next_version: MakeNext
    ) -> None:
        """Only there: a PostgreSQL server has its own backups."""
        store, before = new_store("sqlite", with_schema=True), migrate.HEAD
        a_store_with(store)
        chain = the_audience(id=save(store, the_audience(), base(workspace, 1, ["ann"])))
        next_version(REBUILD_A_PARENT)
        backup = migrate.upgrade(store)
        assert backup is not None
        assert backup.name == f"store_1.db.before-{migrate.HEAD}-from-{before}"
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        copy = new_store("sqlite")
        shutil.copy(backup, str(copy.file))
        assert migrate.current(copy) == before
        assert members(copy, workspace, chain) == [("ann", 1)]

    def test_on_sqlite_is_backed_up_as_it_is_even_while_it_is_read(
        self, new_store: Callable[..., Store], next_version: MakeNext
    ) -> None:
        store = new_store("sqlite", with_schema=True)
        a_store_with(store, runs_so_far=3)
        next_version("\n    pass")
        with sqlite3.connect(str(store.file)) as reader:
            assert reader.execute("select count(*) from runs").fetchone() == (3,)
            backup = migrate.upgrade(store)
        reader.close()
        assert backup is not None

    def test_that_is_up_to_date_is_not_backed_up(self, store: Store) -> None:
        assert migrate.upgrade(store) is None


def test_a_parent_table_is_rebuilt_by_the_migration_of_these_tests(
    new_store: Callable[..., Store], next_version: MakeNext
) -> None:
    """Otherwise the tests above would prove nothing."""
    assert [key.ondelete for key in segment_parts.foreign_keys] == ["CASCADE"]
    store = new_store("sqlite", with_schema=True)
    next_version(REBUILD_A_PARENT)
    migrate.upgrade(store)
    with store.reading() as connection:
        columns = {column["name"]: str(column["type"]) for column in inspect(connection).get_columns(segments.name)}
    assert columns["row_count"] == "BIGINT"
