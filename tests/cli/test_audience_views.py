"""The view of audiences is right after each command that changes one."""

from __future__ import annotations

import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
NEW = {"name": "New", "source": "shop", "file": "new.csv", "initial": "manual"}
AUDIENCES = "select key, members, created_run, last_run, last_status, flags from audiences order by key"
TRAITS = {"source": "shop", "file": "traits.csv", "traits": ["plan", "city"]}


@pytest.fixture
def two(vip: Project) -> Project:
    """VIP has three members, and New waits for its seed."""
    vip.configure(audiences=[VIP, NEW])
    vip.write_members("new.csv", "fay", "gus")
    assert vip.sync().code == 0
    return vip


def test_an_audience_that_waits_is_there_until_the_config_drops_it_or_it_is_seeded(two: Project) -> None:
    waiting = ("new", 0, None, 1, "waiting", "waiting")
    assert two.query(AUDIENCES) == [waiting, ("vip", 3, 1, 1, "created", "")]
    assert two.query("select name, source, created_at from audiences where key = 'new'") == [("New", "shop", None)]
    two.write_members("vip.csv", "ada")
    assert two.sync("vip").code == 0
    assert two.query(AUDIENCES) == [waiting, ("vip", 1, 1, 2, "synced", "")]
    two.configure(audiences=[VIP])
    two.sync()
    assert [key for key, *_ in two.query(AUDIENCES)] == ["vip"]
    two.configure(audiences=[VIP, NEW])
    two.sync()
    assert two.run("seed", "new", "--limit", "1").code == 0
    assert two.query(AUDIENCES)[0] == ("new", 2, 5, 5, "created", "")


def test_an_audience_whose_first_load_failed_is_there(vip: Project) -> None:
    vip.configure(audiences=[VIP, {"name": "Lost", "source": "shop", "file": "lost.csv"}])
    vip.sync()
    assert vip.query(AUDIENCES)[0] == ("lost", 0, None, 1, "failed", "failed")


def test_a_later_load_that_fails_leaves_the_members(vip: Project) -> None:
    vip.sync()
    (vip.folder / "vip.csv").unlink()
    vip.sync()
    assert vip.query(AUDIENCES) == [("vip", 3, 1, 2, "failed", "failed")]


def test_a_frozen_audience_is_one_until_it_is_unfrozen(vip: Project) -> None:
    vip.sync()
    vip.run("freeze", "vip", "--until", "2099-01-01T00:00")
    assert vip.query(AUDIENCES) == [("vip", 3, 1, 1, "created", "frozen")]
    vip.run("unfreeze", "vip")
    assert vip.query(AUDIENCES) == [("vip", 3, 1, 1, "created", "")]


def test_a_held_audience_is_one_until_it_is_approved(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv")
    assert vip.sync().code == 4
    assert vip.query(AUDIENCES) == [("vip", 3, 1, 2, "held", "held")]
    assert vip.run("approve", "2").code == 0
    assert vip.query(AUDIENCES) == [("vip", 0, 1, 3, "synced", "")]


def test_undo_and_retire_change_members_at_once(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    vip.sync()
    changed = "select changed_at = (select started_at from sync_runs where run = {run}) from audiences"
    assert vip.query(changed.format(run=2)) == [(1,)]
    assert vip.run("undo", "2", "--yes").code == 0
    assert vip.query("select key, members, last_run from audiences") == [("vip", 3, 3)]
    assert vip.query(changed.format(run=3)) == [(1,)]
    assert vip.run("retire", "vip", "--yes").code == 0
    assert vip.query("select key, members, flags, retired_at is not null from audiences") == [("vip", 0, "retired", 1)]


def test_a_holdout_and_min_stay_are_flags_and_counts(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "min_stay": "2d"}])
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    assert vip.query("select members, absent, held_out, flags from audiences") == [(3, 1, 0, "min_stay")]
    vip.configure(audiences=[{**VIP, "holdout": "50%"}])
    vip.sync("--accept", "vip")
    assert vip.query("select members + held_out, flags from audiences") == [(2, "holdout")]


def test_an_audience_has_the_source_that_it_was_loaded_from_last(vip: Project) -> None:
    vip.sync()
    assert vip.query("select source from audiences") == [("shop",)]
    moved = {**VIP, "source": "exports"}
    vip.configure(audiences=[moved], sources={"exports": {"files": "."}})
    vip.sync()
    assert vip.query("select name, source from audiences") == [("VIP", "exports")]


def test_an_audience_with_a_new_key_has_two_rows(vip: Project) -> None:
    vip.sync()
    vip.configure(audiences=[{**VIP, "key": "best"}])
    assert vip.run("sync", "--move-key", "vip=best").code == 0
    assert vip.query("select key, members, flags from audiences order by key") == [
        ("best", 3, ""),
        ("vip", 0, "retired"),
    ]


def test_computed_traits_and_their_changes(vip: Project) -> None:
    vip.configure(audiences=[VIP], computed_traits=[TRAITS])
    vip.write("traits.csv", "user_id,plan,city\nada,gold,Rome\nbob,,Bern\n")
    vip.sync()
    facts = "select key, name, source, users, created_run, flags from computed_traits order by key"
    assert vip.query(facts) == [("city", "city", "shop", 2, 1, ""), ("plan", "plan", "shop", 2, 1, "")]
    vip.write("traits.csv", "user_id,plan,city\nada,silver,Rome\nbob,silver,\n")
    vip.sync()
    changes = "select run, trait_key, user_id, previous_value, value from trait_changes order by user_id, trait_key"
    assert vip.query(changes) == [
        (2, "plan", "ada", '"gold"', '"silver"'),
        (2, "city", "bob", '"Bern"', None),
        (2, "plan", "bob", None, '"silver"'),
    ]
    assert vip.run("retire", "plan", "--yes").code == 0
    assert vip.query("select users, flags from computed_traits where key = 'plan'") == [(0, "retired")]
    assert vip.query("select audiences, computed_traits from destinations") == [(1, 1)]
