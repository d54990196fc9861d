"""A clock far from the newest run ends no stay and no freeze, and deletes no history, until a person accepts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from .conftest import Project

TIMES = ("started_at", "committed_at", "finished_at", "counted_at")


def turn_clock(project: Project, days: int) -> None:
    """The clock goes by so many days: the store's runs were as many days earlier."""
    moved = [f"{time} = strftime('%Y-%m-%d %H:%M:%f000', {time}, '{-days} days')" for time in TIMES]
    project.query(f"update runs set {', '.join(moved)}")


def warned(project: Project, *arguments: str) -> list[str]:
    result = project.sync(*arguments)
    assert result.code == 0
    return [each for each in result.json["warnings"] if "clock" in each]


@pytest.fixture
def staying(vip: Project) -> Project:
    """Cyd is missing since run 2, and stays for two days; all changes are kept for 30 days."""
    audience = {"name": "VIP", "source": "shop", "file": "vip.csv", "min_stay": "2d"}
    vip.configure(audiences=[audience], retention="30d")
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    return vip


def test_one_run_a_year_ahead_ends_no_stay_and_deletes_nothing(staying: Project) -> None:
    turn_clock(staying, 365)
    (warning,) = warned(staying)
    assert ", 365 days after the newest run (" in warning
    assert "`min_stay` ends for no member" in warning
    assert "`retention` deletes nothing" in warning
    assert warning.endswith("Correct the clock, or if it is right: audience-sync sync --accept-clock")
    assert staying.sent() == []
    assert staying.query("select * from pruned_history") == []

    turn_clock(staying, -365)
    assert warned(staying) == []
    starts = [start for (start,) in staying.query("select started_at from runs order by id")]
    assert starts == sorted(set(starts))
    assert staying.sent() == []
    assert staying.query("select * from pruned_history") == []

    turn_clock(staying, 3)
    assert warned(staying) == []
    assert staying.sent() == [("cyd", {"vip": False})]


def test_a_second_run_by_the_wrong_clock_ends_no_stay_either(staying: Project) -> None:
    turn_clock(staying, 365)
    warned(staying)
    turn_clock(staying, 3)
    (warning,) = warned(staying)
    assert ", 368 days after the newest run (" in warning
    assert staying.sent() == []
    assert staying.query("select * from pruned_history") == []


def test_a_store_that_was_not_used_for_weeks_goes_on_when_its_clock_is_accepted(staying: Project) -> None:
    turn_clock(staying, 21)
    assert len(warned(staying)) == 1
    assert staying.sent() == []
    assert warned(staying, "--accept-clock") == []
    assert staying.sent() == [("cyd", {"vip": False})]
    assert warned(staying) == []
    turn_clock(staying, 7)
    assert warned(staying) == []


def test_accepting_the_clock_deletes_what_is_too_old(staying: Project) -> None:
    turn_clock(staying, 60)
    warned(staying)
    assert staying.query("select * from pruned_history") == []
    warned(staying, "--accept-clock")
    warned(staying)
    assert staying.query("select history, through_run from pruned_history where history = 'requests'") == [
        ("requests", 2)
    ]


@pytest.mark.parametrize(("days", "warnings"), [(1, 0), (7, 0), (8, 1), (400, 1), (-7, 0), (-8, 1)])
def test_a_clock_more_than_a_week_from_the_newest_run_is_said(vip: Project, days: int, warnings: int) -> None:
    vip.sync()
    turn_clock(vip, days)
    assert len(warned(vip)) == warnings


def test_the_summary_says_it_too(vip: Project) -> None:
    vip.sync()
    turn_clock(vip, 30)
    shown = " ".join(vip.run("sync").stdout.split())
    assert "30 days after the newest run" in shown
    assert "audience-sync sync --accept-clock" in shown


def test_a_plan_says_it_and_forecasts_no_end_of_a_stay(staying: Project) -> None:
    turn_clock(staying, 21)
    planned = staying.run("plan", "--json").json
    assert planned["audiences"][0]["left"] == 0
    assert "21 days after" in planned["warnings"][0]


def test_a_plan_that_accepts_the_clock_is_carried_out_with_it(staying: Project) -> None:
    turn_clock(staying, 21)
    planned = staying.run("plan", "--accept-clock", "--out", "plan.json", "--json").json
    assert planned["audiences"][0]["left"] == 1
    assert planned["command"] == "audience-sync sync --accept-clock"
    assert warned(staying, "--plan", "plan.json") == []
    assert staying.sent() == [("cyd", {"vip": False})]


def test_everything_else_is_synced_by_a_doubted_clock(staying: Project) -> None:
    turn_clock(staying, 21)
    staying.write_members("vip.csv", "ada", "bob", "dan")
    assert len(warned(staying)) == 1
    assert staying.sent() == [("dan", {"vip": True})]


def test_a_stay_that_begins_by_a_doubted_clock_lasts_as_long_as_it_should(staying: Project) -> None:
    turn_clock(staying, 21)
    staying.write_members("vip.csv", "ada")
    warned(staying)
    assert warned(staying, "--accept-clock") == []
    assert staying.sent() == [("cyd", {"vip": False})]
    turn_clock(staying, 3)
    warned(staying)
    assert staying.sent() == [("bob", {"vip": False})]


def test_a_stay_counted_in_runs_ends_whatever_the_clock(vip: Project) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", "min_stay": "2 runs"}])
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sync()
    vip.sent()
    turn_clock(vip, 30)
    warned(vip)
    assert vip.sent() == [("cyd", {"vip": False})]


def test_an_undo_by_a_doubted_clock_says_it_and_undoes(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    turn_clock(vip, 30)
    undone = vip.run("undo", "2", "--yes", "--json")
    assert undone.code == 0
    assert ", 30 days after the newest run (" in undone.json["warnings"][0]
    assert vip.sent() == [("cyd", {"vip": True})]


def test_a_first_run_by_a_clock_of_the_future_is_mended_by_accepting_the_right_one(staying: Project) -> None:
    turn_clock(staying, -365)
    (warning,) = warned(staying)
    assert ", 364 days before the newest run" in warning or ", 365 days before the newest run" in warning
    assert warned(staying, "--accept-clock") == []
    assert warned(staying) == []


def turn_freezes(project: Project, days: int) -> None:
    shifted = f"strftime('%Y-%m-%d %H:%M:%f000', frozen_until, '{-days} days')"
    project.query(f"update audience_freezes set frozen_until = {shifted}")
    turn_clock(project, days)


@pytest.mark.parametrize("days", [30, 365, 3650])
def test_a_doubted_clock_ends_no_freeze_and_the_right_one_does(vip: Project, days: int) -> None:
    vip.sync()
    vip.sent()
    vip.run("freeze", "vip", "--until", f"{datetime.now(UTC) + timedelta(days=5):%Y-%m-%dT%H:%M:%SZ}")
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")

    turn_freezes(vip, days)
    (warning,) = warned(vip)
    assert "no freeze ends" in warning
    assert vip.sent() == []

    turn_freezes(vip, -days)
    assert warned(vip) == []
    assert vip.sent() == []

    turn_freezes(vip, 6)
    assert vip.sync().json["warnings"][0].startswith("audience 'vip': the freeze ended at ")
    assert vip.sent() == [("dan", {"vip": True})]
