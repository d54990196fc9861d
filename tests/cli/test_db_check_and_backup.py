"""`db check` finds what is wrong, and a backup is a complete store."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}


def parts(project: Project) -> dict[str, bool]:
    ended = project.run("db", "check", "--json")
    found = {each["part"]: each["good"] for each in ended.json["checks"]}
    assert ended.code == (0 if all(found.values()) else 3)
    return found


def damage(project: Project, *statements: str) -> None:
    with closing(sqlite3.connect(project.store)) as connection:
        for statement in statements:
            connection.executescript(statement)
        connection.commit()


@pytest.fixture(scope="module")
def whole(shared_vip: Project) -> Project:
    """Of `vip` some left; one call is refused, and another not answered."""
    vip = shared_vip
    with Receiver() as receiver:
        sent = segment(receiver, batch_size=1, concurrency=1, give_up_after="200ms")
        vip.configure(audiences=[VIP], destinations={"seg": sent, "log": {"type": "file", "path": "calls.jsonl"}})
        receiver.will_answer(Reply(400), ACCEPTED, Reply(500))
        vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
        vip.sync()
        vip.write_members("vip.csv", "ada", "bob", "eve")
        vip.sync()
    return vip


@pytest.fixture
def used(whole: Project, tmp_path: Path) -> Project:
    return whole.copy_to(tmp_path)


def test_a_used_store_is_whole(used: Project) -> None:
    assert parts(used) == dict.fromkeys(
        ("database", "schema", "snapshots", "members", "trait values", "rows", "positions"), True
    )
    assert "3 rows match the snapshots" in used.run("db", "check").stdout


def test_a_check_of_a_whole_store_says_what_follows_a_restore(used: Project) -> None:
    words = "If it was restored from a backup, destinations have newer values than it has on record:\n"
    assert f"{words}  audience-sync resync\n" in used.run("db", "check").stdout


@pytest.mark.parametrize(
    ("part", "statement"),
    [
        ("snapshots", "update snapshot_file_chunks set content = zeroblob(100)"),
        ("snapshots", "update snapshot_chains set user_count = user_count + 1"),
        ("members", "delete from members where user_id = 'ada'"),
        ("members", "insert into members select property_id, 'zoe', run_id from members limit 1"),
        ("members", "insert into absences select property_id, 'zoe', run_id from members limit 1"),
        ("members", "insert into held_out_users select property_id, user_id, run_id from members limit 1"),
        ("members", "insert into claimed_users select property_id, user_id, run_id from members limit 1"),
        ("rows", "delete from open_refusals"),
        ("rows", "delete from lease"),
        ("rows", "delete from subscriptions"),
        ("rows", "update runs set started_at = 'some day'"),
        ("schema", "drop table missed_notifications"),
        ("schema", "drop view audience_members"),
        ("schema", "drop index ix_delivery_requests_run_id"),
        ("schema", "alter table snapshot_files drop column bytes"),
        ("snapshots", "update snapshot_files set row_count = row_count + 1"),
        ("snapshots", "update snapshot_files set bytes = bytes + 1"),
        ("snapshots", "update snapshot_files set kind = 'base'"),
        ("positions", "update delivery_cursors set position = 99"),
        ("positions", "update delivery_cursors set position = -5"),
        ("positions", "delete from delivered_ranges; delete from delivery_cursors"),
        (
            "positions",
            "insert into delivery_cursors (destination_id, position) "
            "select destination_id, position from delivery_cursors",
        ),
        ("positions", "update delivered_ranges set through_user = after_user"),
        ("positions", "update delivered_ranges set run_id = 0"),
        ("database", "delete from delivery_destinations where name = 'log'"),
    ],
)
def test_a_damage_is_found(used: Project, part: str, statement: str) -> None:
    damage(used, "pragma foreign_keys = off", statement)
    found = parts(used)
    assert not found[part]


def test_a_damage_is_marked_for_a_person(used: Project) -> None:
    damage(used, "delete from members where user_id = 'ada'")
    checked = used.run("db", "check")
    assert checked.code == 3
    assert "FAILED" in checked.stdout


def test_of_traits_a_base_in_the_wrong_place_is_found(vip: Project) -> None:
    traits = [{"source": "shop", "file": "plans.csv", "traits": ["plan"]}]
    vip.configure(computed_traits=traits)
    for plan in ("pro", "free"):
        vip.write("plans.csv", f"user_id,plan\nada,{plan}\n")
        vip.sync()
    damage(vip, "update snapshot_files set kind = 'base'")
    ended = vip.run("db", "check")
    assert ended.code == 3
    assert "the snapshot of plan has a base that is not its first file" in ended.stdout


@pytest.mark.parametrize("page", range(0, 40, 3))
def test_a_page_that_is_lost_is_said_with_the_remedy(used: Project, page: int) -> None:
    content = bytearray(used.store.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = bytes(4096)
    used.store.write_bytes(content)
    ended = used.run("db", "check")
    assert ended.code == 3
    assert "estore a backup" in ended.stdout + ended.stderr
    assert "unexpected" not in ended.stderr


def test_a_place_that_cannot_be_written_to_is_said(new_vip: Project) -> None:
    new_vip.write("file", "no folder")
    for command in (["sync"], ["db", "upgrade"], ["schedule"]):
        new_vip.configure(audiences=[VIP], store="sqlite:///file/store.db", schedule={"every": "1h"})
        ended = new_vip.run(*command)
        assert (ended.code, "can't be created" in ended.stderr) == (3, True), command
        assert "unexpected" not in ended.stderr
    assert new_vip.run("check").code == 3
    new_vip.configure(audiences=[VIP])
    new_vip.sync()
    for command in (["db", "backup", "file/copy.db"], ["db", "copy", "sqlite:///file/copy.db"]):
        ended = new_vip.run(*command)
        assert (ended.code, "can't be created" in ended.stderr) == (3, True), command


def test_a_store_on_postgresql_is_whole(vip: Project, postgresql: PostgreSQL) -> None:
    vip.environment["STORE"] = postgresql.create()
    vip.configure(audiences=[VIP], store="${STORE}")
    assert vip.run("db", "upgrade").code == 0
    vip.sync()
    assert all(parts(vip).values())


class TestBackup:
    def test_is_a_store_that_only_its_owner_reads(self, used: Project) -> None:
        before = used.query("select * from membership_changes")
        saved = used.folder / "saved.db"
        assert used.run("db", "backup", str(saved)).code == 0
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        used.store.unlink()
        saved.rename(used.store)
        assert used.query("select * from membership_changes") == before
        assert all(parts(used).values())

    def test_is_made_while_a_run_is_at_work(self, vip: Project, receiver: Receiver) -> None:
        vip.configure(audiences=[VIP], destinations={"seg": segment(receiver, batch_size=1, concurrency=1)})
        receiver.will_answer(Reply(body=b'{"success": true}', seconds_between_bytes=0.01))
        results: list[Any] = []
        run = threading.Thread(target=lambda: results.append(vip.run_afresh("sync")))
        run.start()
        while not receiver.requests:
            run.join(0.01)
        assert vip.run_afresh("db", "backup", "saved.db").code == 0
        run.join()
        assert results[0].code == 0
        with closing(sqlite3.connect(vip.folder / "saved.db")) as connection:
            assert connection.execute("select status from runs").fetchall() == [("running",)]

    def test_overwrites_nothing(self, used: Project) -> None:
        used.write("saved.db", b"mine")
        ended = used.run("db", "backup", "saved.db")
        assert ended.code == 3
        assert (used.folder / "saved.db").read_bytes() == b"mine"

    def test_of_postgresql_is_postgresqls_own(self, vip: Project, postgresql: PostgreSQL) -> None:
        vip.environment["STORE"] = postgresql.create()
        vip.configure(audiences=[VIP], store="${STORE}")
        ended = vip.run("db", "backup", "saved.dump")
        assert ended.code == 3
        assert "pg_dump --format custom --file saved.dump" in ended.stderr
