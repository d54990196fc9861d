"""Make twins: two projects with one source in PostgreSQL, of which one compares here and the other in the warehouse."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.conftest import Project, Result
from conftest import PostgreSQL
from sqlalchemy import NullPool, create_engine

#: Columns that both twins must agree on.
VIEWS = (
    "select audience_key, user_id from audience_members order by 1, 2",
    "select run, audience_key, user_id, change from membership_changes order by 1, 2, 3",
    "select run, audience_key, status, members_before, members_after, entered, left, invalid, absent, held_out "
    "from audience_syncs order by 1, 2",
    "select audience_key, user_id from absent_members order by 1, 2",
    "select audience_key, user_id from held_out_members order by 1, 2",
    "select run, last_run, key, status, reason, members_before, entered, left, ended_run from holds order by 1, 3",
    "select user_id, trait_key, value from trait_values order by 1, 2",
    "select run, user_id, trait_key, value, previous_value from trait_changes order by 1, 2, 3",
    "select run, audience_key, reason, count(*) from invalid_rows group by 1, 2, 3 order by 1, 2, 3",
    "select id, trait_users, trait_users_changed from runs order by 1",
)


_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


class Warehouse:
    """A database with a schema for the tables of last snapshots."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self.execute("create schema audience_sync")

    def execute(self, *statements: str) -> None:
        with self._engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._engine.connect() as connection:
            for row in rows:
                marks = ", ".join(["%s"] * len(row))
                connection.exec_driver_sql(f"insert into {table} values ({marks})", tuple(row))

    def is_running(self, statement: str) -> bool:
        """Whether a statement that begins so is at work."""
        with self._engine.connect() as connection:
            active = "select query from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
            return any(query.startswith(statement) for (query,) in connection.exec_driver_sql(active))

    def tables(self) -> list[str]:
        """The tables of last snapshots, sorted."""
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql("select tablename from pg_tables where schemaname = 'audience_sync'")
            return sorted(name for (name,) in found)


@dataclass(frozen=True)
class Twins:
    """Two projects with the same config, but for `compare`."""

    here: Project
    there: Project
    warehouse: Warehouse

    def configure(self, **parts: Any) -> None:
        """Write the configs. The source `fetched` is the same database; both twins compare it here."""
        for project, compare in ((self.here, "here"), (self.there, "in_warehouse")):
            database = {"database": self.warehouse.url}
            project.configure(sources={"warehouse": {**database, "compare": compare}, "fetched": database}, **parts)

    def configure_there(self, compare: str) -> None:
        """Let the second twin compare its source elsewhere."""
        config = yaml.safe_load((self.there.folder / "config.yaml").read_text())
        config["sources"]["warehouse"]["compare"] = compare
        (self.there.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def run(self, *arguments: str, code: int | None = 0) -> Result:
        """Run a command in both. They must end alike and send the same calls."""
        here, there = self.here.run(*arguments), self.there.run(*arguments)
        assert there.code == here.code, f"{here.stdout}{here.stderr}\n{there.stdout}{there.stderr}"
        assert code is None or here.code == code, f"{here.stdout}{here.stderr}"
        if "--json" in arguments and arguments[0] in ("plan", "sync"):
            for part in ("audiences", "traits"):
                assert _without_times(there.json[part]) == _without_times(here.json[part])
        self.require_equal()
        return there

    def named_tables(self) -> list[str]:
        """The tables that the store names, sorted. No other one is to stay in the warehouse."""
        return sorted(name for (name,) in self.there.query("select table_name from source_states"))

    def require_equal(self) -> None:
        assert calls(self.there) == calls(self.here)
        for view in VIEWS:
            assert self.there.query(view) == self.here.query(view)


def _without_times(part: Any) -> str:
    """The two freeze one after another, and a message says since when."""
    return _TIME.sub("then", json.dumps(part))


def calls(project: Project) -> list[str]:
    """What was sent: user and properties, sorted. Each message has an id of its own."""
    found = project.messages()
    assert len({each["messageId"] for each in found}) == len(found)
    return sorted(json.dumps([each["userId"], each["traits"]]) for each in found)


@pytest.fixture
def warehouse(postgresql: PostgreSQL) -> Iterator[Warehouse]:
    url = postgresql.create()
    yield Warehouse(url)
    postgresql.drop(url)


@pytest.fixture
def twins(tmp_path: Path, sqlite_schema: Path, warehouse: Warehouse) -> Twins:
    """Twins with empty stores."""
    projects = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        projects.append(Project(folder))
        shutil.copy(sqlite_schema, projects[-1].store)
    return Twins(projects[0], projects[1], warehouse)
