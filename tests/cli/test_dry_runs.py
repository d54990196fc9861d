"""A preview says what would be, and ends with the command that would do it (row 45)."""

from __future__ import annotations

import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TEST = {"name": "Test", "source": "shop", "file": "test.csv"}


@pytest.fixture
def held(vip: Project) -> Project:
    """Run 2 holds the empty snapshot of `vip`."""
    vip.sync()
    vip.write_members("vip.csv")
    vip.sync()
    vip.sent()
    return vip


@pytest.fixture
def waiting(vip: Project) -> Project:
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    return vip


def test_a_plan_of_changes_ends_with_sync(vip: Project) -> None:
    assert vip.run("plan").stdout.endswith("\nTo do this:\n  audience-sync sync\n")


def test_a_plan_of_one_audience_ends_with_a_sync_of_it(vip: Project) -> None:
    vip.configure(audiences=[VIP, TEST])
    vip.write_members("test.csv", "ada")
    assert vip.run("plan", "vip").stdout.endswith("\nTo do this:\n  audience-sync sync vip\n")


def test_a_plan_of_a_snapshot_that_a_run_holds_ends_with_its_approval(held: Project) -> None:
    planned = held.run("plan")
    assert planned.stdout.startswith(
        "Plan: 1 audience would be held, no changes, nothing to send. Nothing was changed."
    )
    assert planned.stdout.endswith("\nIf the held change is right:\n  audience-sync approve 2 vip\n")
    assert "audience-sync sync" not in planned.stdout


def test_what_a_plan_says_to_type_does_it(held: Project) -> None:
    assert held.run(*held.run("plan").stdout.splitlines()[-1].split()[1:]).code == 0
    assert [traits for _, traits in held.sent()] == [{"vip": False}] * 3


def test_a_plan_of_a_snapshot_that_no_run_holds_yet_ends_with_its_acceptance(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv")
    planned = vip.run("plan").stdout
    assert planned.endswith("\nIf the held change is right:\n  audience-sync sync --accept vip\n")
    assert vip.run(*planned.splitlines()[-1].split()[1:]).code == 0
    assert len(vip.sent()) == 3


def test_a_plan_leaves_out_an_audience_that_waits_and_names_the_plan_of_it(waiting: Project) -> None:
    planned = waiting.run("plan").stdout
    assert planned.startswith("Plan: no changes, nothing to send. Nothing was changed.\n")
    assert planned.endswith("\nWaiting: vip is not part of this plan (`initial: manual`).\n  audience-sync plan vip\n")
    assert "To do this" not in planned


def test_a_plan_of_an_audience_that_waits_ends_with_its_seed(waiting: Project) -> None:
    planned = waiting.run("plan", "vip").stdout
    assert planned.startswith("Plan: 3 users would enter, 3 calls to 1 destination. Nothing was changed.\n")
    assert planned.endswith("\nTo do this:\n  audience-sync seed vip\n")
    assert waiting.run(*planned.splitlines()[-1].split()[1:]).code == 0
    assert len(waiting.sent()) == 3


def test_a_plan_without_changes_ends_without_a_command(vip: Project) -> None:
    vip.sync()
    planned = vip.run("plan").stdout
    assert planned.startswith("Plan: no changes, nothing to send. Nothing was changed.\n")
    assert "audience-sync" not in planned


def test_the_preview_of_a_retirement_says_that_the_hold_would_end(held: Project) -> None:
    shown = held.run("retire", "vip", "--dry-run")
    assert shown.code == 0
    assert "\nAudience 'vip': the hold of run 2 would end. The key 'vip' would be retired.\n" in shown.stdout
    assert "has ended" not in shown.stdout
    assert shown.stdout.endswith("\nNothing was changed or sent. To do this:\n  audience-sync retire vip\n")
    assert held.query("select status from holds") == [("held",)]


def test_a_retirement_without_a_terminal_changes_nothing_of_the_hold(held: Project) -> None:
    refused = held.run("retire", "vip")
    assert refused.code == 2
    assert "Add --yes to confirm, or --dry-run to look." in refused.stderr
    assert "has ended" not in refused.stdout + refused.stderr
    assert held.query("select status from holds") == [("held",)]


def test_the_preview_of_an_undo_ends_with_the_undo(held: Project) -> None:
    shown = held.run("undo", "1", "--dry-run")
    assert shown.code == 0
    assert shown.stdout.startswith("Undo run 1 (sync, ")
    assert shown.stdout.endswith("\nNothing was changed or sent. To do this:\n  audience-sync undo 1\n")
    assert "has ended" not in shown.stdout
    assert held.query("select status from holds") == [("held",)]
    assert held.sent() == []
