"""A member who is missing for a while stays, without a call, and leaves when that time is over."""

from __future__ import annotations

import os
from typing import Any

import pytest

from .conftest import Project, until


def damped(project: Project, stay: str | None, **more: Any) -> None:
    audience = {"name": "VIP", "source": "shop", "file": "vip.csv", **({"min_stay": stay} if stay else {}), **more}
    project.configure(audiences=[audience])


@pytest.fixture
def synced(vip: Project) -> Project:
    """`vip` stays for two runs; all members are sent."""
    damped(vip, "2 runs")
    vip.sync()
    vip.sent()
    return vip


def counts(project: Project, *arguments: str) -> dict[str, Any]:
    found = project.sync(*arguments).audience("vip")
    return {name: found[name] for name in ("status", "members", "left", "absent", "returned")}


def test_who_comes_back_in_time_is_sent_nothing(synced: Project) -> None:
    synced.write_members("vip.csv", "ada")
    assert counts(synced) == {"status": "unchanged", "members": 3, "left": 0, "absent": 2, "returned": 0}
    synced.write_members("vip.csv", "ada", "bob")
    assert counts(synced) == {"status": "unchanged", "members": 3, "left": 0, "absent": 1, "returned": 1}
    assert synced.sent() == []
    assert synced.query("select user_id, since_run from absent_members") == [("cyd", 2)]
    assert synced.run("members", "vip").stdout.count("\n") == 4

    assert counts(synced) == {"status": "synced", "members": 2, "left": 1, "absent": 0, "returned": 0}
    assert synced.sent() == [("cyd", {"vip": False})]
    assert synced.query("select absent, returned from audience_syncs order by run") == [(0, 0), (2, 0), (1, 1), (0, 0)]
    assert synced.query("select change, user_id from membership_changes") == [("left", "cyd")]


def test_time_passes_although_the_source_stands_still(synced: Project) -> None:
    os.utime(synced.write_members("vip.csv", "ada", "bob"), (1, 1))
    assert [counts(synced)["absent"] for _ in range(3)] == [1, 1, 0]
    assert synced.sent() == [("cyd", {"vip": False})]
    assert counts(synced)["status"] == "unchanged"
    assert synced.sent() == []


def test_a_stay_may_be_a_time(vip: Project) -> None:
    damped(vip, "8s")
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv", "ada", "bob")
    assert counts(vip)["absent"] == 1
    assert counts(vip)["absent"] == 1
    assert vip.sent() == []
    until(lambda: counts(vip)["absent"] == 0)
    assert vip.sent() == [("cyd", {"vip": False})]


def test_without_a_stay_everyone_who_is_missing_leaves_with_the_next_run(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    damped(synced, None)
    assert counts(synced) == {"status": "synced", "members": 2, "left": 1, "absent": 0, "returned": 0}
    assert synced.query("select * from absent_members") == []


def test_a_guard_judges_who_goes_missing_and_nobody_twice(synced: Project) -> None:
    limits = {"max_removed": "50%", "at_least": 0}
    damped(synced, "2 runs", guard=limits)
    synced.write_members("vip.csv")
    assert synced.sync().code == 4
    assert counts(synced) == {"status": "held", "members": 3, "left": 0, "absent": 0, "returned": 0}
    assert synced.query("select * from absent_members") == []

    synced.write_members("vip.csv", "ada", "bob")
    assert counts(synced)["absent"] == 1
    synced.write_members("vip.csv", "ada")
    assert counts(synced)["absent"] == 2
    synced.write_members("vip.csv")
    assert synced.sync().code == 4
    assert synced.query("select user_id from absent_members order by user_id") == [("bob",), ("cyd",)]
    assert synced.sent() == []

    assert synced.run("approve", "6", "vip").code == 0
    assert synced.sent() == [("cyd", {"vip": False})]
    assert synced.query("select user_id from absent_members order by user_id") == [("ada",), ("bob",)]


def test_a_frozen_audience_keeps_those_who_are_missing(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    synced.run("freeze", "vip")
    synced.sync()
    synced.sync()
    assert synced.sent() == []
    synced.run("unfreeze", "vip")
    assert counts(synced)["absent"] == 1
    assert counts(synced)["left"] == 1


def test_a_plan_says_what_the_run_then_does(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    synced.sync()
    planned = synced.run("plan", "--json").json
    assert planned["audiences"][0]["left"] == 1
    assert planned["destinations"][0]["calls"] == 1
    assert synced.sync().audience("vip")["left"] == 1


def test_explain_says_that_a_user_is_missing_and_when_false_is_sent(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    assert "vip: missing from its source since run 2 (" in synced.run("explain", "cyd").stdout
    assert "`false` is sent 2 runs after that, unless the user comes back" in synced.run("explain", "cyd").stdout
    explained = synced.run("explain", "cyd", "--json").json["audiences"][0]
    assert (explained["value"], explained["missing"]["run"], explained["missing"]["min_stay"]) == (True, 2, "2 runs")


def test_resync_sends_true_to_missing_members_who_stay(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    assert synced.run("resync", "vip").code == 0
    assert synced.sent() == [("ada", {"vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]


def test_an_erased_user_is_missing_nowhere(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    assert synced.run("erase", "cyd").code == 0
    assert synced.query("select * from absences") == []
    assert counts(synced)["absent"] == 0
    assert synced.sent() == []


def test_each_of_many_audiences_of_a_query_is_damped(vip: Project) -> None:
    vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv", "min_stay": "1 run"}])
    vip.write("all.csv", "audience,user_id\nGold,ada\nGold,dan\nSilver,bob\n")
    vip.sync()
    vip.sent()
    os.utime(vip.write("all.csv", "audience,user_id\nGold,ada\nSilver,bob\nSilver,eve\n"), (1, 1))
    assert vip.sync().audience("gold")["absent"] == 1
    assert vip.sent() == [("eve", {"silver": True})]
    assert vip.sync().audience("gold")["left"] == 1
    assert vip.sent() == [("dan", {"gold": False})]


@pytest.mark.parametrize("stay", ["3", "0 runs", "soon", 3], ids=["no unit", "no runs", "a word", "a number"])
def test_a_stay_is_a_number_of_runs_or_a_time(vip: Project, stay: Any) -> None:
    damped(vip, stay)
    wrong = vip.run("sync")
    assert wrong.code == 2
    assert "write a number of runs such as `3 runs`, or a duration such as `2d`" in wrong.stderr


def test_runs_still_count_where_their_history_is_not_kept(vip: Project) -> None:
    """`retention` leaves the runs since a member was missed first."""
    audience = {"name": "VIP", "source": "shop", "file": "vip.csv", "min_stay": "2 runs"}
    vip.configure(audiences=[audience], retention="1ms")
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv", "ada", "bob")
    assert [counts(vip)["absent"] for _ in range(3)] == [1, 1, 0]
    assert vip.sent() == [("cyd", {"vip": False})]
    vip.sync()
    assert vip.query("select count(*) from audience_syncs") == [(0,)]
