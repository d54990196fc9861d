"""A user is in at most one audience of a group: the first that has them."""

from __future__ import annotations

import os
from typing import Any

import pytest

from .conftest import Project


def grouped(project: Project, *names: str, groups: Any = None, guard: Any = None, **own: dict[str, Any]) -> None:
    """Audiences of these names, in this order, each from a file; ``own``: what some have beside that."""
    project.configure(
        audiences=[{"name": name, "source": "shop", "file": f"{name}.csv", **own.get(name, {})} for name in names],
        priority_groups={"campaign": list(names)} if groups is None else groups,
        guard=guard or {"max_removed": "100%"},
    )


def write(project: Project, name: str, *users: str, at: int = 1) -> None:
    """A snapshot of some time ago: it is not read again until it changes."""
    os.utime(project.write_members(f"{name}.csv", *users), (at, at))


def members(project: Project) -> dict[str, str]:
    """By audience, the users."""
    rows = project.query("select audience_key, user_id from audience_members order by audience_key, user_id")
    return {key: " ".join(user for of, user in rows if of == key) for key in dict.fromkeys(of for of, _ in rows)}


def statuses(project: Project, *arguments: str) -> dict[str, str]:
    return {each["key"]: each["status"] for each in project.run(*arguments, "--json").json["audiences"]}


@pytest.fixture
def campaign(vip: Project) -> Project:
    """`gold` before `silver` before `rest`; everyone is sent."""
    grouped(vip, "gold", "silver", "rest")
    write(vip, "gold", "ada", "bob")
    write(vip, "silver", "bob", "cyd")
    write(vip, "rest", "ada", "bob", "cyd", "dan")
    assert vip.sync().code == 0
    assert vip.sent() == [
        ("ada", {"gold": True}),
        ("bob", {"gold": True}),
        ("cyd", {"silver": True}),
        ("dan", {"rest": True}),
    ]
    return vip


def test_the_first_audience_that_has_a_user_wins(campaign: Project) -> None:
    assert members(campaign) == {"gold": "ada bob", "rest": "dan", "silver": "cyd"}
    assert statuses(campaign, "sync") == {"gold": "unchanged", "silver": "unchanged", "rest": "unchanged"}
    assert campaign.sent() == []


def test_a_user_who_moves_gets_one_call_although_only_one_source_has_changed(campaign: Project) -> None:
    write(campaign, "gold", "ada", "cyd", at=2)
    assert campaign.sync().code == 0
    assert campaign.sent() == [("bob", {"gold": False, "silver": True}), ("cyd", {"gold": True, "silver": False})]
    assert members(campaign) == {"gold": "ada cyd", "rest": "dan", "silver": "bob"}
    assert statuses(campaign, "sync") == {"gold": "unchanged", "silver": "unchanged", "rest": "unchanged"}


def test_who_leaves_one_falls_to_the_next_that_has_them(campaign: Project) -> None:
    write(campaign, "gold", "ada", at=2)
    write(campaign, "silver", "cyd", at=2)
    campaign.sync()
    assert campaign.sent() == [("bob", {"gold": False, "rest": True})]


def test_rows_without_an_id_are_still_counted(campaign: Project) -> None:
    campaign.write("rest.csv", "user_id,name\nada,a\n,nobody\ndan,d\n")
    assert campaign.sync().audience("rest")["invalid"] == 1
    assert campaign.sent() == []


@pytest.mark.parametrize("how", ["held", "failed", "frozen", "not looked at"])
def test_an_earlier_audience_that_stays_as_it_is_counts_as_it_is(campaign: Project, how: str) -> None:
    guard = {"gold": {"guard": {"max_removed": "10%", "at_least": 0}}}
    grouped(campaign, "gold", "silver", "rest", **(guard if how == "held" else {}))
    if how == "frozen":
        campaign.run("freeze", "gold")
    if how == "failed":
        (campaign.folder / "gold.csv").unlink()
    else:
        write(campaign, "gold", "dan", at=2)
    write(campaign, "silver", "ada", "cyd", "dan", at=2)
    campaign.run("sync", *(("silver",) if how == "not looked at" else ()))
    assert campaign.query("select status from audience_syncs where run = 2 and audience_key = 'gold'") == (
        [] if how == "not looked at" else [(how,)]
    )
    assert campaign.sent() == [("dan", {"rest": False, "silver": True})]
    assert members(campaign) == {"gold": "ada bob", "silver": "cyd dan"}


