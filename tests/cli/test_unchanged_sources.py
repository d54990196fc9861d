"""A source that didn't change isn't read, and nothing is lost by that."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from audience_sync.cli import group
from audience_sync.sources.base import SnapshotRequest, SnapshotRows
from audience_sync.sources.database.source import DatabaseSource
from audience_sync.sources.files.source import FilesSource
from audience_sync.workspace import Workspace

from .conftest import Project

Command = Callable[..., int]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What is asked of sources, in this process."""
    asked: list[str | None] = []
    for kind in (FilesSource, DatabaseSource):
        read = kind.read

        def spied(self: Any, workspace: Workspace, wanted: SnapshotRequest, read: Any = read) -> SnapshotRows:
            asked.append(wanted.file or wanted.query)
            rows: SnapshotRows = read(self, workspace, wanted)
            return rows

        monkeypatch.setattr(kind, "read", spied)
    return asked


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command in this process; returns its exit code."""
    monkeypatch.chdir(project.folder)
    return lambda *arguments: group.main(list(arguments), standalone_mode=False) or 0


def hold_out(project: Project, share: str) -> None:
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", "holdout": share}])


def written(project: Project, name: str, *users: str, at: int = 1) -> None:
    """A snapshot that was written a while ago."""
    os.utime(project.write_members(name, *users), (at, at))


def test_with_another_holdout_a_file_is_read_again(vip: Project, run: Command, reads: list[str | None]) -> None:
    written(vip, "vip.csv", "ada", "bob", "cyd")
    hold_out(vip, "10%")
    assert [run("sync"), run("sync")] == [0, 0]
    assert reads == ["vip.csv"]
    hold_out(vip, "20%")
    assert [run("sync"), run("sync")] == [0, 0]
    assert reads == ["vip.csv", "vip.csv"]


def test_a_file_that_did_not_change_is_not_read_again(vip: Project, run: Command, reads: list[str | None]) -> None:
    written(vip, "vip.csv", "ada", "bob", "cyd")
    assert [run("sync"), run("sync"), run("plan")] == [0, 0, 0]
    assert reads == ["vip.csv"]
    assert vip.query("select status, members_after from audience_syncs order by run") == [
        ("created", 3),
        ("unchanged", 3),
    ]


def test_a_file_that_changed_is_read(vip: Project, run: Command, reads: list[str | None]) -> None:
    written(vip, "vip.csv", "ada", "bob", "cyd")
    run("sync")
    written(vip, "vip.csv", "ada", "bob", "dan")
    run("sync")
    assert reads == ["vip.csv", "vip.csv"]
    assert vip.sent()[-2:] == [("cyd", {"vip": False}), ("dan", {"vip": True})]


def test_a_file_written_just_now_is_read_again(vip: Project, run: Command, reads: list[str | None]) -> None:
    run("sync")
    run("sync")
    assert reads == ["vip.csv", "vip.csv"]


def test_an_audience_that_is_held_is_read_again(vip: Project, run: Command, reads: list[str | None]) -> None:
    written(vip, "vip.csv", "ada", "bob", "cyd")
    run("sync")
    written(vip, "vip.csv")
    assert [run("sync"), run("sync"), run("sync", "--accept", "vip"), run("sync")] == [4, 4, 0, 0]
    assert len(reads) == 4


def test_a_source_that_fails_is_read_again(vip: Project, run: Command, reads: list[str | None]) -> None:
    os.utime(vip.write("vip.csv", "id\nada\n"), (1, 1))
    assert [run("sync"), run("sync")] == [3, 3]
    assert len(reads) == 2


def test_the_rows_without_an_id_are_still_counted(vip: Project, run: Command, reads: list[str | None]) -> None:
    os.utime(vip.write("vip.csv", "user_id,a\nada,1\n,2\n"), (1, 1))
    run("sync")
    run("sync")
    assert reads == ["vip.csv"]
    assert vip.query("select run, invalid from audience_syncs order by run") == [(1, 1), (2, 1)]


def test_traits_that_did_not_change_are_not_read_again(project: Project, run: Command, reads: list[str | None]) -> None:
    project.configure(
        computed_traits=[
            {"source": "shop", "file": "a.csv", "traits": ["plan"]},
            {"source": "shop", "file": "b.csv", "traits": ["city"]},
        ]
    )
    os.utime(project.write("a.csv", "user_id,plan\nada,pro\nbob,free\n"), (1, 1))
    os.utime(project.write("b.csv", "user_id,city\nada,Rome\ncyd,Oslo\n"), (1, 1))
    run("sync")
    run("sync")
    assert reads == ["a.csv", "b.csv"]
    os.utime(project.write("b.csv", "user_id,city\nada,Bern\ncyd,Oslo\n"), (2, 2))
    run("sync")
    assert reads == ["a.csv", "b.csv", "b.csv"]
    assert project.query("select trait_users_changed from sync_runs order by run") == [(3,), (0,), (1,)]
    assert project.query("select trait_users from runs order by id") == [(3,), (3,), (3,)]


def test_another_question_to_the_same_file_is_read(project: Project, run: Command, reads: list[str | None]) -> None:
    os.utime(project.write("vip.csv", "user_id,account\nada,x\nbob,y\n"), (1, 1))
    audience = {"name": "VIP", "key": "vip", "source": "shop", "file": "vip.csv"}
    project.configure(audiences=[audience], guard={"max_removed": "100%", "max_added": "100%"})
    run("sync")
    project.configure(audiences=[audience | {"user_id": "account"}], guard={"max_removed": "100%"})
    run("sync")
    project.configure(audiences=[audience], guard={"max_removed": "100%"})
    run("sync")
    assert len(reads) == 3
    assert project.query("select user_id from audience_members order by 1") == [("ada",), ("bob",)]


def test_audiences_of_one_column_are_passed_over_together(
    project: Project, run: Command, reads: list[str | None]
) -> None:
    project.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    os.utime(project.write("all.csv", "audience,user_id\nVIP,ada\nBuyers,bob\n"), (1, 1))
    assert [run("sync"), run("sync")] == [0, 0]
    assert reads == ["all.csv"]


def test_an_audience_that_could_not_be_created_is_said_in_every_run(
    project: Project, run: Command, reads: list[str | None]
) -> None:
    project.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    os.utime(project.write("all.csv", "audience,user_id\nVIP,ada\n東京,bob\n"), (1, 1))
    assert [run("sync"), run("sync")] == [3, 3]
    assert reads == ["all.csv", "all.csv"]


def test_a_query_in_a_database_is_asked_again_when_its_probe_says_so(
    project: Project, run: Command, reads: list[str | None]
) -> None:
    database = project.folder / "warehouse.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("create table members (user_id text, version integer)")
        connection.execute("insert into members values ('ada', 1)")
    query = "select user_id from members"
    project.configure(
        sources={"warehouse": {"database": f"sqlite:///{database}"}},
        audiences=[{"name": "VIP", "source": "warehouse", "query": query, "probe": "select max(version) from members"}],
    )
    run("sync")
    run("sync")
    assert reads == [query]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("insert into members values ('bob', 2)")
    run("sync")
    assert reads == [query, query]
    assert project.sent()[-1] == ("bob", {"vip": True})


def test_resync_reads_the_sources_of_what_it_sends_again(vip: Project, run: Command, reads: list[str | None]) -> None:
    written(vip, "vip.csv", "ada", "bob", "cyd")
    run("sync")
    run("resync", "vip")
    assert len(reads) == 2


def test_an_erased_user_who_may_come_back_does(vip: Project, run: Command) -> None:
    written(vip, "vip.csv", "ada", "bob", "cyd")
    run("sync")
    assert [run("erase", "ada"), run("sync")] == [0, 0]
    assert vip.query("select count(*) from audience_members") == [(2,)]
    assert [run("unsuppress", "ada"), run("sync")] == [0, 0]
    assert vip.query("select count(*) from audience_members") == [(3,)]
