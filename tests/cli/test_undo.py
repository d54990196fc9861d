"""A run is undone without overwriting newer changes, and stays undone."""

from __future__ import annotations

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment


def enter_and_leave(vip: Project) -> None:
    """Run 1: ada, bob and cyd. Run 2: cyd leaves, dan enters."""
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob", "dan")
    vip.sync()
    vip.sent()


def test_undo_sends_the_inverse_of_what_the_run_changed(vip: Project) -> None:
    enter_and_leave(vip)
    undone = vip.run("undo", "2", "--yes", "--json")
    assert (undone.code, undone.audience("vip")["members"]) == (0, 3)
    assert (undone.audience("vip")["entered"], undone.audience("vip")["left"]) == (1, 1)
    assert vip.sent() == [("cyd", {"vip": True}), ("dan", {"vip": False})]
    assert vip.query("select user_id from audience_members order by 1") == [("ada",), ("bob",), ("cyd",)]


def test_what_was_undone_is_held_when_its_source_says_it_again(vip: Project) -> None:
    enter_and_leave(vip)
    vip.run("undo", "2", "--yes")
    vip.sent()
    for _ in range(2):
        held = vip.sync()
        assert (held.code, held.audience("vip")["status"]) == (4, "held")
        why = "audience 'vip' is held: the snapshot repeats changes of run 2, which run 3 undid."
        assert held.audience("vip")["error"].startswith(f"{why} Nothing of it was changed or sent.")
    vip.write_members("vip.csv", "ada", "bob", "dan", "eve")  # and something else as well
    assert vip.sync().code == 4
    assert vip.sent() == []

    vip.run("reject", "6")
    assert vip.sync().code == 4
    approved = vip.run("approve", "7", "--json")
    assert (approved.code, approved.audience("vip")["members"]) == (0, 4)
    assert vip.sent() == [("cyd", {"vip": False}), ("dan", {"vip": True}), ("eve", {"vip": True})]
    assert vip.sync().code == 0


def test_an_undone_first_run_is_held_for_the_undo_and_not_for_a_limit(vip: Project) -> None:
    vip.sync()
    vip.run("undo", "1", "--yes")
    for _ in range(2):
        held = vip.sync()
        assert (held.code, held.audience("vip")["status"]) == (4, "held")
        assert "the snapshot repeats changes of run 1, which run 2 undid" in held.audience("vip")["error"]
        assert "limit" not in held.audience("vip")["error"]
    assert vip.query("select count(*) from holds where reason like '%and the limit is%'") == [(0,)]


def test_after_a_rejection_the_reason_still_names_the_run_that_undid(vip: Project) -> None:
    enter_and_leave(vip)
    vip.run("undo", "2", "--yes")
    vip.sync()
    vip.run("reject", "4")
    held = vip.sync()
    assert "the snapshot repeats changes of run 2, which run 3 undid" in held.audience("vip")["error"]


def test_traits_that_repeat_what_was_undone_are_one_line(project: Project) -> None:
    traits = {"source": "shop", "file": "profile.csv", "traits": ["age", "city", "plan"]}
    project.configure(computed_traits=[traits])
    project.write("profile.csv", "user_id,age,city,plan\nada,31,Bern,free\nbob,32,Genf,pro\n")
    project.sync()
    project.run("undo", "1", "--yes")
    for run in (3, 4):
        shown = project.run("sync").stdout
        assert shown.count("repeats") == 1
        assert (
            "\nHeld: 3 computed traits of profile.csv of shop\n"
            "  Reason  the snapshot repeats changes of run 1, which run 2 undid\n"
        ) in shown
        assert "\n  Traits  age, city, plan\n" in shown
        assert f"\n    audience-sync approve {run}\n" in shown
    project.write("profile.csv", "user_id,age,city,plan\nada,31,,\nbob,32,,\n")
    shown = project.run("sync").stdout
    assert (shown.count("repeats"), shown.count("\nHeld: age\n")) == (1, 1)
    assert "the snapshot repeats changes of run 1, which run 2 undid\n" in shown
    assert project.run("approve", "5").code == 0


def test_a_source_that_was_put_right_goes_through(vip: Project) -> None:
    enter_and_leave(vip)
    vip.run("undo", "2", "--yes")
    vip.write_members("vip.csv", "ada", "bob", "cyd", "eve")
    vip.sent()
    righted = vip.sync()
    assert righted.code == 0
    assert any(
        "the hold of run 3 has ended. The new snapshot is within the limits." in each
        for each in righted.json["warnings"]
    )
    assert vip.sent() == [("eve", {"vip": True})]


def test_where_something_newer_stands_it_stays_and_is_listed(vip: Project) -> None:
    enter_and_leave(vip)
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    vip.sync()
    vip.sent()
    undone = vip.run("undo", "2", "--yes", "--json")
    assert undone.json["left_alone"] == [{"key": "vip", "user_id": "cyd", "run": 3}]
    assert "Skipped: 1 user of vip has a newer change: cyd (run 3)." in undone.json["warnings"]
    assert vip.sent() == [("dan", {"vip": False})]


