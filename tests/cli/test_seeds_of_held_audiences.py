"""A seed that a guard held says so, since which run, and how to decide (row 43)."""

from __future__ import annotations

import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
DECIDE = (
    "    audience-sync approve {run} vip\n"
    "  If it is wrong, correct the source; the next good snapshot ends the hold.\n"
    "  To drop this snapshot now:\n"
    "    audience-sync reject {run} vip\n"
)


@pytest.fixture
def undone(vip: Project) -> Project:
    """Run 2 seeded, and run 3 undid that."""
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    vip.sync()
    vip.run("seed", "vip")
    vip.run("undo", "2", "--yes")
    vip.sent()
    return vip


def test_what_was_undone_is_held_and_the_seed_says_since_when(undone: Project) -> None:
    seeded = undone.run("seed", "vip")
    assert seeded.code == 4
    assert seeded.stdout.startswith(
        "Run 4 held vip: 3 users would enter; it has 0 members. Nothing was sent.\n\naudience "
    )
    assert "\nHeld: vip\n  Change    3 users would enter; it has 0 members\n" in seeded.stdout
    assert "\n  Since     run 3, " in seeded.stdout
    assert seeded.stdout.endswith(DECIDE.format(run=4))
    assert "already seeded" not in seeded.stdout
    assert undone.sent() == []


def test_a_snapshot_that_a_sync_held_is_held_by_the_seed(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv")
    vip.sync()
    vip.sent()
    seeded = vip.run("seed", "vip")
    assert seeded.code == 4
    assert seeded.stdout.startswith("Run 3 held vip: 3 of 3 members (100%) would leave. Nothing was sent.\n")
    assert "\n  Since    run 2, " in seeded.stdout
    assert seeded.stdout.endswith(DECIDE.format(run=3))
    assert vip.sent() == []


def test_a_limit_that_the_seed_is_the_first_to_meet_has_no_earlier_run(vip: Project) -> None:
    vip.configure(audiences=[VIP], guard={"max_added": "50%", "at_least": 1})
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv", *(f"u{number}" for number in range(9)), "ada", "bob", "cyd")
    seeded = vip.run("seed", "vip")
    assert seeded.code == 4
    assert seeded.stdout.startswith("Run 2 held vip: 9 users would enter; it has 3 members. Nothing was sent.\n")
    assert "\n  Limit     50% may enter in one run (guard.max_added)\n" in seeded.stdout
    assert "Since" not in seeded.stdout
    assert vip.sent() == []


def test_a_ramp_of_a_held_audience_stops_and_says_so(undone: Project) -> None:
    ramp = undone.run("seed", "vip", "--ramp", "50%,100%")
    assert ramp.code == 4
    assert ramp.stdout.startswith(
        "Run 4 held vip: 3 users would enter; it has 0 members. Nothing was sent.\n\naudience "
    )
    assert "Held: vip\n  Change    3 users would enter; it has 0 members\n" in ramp.stdout
    assert "\n    audience-sync approve 4 vip\n" in ramp.stdout
    assert undone.sent() == []


def test_programs_get_the_hold_with_its_first_run(undone: Project) -> None:
    seeded = undone.run("seed", "vip", "--json")
    assert (seeded.code, seeded.json["status"]) == (4, "held")
    assert seeded.audience("vip")["held"] == {"since_run": 3, "entered": 3, "left": 0}


def test_an_approved_seed_is_sent_and_then_there_is_nothing_left(undone: Project) -> None:
    undone.run("seed", "vip")
    assert undone.run("approve", "4", "vip").code == 0
    assert len(undone.sent()) == 3
    again = undone.run("seed", "vip")
    assert (again.code, undone.sent()) == (0, [])
    assert again.stdout.startswith("Run 6: vip is already seeded at log. Nothing was sent.\n")


def test_a_finished_seed_is_not_called_recorded(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    vip.run("seed", "vip", "--limit", "1")
    vip.run("seed", "vip")
    assert len(vip.sent()) == 3
    assert vip.run("seed", "vip").stdout.startswith("Run 3: vip is already seeded at log. Nothing was sent.\n")


@pytest.mark.parametrize(
    ("initial", "first"),
    [("manual", ("seed", "vip", "--no-send")), ("none", ("sync",))],
    ids=["seed --no-send", "initial: none"],
)
def test_what_was_recorded_without_sending_is_called_so(vip: Project, initial: str, first: tuple[str, ...]) -> None:
    vip.configure(audiences=[{**VIP, "initial": initial}])
    vip.run(*first)
    again = vip.run("seed", "vip")
    assert (again.code, vip.sent()) == (0, [])
    assert again.stdout.startswith(
        "Run 2: the members of vip were recorded without sending; only later changes are sent. Nothing was sent.\n"
    )