def test_approving_an_earlier_one_moves_its_users(campaign: Project) -> None:
    grouped(campaign, "gold", "silver", "rest", gold={"guard": {"max_removed": "10%", "at_least": 0}})
    write(campaign, "gold", "cyd", at=2)
    assert campaign.sync().code == 4
    assert campaign.sent() == []
    assert campaign.run("approve", "2", "gold").code == 0
    assert campaign.sent() == [
        ("ada", {"gold": False, "rest": True}),
        ("bob", {"gold": False, "silver": True}),
        ("cyd", {"gold": True, "silver": False}),
    ]


def test_a_run_over_one_audience_takes_its_users_out_of_those_after_it(campaign: Project) -> None:
    assert statuses(campaign, "sync", "gold") == {"gold": "unchanged"}
    write(campaign, "gold", "ada", "bob", "cyd", at=2)
    assert statuses(campaign, "sync", "gold") == {"gold": "synced", "silver": "synced", "rest": "unchanged"}
    assert campaign.sent() == [("cyd", {"gold": True, "silver": False})]


def test_a_member_who_stays_for_a_while_stays_in_the_first(vip: Project) -> None:
    grouped(vip, "gold", "silver", gold={"min_stay": "2 runs"}, silver={"min_stay": "2 runs"})
    write(vip, "gold", "ada", "bob")
    write(vip, "silver", "bob", "cyd")
    vip.sync()
    vip.sent()
    write(vip, "gold", "ada", at=2)
    vip.sync()
    vip.sync()
    assert vip.sent() == []
    vip.sync()
    assert vip.sent() == [("bob", {"gold": False, "silver": True})]
    write(vip, "gold", "ada", "cyd", at=3)
    vip.sync()
    assert vip.sent() == [("cyd", {"gold": True, "silver": False})]


def test_who_is_held_out_of_the_first_is_in_no_other(vip: Project) -> None:
    """Of `vip` cyd and fay are held out with 10%."""
    grouped(vip, "vip", "rest", vip={"holdout": "10%"})
    write(vip, "vip", "ada", "cyd")
    write(vip, "rest", "ada", "cyd", "fay", "gus")
    vip.sync()
    assert vip.sent() == [("ada", {"vip": True}), ("fay", {"rest": True}), ("gus", {"rest": True})]
    write(vip, "vip", "ada", "fay", at=2)
    vip.sync()
    assert vip.sent() == [("cyd", {"rest": True}), ("fay", {"rest": False})]
    assert vip.query("select audience_key, user_id from held_out_members") == [("vip", "fay")]


def test_a_seed_takes_users_out_of_those_after_it(vip: Project) -> None:
    grouped(vip, "gold", "silver", gold={"initial": "manual"})
    write(vip, "gold", "ada", "bob")
    write(vip, "silver", "bob", "cyd")
    vip.sync()
    assert vip.sent() == [("bob", {"silver": True}), ("cyd", {"silver": True})]
    assert vip.run("seed", "gold").code == 0
    vip.sync()
    assert vip.sent() == [("ada", {"gold": True}), ("bob", {"gold": True}), ("bob", {"silver": False})]
    assert members(vip) == {"gold": "ada bob", "silver": "cyd"}


def test_another_order_moves_users_and_without_a_group_everyone_is_where_they_are(campaign: Project) -> None:
    grouped(campaign, "gold", "silver", "rest", groups={"campaign": ["silver", "gold", "rest"]})
    campaign.sync()
    assert campaign.sent() == [("bob", {"gold": False, "silver": True})]
    grouped(campaign, "gold", "silver", "rest", groups={})
    campaign.sync()
    assert members(campaign) == {"gold": "ada bob", "rest": "ada bob cyd dan", "silver": "bob cyd"}