def test_the_run_that_created_an_audience_is_undone_by_false_to_its_members(vip: Project) -> None:
    enter_and_leave(vip)
    undone = vip.run("undo", "1", "--yes", "--json")
    assert undone.audience("vip")["members"] == 1
    assert undone.json["left_alone"] == [{"key": "vip", "user_id": "cyd", "run": 2}]
    assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False})]
    assert vip.sync().code == 4


def test_an_audience_that_was_never_sent_is_undone_without_calls(vip: Project) -> None:
    vip.run("seed", "vip", "--no-send")
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    undone = vip.run("undo", "1", "--yes", "--json")
    assert undone.audience("vip")["members"] == 0
    assert vip.sent() == []
    vip.run("sync", "--accept", "vip")
    assert vip.sent() == [("ada", {"vip": True}), ("bob", {"vip": True})]


def test_a_seed_is_undone_for_whom_it_reached(vip: Project) -> None:
    vip.run("seed", "vip", "--limit", "2")
    assert vip.sent() == [("ada", {"vip": True}), ("bob", {"vip": True})]
    vip.run("undo", "1", "--yes")
    assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False})]


def test_computed_traits_get_their_values_back(project: Project) -> None:
    traits = [{"source": "shop", "file": "traits.csv", "traits": ["city", "age"]}]
    project.configure(computed_traits=traits)
    project.write("traits.csv", "user_id,city,age\nada,Oslo,41\nbob,Rome,42\n")
    project.sync()
    project.write("traits.csv", "user_id,city,age\nada,Bergen,41\nbob,,43\ncyd,Bonn,\n")
    project.sync()
    project.write("traits.csv", "user_id,city,age\nada,Bergen,41\nbob,,44\ncyd,Bonn,\n")
    project.sync()
    project.sent()
    undone = project.run("undo", "2", "--yes", "--json")
    assert (undone.code, undone.json["traits"]["changed"]) == (0, 3)
    assert undone.json["left_alone"] == [{"key": "age", "user_id": "bob", "run": 3}]
    assert project.sent() == [("ada", {"city": "Oslo"}), ("bob", {"city": "Rome"}), ("cyd", {"city": None})]
    held = project.sync()
    assert (held.code, [each["key"] for each in held.json["traits"]["held"]]) == (4, ["city"])
    assert project.sent() == []
    project.write("traits.csv", "user_id,city,age\nada,Oslo,41\nbob,Rome,45\n")
    assert project.sync().code == 0
    assert project.sent() == [("bob", {"age": 45})]


def test_a_destination_that_answered_nothing_never_hears_of_what_was_undone(vip: Project, receiver: Receiver) -> None:
    """Calls without an answer may have arrived: it is sent what was so before."""
    audiences = [{"name": "VIP", "source": "shop", "file": "vip.csv"}]
    vip.configure(audiences=audiences, destinations={"segment": segment(receiver, give_up_after="100ms")})
    vip.sync()
    receiver.will_answer(Reply(503))
    vip.write_members("vip.csv", "ada", "bob", "dan")
    assert vip.sync().code == 3
    receiver.will_answer(ACCEPTED)
    receiver.requests.clear()
    assert vip.run("undo", "2", "--yes").code == 0
    assert calls(receiver) == [("cyd", {"vip": True}), ("dan", {"vip": False})]


@pytest.mark.parametrize(
    ("order", "says"),
    [
        pytest.param(["undo", "9"], "there is no run 9. See them: audience-sync history", id="no such run"),
        pytest.param(["undo", "3"], "there is no run 3.", id="the undoing itself"),
        pytest.param(["undo", "2"], "run 2 changed nothing: there is nothing to undo.", id="nothing changed"),
    ],
)
def test_what_cannot_be_undone_is_said(vip: Project, order: list[str], says: str) -> None:
    vip.sync()
    vip.sync()
    refused = vip.run(*order, "--yes")
    assert (refused.code, says in refused.stderr) == (2, True)


def test_what_is_frozen_is_not_undone(vip: Project) -> None:
    enter_and_leave(vip)
    vip.run("freeze", "vip")
    refused = vip.run("undo", "2", "--yes")
    assert (refused.code, vip.sent()) == (2, [])
    assert "run 2 changed what is frozen: audience 'vip' is frozen since" in refused.stderr
    assert vip.query("select count(*) from changes where run_id > 2") == [(0,)]


def test_an_undoing_can_be_undone(vip: Project) -> None:
    enter_and_leave(vip)
    vip.run("undo", "2", "--yes")
    vip.sent()
    vip.run("undo", "3", "--yes")
    assert vip.sent() == [("cyd", {"vip": False}), ("dan", {"vip": True})]
    assert vip.sync().code == 0
    assert vip.query("select command from sync_runs where run in (3, 4) order by run") == [("undo 2",), ("undo 3",)]
