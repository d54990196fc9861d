"""A store with schema 0022, the last before the first release, is moved with everything in it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from destinations.receiver import Receiver, Reply
from old_stores import load_schema_0022
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from .conftest import Project, received, segment

MEMBERS = {
    "vip": ("bob", "cyd", "dan", "fay", "gus", "hal"),
    "churn": ("ada", "eve", "fay"),
    "held": (),
    "frozen": ("joe",),
    "patient": ("leo",),
    "ads": tuple(f"user-{number}" for number in range(8)),
    "slow": ("mia", "ned", "oli", "pam"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "held": {"guard": {"at_least": 0}},
    "patient": {"min_stay": "365000d"},
    "ads": {"holdout": "50%"},
    "slow": {"initial": "manual"},
}
OLD_VIEWS = (
    *("absent_members", "alerts", "audience_members", "audience_syncs", "deliveries", "freezes", "held_out_members"),
    *("holds", "membership_changes", "refusals", "refused_calls", "rejected_rows", "scheduled_runs", "sync_runs"),
)


class OldStore(NamedTuple):
    project: Project
    url: str
    late: Receiver
    address: Receiver

    def query(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute the statements; the rows of the last one."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            *others, last = statements
            for statement in others:
                connection.exec_driver_sql(statement)
            result = connection.exec_driver_sql(last)
            return [tuple(row) for row in result] if result.returns_rows else []

    def rows(self) -> Counter[str]:
        """Return the values of each row of all tables, without the names of columns and tables, and without NULL."""
        engine = create_engine(self.url, poolclass=NullPool)
        tables = set(inspect(engine).get_table_names()) - {"alembic_version", "lease"}
        return Counter(
            str(sorted((value for value in row if value is not None), key=repr))
            for table in tables
            for row in self.query(f'select * from "{table}"')
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def old(
    project: Project, receiver: Receiver, other_receiver: Receiver, database: str, new_url: Any
) -> Iterator[OldStore]:
    url = f"sqlite:///{project.store}" if database == "sqlite" else new_url("postgresql")
    load_schema_0022(url)
    with Receiver() as address:
        address.will_answer(Reply())
        found = OldStore(project, url, other_receiver, address)
        project.environment["STORE"] = url.replace("+psycopg", "")
        project.configure(
            store="${STORE}",
            audiences=[
                {
                    "name": key.title() if key != "vip" else "VIP",
                    "source": "shop",
                    "file": f"{key}.csv",
                    **OPTIONS.get(key, {}),
                }
                for key in MEMBERS
            ],
            computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan"]}],
            destinations={
                "seg": segment(receiver, batch_size=1, concurrency=1),
                "late": segment(other_receiver, batch_size=2, concurrency=1),
                "log": {"type": "file", "path": "calls.jsonl"},
            },
            guard={"at_least": 1000},
            notify={"to": [f"{address.url.replace('http:', 'json:')}/{name}" for name in ("first", "second")]},
        )
        for key, users in MEMBERS.items():
            project.write_members(f"{key}.csv", *users)
        project.write("traits.csv", "user_id,plan\nada,gold\nbob,gold\ngus,\n")
        yield found


def sent(receiver: Receiver) -> list[tuple[str, str]]:
    """The users and message ids since this was last asked."""
    found = [(each["userId"], each["messageId"]) for each in received(receiver)]
    receiver.requests.clear()
    return found


def titles(address: Receiver) -> list[tuple[str, str]]:
    """The address and title of each notification since this was last asked."""
    found = [(each.path, json.loads(each.body)["title"]) for each in address.requests]
    address.requests.clear()
    return found


def test_it_continues_where_it_was(old: OldStore, receiver: Receiver) -> None:
    """What is sent, the message ids and the notifications are those of commit 3ee0fb6 for the same store."""
    project = old.project
    assert project.run("db", "upgrade").code == 0
    assert project.run("db", "check").code == 0
    assert project.sync().code == 4
    assert sent(receiver) == []
    assert sent(old.late) == [("hal", "89287344378dca13c5969b6eb950468e")]
    assert titles(old.address) == [
        ("/first", "audience-sync run 5: 1 recovered"),
        ("/second", "audience-sync run 5: 1 held, 1 refused"),
    ]
    assert project.run("retry").code == 4
    assert sent(receiver) == [("fay", "86e983403f19a52d0ba75ee598487f3b")]
    assert project.run("seed", "slow").code == 0
    assert sent(receiver) == [("oli", "e0d7fd89c187857f3aa3a1259a4554c8"), ("pam", "62934f1f936ee35c924e0ffd3221188e")]
    assert sent(old.late) == [("oli", "bc80109d34b578d3f08354ee84e86fe1"), ("pam", "6a386a57d9a9968563f3aec1da9cf5b8")]
    assert [(each["userId"], each["messageId"]) for each in project.messages()] == [
        ("oli", "6c8222ca497e79b8a6f1d79bd642cffa"),
        ("pam", "f27c3516ee007980f443ec5b45d25511"),
    ]


def test_its_views_have_the_same_rows(old: OldStore) -> None:
    """Columns that are new stand at the end of a view."""
    before = {view: sorted(old.query(f"select * from {view}"), key=repr) for view in OLD_VIEWS}
    assert [view for view, rows in before.items() if not rows] == []
    assert old.project.run("db", "upgrade").code == 0
    prefix = "" if old.url.startswith("sqlite") else "audience_sync."
    names = {view: prefix + view.replace("rejected_rows", "invalid_rows") for view in OLD_VIEWS}
    after = {view: old.query(f"select * from {name}") for view, name in names.items()}
    width = {view: len(rows[0]) for view, rows in before.items()}
    assert {view: sorted((row[: width[view]] for row in rows), key=repr) for view, rows in after.items()} == before


def test_every_value_of_every_row_is_kept(old: OldStore) -> None:
    before = old.rows()
    assert old.project.run("db", "upgrade").code == 0
    [(command, subject)] = old.query("select command, subject from decision_log")
    assert (command, subject) == ("db upgrade", "schema 0022 to 0100")
    old.query("delete from decision_log")
    after = old.rows()
    assert before - after == Counter({"['', 'rejected_rows', 0, 1]": 1})
    assert after - before == Counter({"['', 'invalid_rows', 0, 1]": 1})


def test_nothing_of_the_old_schema_stays(old: OldStore, new_url: Callable[..., str], database: str) -> None:
    assert old.project.run("db", "upgrade").code == 0
    engines = [create_engine(url, poolclass=NullPool) for url in (old.url, new_url(database, with_schema=True))]
    found, new = (inspect(engine) for engine in engines)
    assert set(found.get_table_names()) == set(new.get_table_names())
    assert set(found.get_schema_names()) == set(new.get_schema_names())


def test_a_command_that_reads_it_names_the_upgrade(old: OldStore) -> None:
    ended = old.project.run("history")
    assert ended.code == 3
    assert "has the schema of an older version (0022). Nothing was done. Run: audience-sync db upgrade" in ended.stderr
    assert old.query("select version_num from alembic_version") == [("0022",)]


def test_an_earlier_schema_is_refused_with_the_way_to_move_it(old: OldStore) -> None:
    old.query("update alembic_version set version_num = '0021'")
    ended = old.project.run("db", "upgrade")
    assert ended.code == 3
    assert "has schema 0021, from before the first release. Nothing was done." in ended.stderr
    assert old.query("select count(*) from feeds") == [(6,)]


def test_a_failing_move_leaves_it_whole(old: OldStore) -> None:
    old.query("create table delivery_cursors (mine integer)")
    assert old.project.run("db", "upgrade").code == 3
    assert old.query("select version_num from alembic_version") == [("0022",)]
    assert old.query("select count(*) from feeds") == [(6,)]
    assert len(old.query("select * from sync_runs")) == 4


def test_a_run_moves_a_store_on_sqlite_and_keeps_a_backup(old: OldStore, database: str) -> None:
    if database == "postgresql":
        assert old.project.sync().code == 3  # a person decides
        return
    assert old.project.sync().code == 4
    (backup,) = old.project.folder.glob("*.before-*")
    assert backup.name == "audience_sync.db.before-0100-from-0022"
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("select count(*) from feeds").fetchone() == (6,)


def test_a_rehearsal_has_every_row_and_call_and_changes_nothing(old: OldStore, receiver: Receiver) -> None:
    before = old.rows()
    ended = old.project.run("db", "upgrade", "--rehearse", "--json")
    receipt = ended.json
    assert (ended.code, receipt["good"], receipt["differences"]) == (0, True, [])
    assert (receipt["from"], receipt["to"]) == ("0022", "0100")
    rows = {each["name"]: (each["before"], each["after"], each["same"]) for each in receipt["tables"]}
    assert len([name for name, (count, *_) in rows.items() if count is not None]) == 33
    assert (rows["delivery_cursors"], rows["user_traits"]) == ((6, 6, True), (None, 0, True))
    assert {each["name"]: each["before"] for each in receipt["contents"]} == {
        "members": 22,
        "trait values": 2,
        "pending calls": 78,
    }
    assert {each["name"] for each in receipt["views"]} == {*OLD_VIEWS, "invalid_rows"} - {"rejected_rows"}
    assert receipt["plan"]["compared"] is False
    assert "audience-sync plan --out before.json" in receipt["plan"]["reason"]
    assert receipt["plan"]["calls_after"] == {"seg": 0, "late": 1, "log": 0}
    assert old.rows() == before
    assert sent(receiver) == sent(old.late) == titles(old.address) == []


def test_a_rehearsal_compares_with_the_plan_of_the_version_before(old: OldStore) -> None:
    """Its plan has the same digests; this one is made with the same store, upgraded."""
    project, url = old.project, old.url
    before = [("plan", "--out", "before.json"), ("db", "upgrade", "--rehearse", "--json", "--plan", "before.json")]
    other = f"sqlite:///{project.folder / 'other.db'}"
    load_schema_0022(other)
    project.environment["STORE"] = other
    project.run("db", "upgrade")
    assert project.run(*before[0]).code == 4
    project.environment["STORE"] = url.replace("+psycopg", "")
    same = project.run(*before[1]).json
    assert (same["good"], same["plan"]["compared"], same["plan"]["new_calls"]) == (True, True, 0)
    project.write_members("churn.csv", "ada", "eve", "new")
    ended = project.run(*before[1])
    assert ended.code == 3
    assert ended.json["plan"]["differences"] == [
        "audience churn: before 0 entered, 0 left; after 1 entered, 1 left",
        "destination late: before 1 call; after 3 calls",
        "destination log: before 0 calls; after 2 calls",
        "destination seg: before 0 calls; after 2 calls",
    ]
    assert ended.json["plan"]["new_calls"] == 6


class TestOnSqlite:
    @pytest.fixture
    def database(self) -> str:
        return "sqlite"

    def test_views_of_other_programs_still_work(self, old: OldStore) -> None:
        old.query(
            "create view mine as select count(*) from sync_runs", "create view yours as select count(*) from runs"
        )
        assert old.project.run("db", "upgrade").code == 0
        assert old.query("select * from mine union all select * from yours") == [(4,), (4,)]


class TestOnPostgresql:
    @pytest.fixture
    def database(self) -> str:
        return "postgresql"

    def test_other_roles_keep_their_rights(self, old: OldStore) -> None:
        old.query(
            "create role moved_reader",
            "create role moved_runner",
            "grant select on sync_runs, rejected_rows to moved_reader",
            "grant select, insert, update, delete on feeds to moved_runner",
            "grant usage, select on sequence feeds_id_seq to moved_runner",
            "grant select, insert, delete on members, run_audiences, held_snapshots, requests to moved_runner",
            "grant usage on sequence held_snapshots_id_seq, requests_id_seq to moved_runner",
        )
        try:
            assert old.project.run("db", "upgrade").code == 0
            rights = (
                "select has_table_privilege('moved_reader', 'audience_sync.sync_runs', 'select'), "
                "has_table_privilege('moved_reader', 'audience_sync.invalid_rows', 'select'), "
                "has_table_privilege('moved_reader', 'audience_sync.deliveries', 'select'), "
                "has_schema_privilege('moved_reader', 'audience_sync', 'usage'), "
                "has_table_privilege('moved_runner', 'delivery_cursors', 'select, insert, update, delete'), "
                "has_sequence_privilege('moved_runner', 'delivery_cursors_id_seq', 'usage'), "
                "has_table_privilege('moved_runner', 'user_traits', 'select, insert, delete'), "
                "has_table_privilege('moved_runner', 'stage_log', 'insert'), "
                "has_table_privilege('moved_runner', 'decision_log', 'insert'), "
                "has_sequence_privilege('moved_runner', 'decision_log_id_seq', 'usage'), "
                "has_table_privilege('moved_runner', 'request_attempts', 'insert'), "
                "has_sequence_privilege('moved_runner', 'request_attempts_id_seq', 'usage')"
            )
            assert old.query(rights) == [(True, True, False, *[True] * 9)]
        finally:
            for role in ("moved_reader", "moved_runner"):
                old.query(f"drop owned by {role}", f"drop role {role}")