def test_names_and_keys_may_be_written(vip: Project) -> None:
    grouped(vip, "Gold Members", "silver", groups={"campaign": ["gold_members", "silver"]})
    write(vip, "Gold Members", "ada")
    write(vip, "silver", "ada", "bob")
    vip.sync()
    assert vip.sent() == [("ada", {"gold_members": True}), ("bob", {"silver": True})]


@pytest.mark.parametrize("called", ["gold", "best", "Best"], ids=["the stored key", "the new name's", "the new name"])
def test_a_renamed_audience_is_found_by_its_stored_key_and_by_its_new_name(vip: Project, called: str) -> None:
    gold, silver = ({"name": name, "source": "shop", "file": f"{name}.csv"} for name in ("Gold", "Silver"))
    write(vip, "Gold", "ada")
    write(vip, "Silver", "ada", "bob")
    vip.configure(audiences=[gold, silver], priority_groups={"campaign": ["gold", "silver"]})
    vip.sync()
    vip.sent()
    vip.configure(audiences=[{**gold, "name": "Best"}, silver], priority_groups={"campaign": [called, "silver"]})
    write(vip, "Gold", "bob", at=2)
    assert vip.run("check").code == 0
    assert vip.sync("--accept", "gold").code == 0
    assert vip.sent() == [("ada", {"gold": False, "silver": True}), ("bob", {"gold": True, "silver": False})]


@pytest.mark.parametrize("command", ["sync", "plan", "check"])
def test_a_stored_key_is_in_a_group_once_and_has_to_be_an_audience_of_the_config(vip: Project, command: str) -> None:
    gold = {"name": "Gold", "source": "shop", "file": "vip.csv"}
    vip.configure(audiences=[gold])
    vip.sync()
    vip.configure(audiences=[{**gold, "name": "Best"}], priority_groups={"one": ["gold", "best"], "two": ["golt"]})
    wrong = vip.run(command)
    said = " ".join((wrong.stdout + wrong.stderr).split())
    assert wrong.code == 2
    assert "`best` is already priority_groups.one[0]: an audience can be in one group only, and only once" in said
    assert "unknown audience `golt`. Audiences: Best (audiences of `names_from` can't be in a group)" in said


def test_a_group_that_is_wrong_is_refused(vip: Project) -> None:
    vip.configure(
        audiences=[{"name": name, "source": "shop", "file": "vip.csv"} for name in ("Gold", "Silver")],
        computed_traits=[{"source": "shop", "file": "vip.csv", "traits": ["plan"]}],
        priority_groups={"one": ["Gold", "Sliver", "plan"], "two": ["gold"]},
    )
    wrong = vip.run("sync")
    assert wrong.code == 2
    assert (
        "priority_groups.one[1]: unknown audience `Sliver`. Did you mean `Silver`? "
        "(audiences of `names_from` can't be in a group)"
    ) in wrong.stderr
    assert "priority_groups.one[2]: `plan` is a computed trait: a group can only have audiences" in wrong.stderr
    assert (
        "priority_groups.two[0]: `gold` is already priority_groups.one[0]: "
        "an audience can be in one group only, and only once"
    ) in wrong.stderr


def test_limits_together_count_the_audiences_of_earlier_ranks(campaign: Project) -> None:
    grouped(
        campaign, "gold", "silver", "rest", guard={"max_added": "1000%", "at_least": 0, "together": {"max_added": 3}}
    )
    write(campaign, "gold", "ada", "bob", "eve", "fay", at=2)
    write(campaign, "silver", "bob", "cyd", "gus", "hal", at=2)
    assert statuses(campaign, "sync") == {"gold": "synced", "silver": "held", "rest": "unchanged"}
    assert members(campaign) == {"gold": "ada bob eve fay", "rest": "dan", "silver": "cyd"}
