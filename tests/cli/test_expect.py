"""A snapshot that isn't complete is refused before it is compared."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from hashlib import sha256

import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TEST = {"name": "Test", "source": "shop", "file": "test.csv"}
LOOSE = {"max_removed": "100%"}


def expecting(project: Project, **expect: object) -> None:
    """VIP is expected to be so, Test is as it is."""
    project.configure(audiences=[{**VIP, "expect": expect}, TEST], guard=LOOSE)


@pytest.fixture
def synced(vip: Project) -> Project:
    """VIP and Test have three members each, who were sent."""
    expecting(vip, columns="same")
    vip.write_members("test.csv", "ada", "bob", "cyd")
    vip.sync()
    vip.sent()
    return vip


def age(project: Project, name: str, hours: float) -> None:
    at = time.time() - hours * 3600
    os.utime(project.folder / name, (at, at))


def refused(project: Project, *, newcomer: str = "dan") -> str:
    """What the run says: VIP stays as it is, and Test goes on."""
    project.write_members("test.csv", "ada", "bob", "cyd", newcomer)
    result = project.sync()
    assert (result.code, result.json["status"]) == (3, "failed")
    assert (result.audience("vip")["status"], result.audience("vip")["members"]) == ("failed", 3)
    sent = project.sent()
    assert (newcomer, {"test": True}) in sent
    assert all("vip" not in traits for _, traits in sent)
    return str(result.audience("vip")["error"])


class TestTooFewRows:
    def test_are_refused_and_a_person_may_take_them_all_the_same(self, synced: Project) -> None:
        expecting(synced, rows=3)
        synced.write_members("vip.csv", "ada", "ada")
        assert refused(synced) == (
            "audience 'vip': the snapshot has 2 rows, and `expect.rows` requires at least 3. "
            "Nothing of it was compared or sent. If it is right anyway: audience-sync sync --accept vip"
        )
        said = synced.run("sync").stdout
        assert " s: 1 of 2 audiences could not be loaded." in said
        assert "\nFailed: vip\n  Reason  the snapshot has 2 rows, and `expect.rows` requires at least 3." in said
        assert said.endswith(
            "\n  After correcting it:\n    audience-sync sync\n"
            "  If the snapshot is right anyway:\n    audience-sync sync --accept vip\n"
        )
        assert "\n  Effect  its 3 members are unchanged since the last good run; nothing was sent\n" in said
        assert synced.sync("--accept", "vip").code == 0
        assert synced.sent() == [("bob", {"vip": False}), ("cyd", {"vip": False})]

    def test_are_refused_of_a_first_snapshot_too(self, vip: Project) -> None:
        vip.configure(audiences=[{**VIP, "expect": {"rows": 4}}])
        assert vip.sync().code == 3
        assert vip.sent() == []
        assert vip.query("select count(*) from properties") == [(0,)]

    def test_are_not_those_that_are_just_enough(self, synced: Project) -> None:
        expecting(synced, rows=3)
        synced.write_members("vip.csv", "ada", "bob", "bob")
        assert synced.sync().code == 0
        assert synced.sent() == [("cyd", {"vip": False})]


class TestAFileThatIsTooOld:
    def test_is_refused_though_it_did_not_change(self, synced: Project) -> None:
        expecting(synced, max_age="26h")
        age(synced, "vip.csv", 25)
        assert synced.sync().code == 0
        age(synced, "vip.csv", 27)
        assert "vip.csv is of" in refused(synced)
        age(synced, "vip.csv", 25)
        assert synced.sync().code == 0
        assert synced.sent() == []

    def test_is_refused_by_a_plan_and_a_check_too(self, synced: Project) -> None:
        expecting(synced, max_age="26h")
        age(synced, "vip.csv", 27)
        assert synced.run("plan").code == 3
        check = synced.run("check")
        assert check.code != 0
        assert "FAILED  audience     vip: vip.csv is of" in check.stdout


def test_a_snapshot_without_its_marker_is_refused(synced: Project) -> None:
    expecting(synced, marker="_SUCCESS")
    assert "there is no _SUCCESS, which marks the files as complete" in refused(synced)
    synced.write("_SUCCESS", "")
    synced.write_members("vip.csv", "ada", "bob")
    age(synced, "_SUCCESS", 1)
    assert "vip.csv was written after _SUCCESS: it may not be complete" in refused(synced, newcomer="eve")
    (synced.folder / "_SUCCESS").touch()
    assert synced.sync().code == 0
    assert synced.sent() == [("cyd", {"vip": False})]


def test_a_snapshot_that_is_not_as_its_manifest_says_is_refused(synced: Project) -> None:
    expecting(synced, manifest="manifest.json")
    synced.write("manifest.json", json.dumps({"files": [{"name": "vip.csv", "rows": 3}]}))
    synced.write_members("vip.csv", "ada", "bob")
    assert "there are 2 rows, and the manifest has 3" in refused(synced)
    checksum = sha256((synced.folder / "vip.csv").read_bytes()).hexdigest()
    synced.write("manifest.json", json.dumps({"files": [{"name": "vip.csv", "rows": 2, "sha256": checksum}]}))
    assert synced.sync().code == 0
    assert synced.sent() == [("cyd", {"vip": False})]


class TestOtherColumns:
    def test_are_refused_until_a_person_takes_them(self, synced: Project) -> None:
        synced.write("vip.csv", "user_id,why\nada,1\n")
        assert "the columns are not those of the last snapshot: with the new why." in refused(synced)
        assert synced.sync("--accept", "vip").code == 0
        synced.sent()
        synced.write("vip.csv", "why,user_id\n1,ada\n2,bob\n")
        assert synced.sync().code == 0
        assert synced.sent() == [("bob", {"vip": True})]

    def test_are_those_of_the_last_snapshot_that_was_used(self, synced: Project) -> None:
        synced.write("vip.csv", "user_id,why\n")
        refused(synced)
        synced.write_members("vip.csv", "ada", "bob")
        assert synced.sync().code == 0

    def test_are_known_from_the_next_run_on_after_they_are_expected_first(self, synced: Project) -> None:
        expecting(synced)
        age(synced, "vip.csv", 1)
        synced.sync()
        expecting(synced, columns="same")
        assert synced.sync().audience("vip")["status"] == "unchanged"
        synced.write("vip.csv", "user_id,why\n")
        assert "with the new why" in refused(synced)

    def test_are_of_no_concern_where_they_are_not_expected(self, synced: Project) -> None:
        expecting(synced)
        synced.write("vip.csv", "user_id,why\nada,1\n")
        assert synced.sync().code == 0
        expecting(synced, columns="same")
        synced.write("vip.csv", "user_id\nada\nbob\n")
        assert synced.sync().code == 0


def test_a_trait_of_another_type_is_refused(vip: Project) -> None:
    entry = {"source": "shop", "file": "traits.csv", "traits": ["revenue", "plan"], "expect": {"columns": "same"}}
    vip.configure(computed_traits=[entry])
    vip.write("traits.csv", "user_id,revenue,plan\nada,7,pro\n")
    vip.sync()
    vip.sent()
    vip.write("traits.csv", "user_id,revenue,plan\nada,8.5,free\nbob,n/a,free\n")
    result = vip.sync()
    assert (result.code, vip.sent()) == (3, [])
    assert result.json["traits"]["errors"] == [
        "computed_traits[0]: the columns are not those of the last snapshot: 'revenue' was number and is text. "
        "Nothing of it was compared or sent. If it is right anyway: audience-sync sync --accept revenue"
    ]
    vip.write("traits.csv", "user_id,revenue,plan\nada,8.5,free\n")
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"plan": "free", "revenue": 8.5})]


def test_audiences_of_one_query_are_refused_together(vip: Project) -> None:
    vip.configure(
        audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv", "expect": {"rows": 3}}], guard=LOOSE
    )
    vip.write("all.csv", "user_id,audience\nada,One\nbob,Two\ncyd,Two\n")
    vip.sync()
    vip.sent()
    vip.write("all.csv", "user_id,audience\nada,One\nbob,Two\n")
    result = vip.sync()
    assert (result.code, vip.sent()) == (3, [])
    assert [each["status"] for each in result.json["audiences"]] == ["failed", "failed"]
    assert (
        "audiences from shop:audience: the snapshot has 2 rows, and `expect.rows` requires at least 3."
        in result.audience("one")["error"]
    )
    assert vip.sync("--accept", "one").code == 0
    assert vip.sent() == [("cyd", {"two": False})]


def test_a_database_that_did_not_change_lately_is_refused(vip: Project) -> None:
    with closing(sqlite3.connect(vip.folder / "shop.db")) as connection, connection:
        connection.execute("create table vip as select 'ada' as user_id, datetime('now', '-1 hour') as at")
    expect = {"max_age": "2h", "modified": "select max(at) from vip"}
    entry = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip", "expect": expect}
    vip.configure(sources={"warehouse": {"database": "sqlite:///shop.db"}}, audiences=[entry])
    assert vip.sync().code == 0
    with closing(sqlite3.connect(vip.folder / "shop.db")) as connection, connection:
        connection.execute("update vip set user_id = 'bob', at = datetime('now', '-3 hours')")
    vip.sent()
    assert "the newest change is of" in vip.sync().audience("vip")["error"]
    assert vip.sent() == []


def test_what_is_refused_does_not_end_what_is_held(synced: Project) -> None:
    expecting(synced, marker="_SUCCESS")
    synced.write("_SUCCESS", "")
    synced.write_members("vip.csv")
    age(synced, "vip.csv", 1)
    assert synced.sync().code == 4
    (synced.folder / "_SUCCESS").unlink()
    assert synced.run("approve", "2").code == 3
    synced.write("_SUCCESS", "")
    assert synced.run("approve", "2").code == 0
    assert [user for user, _ in synced.sent()] == ["ada", "bob", "cyd"]
