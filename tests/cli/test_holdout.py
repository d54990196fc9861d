"""A share of an audience's users is never sent `true`, always the same users.

Of `vip` the hashes are, as shares: cyd 0.053, fay 0.069, dan 0.103, gus 0.114,
hal 0.437, ada 0.449, bob 0.813, eve 0.819.
"""

from __future__ import annotations

import os
from hashlib import md5
from typing import Any

import pytest

from .conftest import Project

EVERYONE = ("ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")
HELD_OUT = "select user_id from held_out_members order by user_id"


def hold_out(project: Project, share: Any, **more: Any) -> None:
    own = {} if share is None else {"holdout": share}
    audience = {"name": "VIP", "source": "shop", "file": "vip.csv", **own, **more}
    project.configure(audiences=[audience], guard={"max_removed": "100%"})


def counts(project: Project, *arguments: str) -> dict[str, Any]:
    found = project.sync(*arguments).audience("vip")
    return {name: found[name] for name in ("status", "members", "entered", "left", "held_out")}


def sent(project: Project) -> dict[str, bool]:
    return {user: traits["vip"] for user, traits in project.sent()}


def held_out(project: Project) -> list[str]:
    return [user for (user,) in project.query(HELD_OUT)]


@pytest.fixture
def held(vip: Project) -> Project:
    """10% of `vip` are held out: cyd and fay. Everyone else was sent."""
    hold_out(vip, "10%")
    os.utime(vip.write_members("vip.csv", *EVERYONE), (1, 1))
    assert counts(vip) == {"status": "created", "members": 6, "entered": 6, "left": 0, "held_out": 2}
    assert sent(vip) == dict.fromkeys(["ada", "bob", "dan", "eve", "gus", "hal"], True)
    return vip


def test_who_is_held_out_follows_from_a_documented_hash(held: Project) -> None:
    by_hash = [user for user in EVERYONE if int(md5(f"vip:{user}".encode()).hexdigest()[:8], 16) / 16**8 < 0.1]
    assert by_hash == held_out(held) == ["cyd", "fay"]


def test_who_is_held_out_is_in_a_view_and_no_member(held: Project) -> None:
    view = "select audience_key, user_id, since_run, holdout, holdout_salt from held_out_members order by user_id"
    assert held.query(view) == [("vip", "cyd", 1, 0.1, "vip"), ("vip", "fay", 1, 0.1, "vip")]
    assert held.query("select count(*) from audience_members where user_id in ('cyd', 'fay')") == [(0,)]
    assert held.query("select held_out from audience_syncs") == [(2,)]


def test_users_come_and_go_on_both_sides(held: Project) -> None:
    held.write_members("vip.csv", "ada", "bob", "cyd", "dan", "eve", "gus")
    assert counts(held) == {"status": "synced", "members": 5, "entered": 0, "left": 1, "held_out": 1}
    assert (sent(held), held_out(held)) == ({"hal": False}, ["cyd"])
    held.write_members("vip.csv", "ada", "bob", "dan", "eve", "fay", "gus", "hal")
    assert counts(held) == {"status": "synced", "members": 6, "entered": 1, "left": 0, "held_out": 1}
    assert (sent(held), held_out(held)) == ({"hal": True}, ["fay"])


def test_a_larger_share_keeps_who_was_held_out_and_takes_more_users_out(held: Project) -> None:
    hold_out(held, "50%")
    assert counts(held) == {"status": "synced", "members": 2, "entered": 0, "left": 4, "held_out": 6}
    assert sent(held) == dict.fromkeys(["ada", "dan", "gus", "hal"], False)
    assert held_out(held) == ["ada", "cyd", "dan", "fay", "gus", "hal"]
    assert held.query("select user_id from held_out_members where since_run = 1 order by user_id") == [
        ("cyd",),
        ("fay",),
    ]


def test_a_smaller_share_lets_users_in(held: Project) -> None:
    hold_out(held, "6%")
    assert counts(held) == {"status": "synced", "members": 7, "entered": 1, "left": 0, "held_out": 1}
    assert (sent(held), held_out(held)) == ({"fay": True}, ["cyd"])


def test_without_a_holdout_everyone_is_let_in_and_the_same_users_are_held_out_again(held: Project) -> None:
    hold_out(held, None)
    assert counts(held) == {"status": "synced", "members": 8, "entered": 2, "left": 0, "held_out": 0}
    assert (sent(held), held_out(held)) == ({"cyd": True, "fay": True}, [])
    hold_out(held, 0.1)
    assert counts(held)["left"] == 2
    assert (sent(held), held_out(held)) == ({"cyd": False, "fay": False}, ["cyd", "fay"])


def test_a_share_and_a_source_that_change_at_once_are_both_heeded(held: Project) -> None:
    held.write_members("vip.csv", "bob", "fay", "gus", "hal", "ivy")
    hold_out(held, "50%")
    counts(held)
    assert sent(held) == {"ada": False, "dan": False, "eve": False, "gus": False, "hal": False, "ivy": True}
    assert held_out(held) == ["fay", "gus", "hal"]


def test_a_guard_judges_who_is_taken_out_and_nothing_moves_while_it_holds(held: Project) -> None:
    hold_out(held, "50%", guard={"max_removed": "50%", "at_least": 0})
    assert counts(held) == {"status": "held", "members": 6, "entered": 0, "left": 0, "held_out": 2}
    assert (sent(held), held_out(held)) == ({}, ["cyd", "fay"])
    assert held.run("approve", "2", "vip").code == 0
    assert sent(held) == dict.fromkeys(["ada", "dan", "gus", "hal"], False)


def test_nothing_is_sent_to_a_held_out_user(held: Project) -> None:
    assert held.run("resync").code == 0
    assert sent(held) == dict.fromkeys(["ada", "bob", "dan", "eve", "gus", "hal"], True)
    held.write_members("vip.csv", "cyd", "fay")
    assert held.sync("--accept", "vip").code == 0
    assert sent(held) == dict.fromkeys(["ada", "bob", "dan", "eve", "gus", "hal"], False)
    assert held.run("resync").code == 0
    assert sent(held) == dict.fromkeys(["ada", "bob", "dan", "eve", "gus", "hal"], False)


def test_a_seed_leaves_them_out(vip: Project) -> None:
    hold_out(vip, "10%", initial="manual")
    vip.write_members("vip.csv", *EVERYONE)
    assert vip.run("seed", "vip").code == 0
    assert sorted(sent(vip)) == ["ada", "bob", "dan", "eve", "gus", "hal"]


def test_a_larger_share_does_not_wait_for_those_who_stay_for_a_while(vip: Project) -> None:
    hold_out(vip, None, min_stay="3 runs")
    vip.write_members("vip.csv", *EVERYONE)
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv", "ada", "bob", "dan", "eve", "fay", "gus")
    assert vip.sync().audience("vip")["absent"] == 2  # cyd, who is to be held out, and hal
    assert sent(vip) == {}
    hold_out(vip, "10%", min_stay="3 runs")
    found = vip.sync().audience("vip")
    assert (found["left"], found["absent"], found["held_out"]) == (2, 1, 1)
    assert sent(vip) == {"cyd": False, "fay": False}
    assert held_out(vip) == ["fay"]
    vip.sync()
    vip.sync()
    assert sent(vip) == {"hal": False}


def test_a_key_keeps_its_holdout_when_the_audience_is_renamed(held: Project) -> None:
    audience = {"name": "Best Customers", "source": "shop", "file": "vip.csv", "holdout": "10%"}
    held.configure(audiences=[audience])
    assert counts(held)["status"] == "unchanged"
    assert held_out(held) == ["cyd", "fay"]


def test_a_frozen_audience_keeps_its_holdout(held: Project) -> None:
    held.run("freeze", "vip")
    hold_out(held, "50%")
    assert counts(held) == {"status": "frozen", "members": 6, "entered": 0, "left": 0, "held_out": 2}
    assert (sent(held), held_out(held)) == ({}, ["cyd", "fay"])


def test_each_of_many_audiences_of_a_query_holds_out_its_own_users(vip: Project) -> None:
    entry = {"names_from": "audience", "source": "shop", "file": "all.csv", "holdout": "10%"}
    vip.configure(audiences=[entry])
    rows = [f"{name},{user}" for name in ("Gold", "Silver") for user in ("ada", "bob", "fay", "gus")]
    os.utime(vip.write("all.csv", "\n".join(["audience,user_id", *rows, ""])), (1, 1))
    vip.sync()
    assert vip.query("select audience_key, user_id from held_out_members order by 1, 2") == [
        ("gold", "ada"),
        ("gold", "gus"),
        ("silver", "fay"),
    ]
    assert vip.sent() == [
        ("ada", {"silver": True}),
        ("bob", {"gold": True, "silver": True}),
        ("fay", {"gold": True}),
        ("gus", {"silver": True}),
    ]
    assert vip.sync().audience("gold")["status"] == "unchanged"
    vip.configure(audiences=[{**entry, "holdout": "5%"}])
    vip.write("all.csv", "\n".join(["audience,user_id", *rows[:-2], ""]))
    vip.sync()
    assert vip.sent() == [("ada", {"gold": True}), ("gus", {"silver": False})]
    assert vip.query("select audience_key, user_id from held_out_members") == [("gold", "gus")]


def test_the_output_says_how_many_and_who(held: Project) -> None:
    assert "vip: 2 users held out: not members, and never sent `true`.\n" in held.run("sync").stdout
    assert "held out" in held.run("history", "vip").stdout
    assert "held out" in held.run("show", "1").stdout
    assert "Held out of vip (10%) since run 1 (" in held.run("explain", "cyd").stdout
    assert held.run("explain", "cyd", "--json").json["held_out"][0]["run"] == 1
    assert held.run("explain", "ada", "--json").json["held_out"] == []
    hold_out(held, "6%")
    planned = held.run("plan", "--json").json
    assert (planned["audiences"][0]["held_out"], planned["destinations"][0]["calls"]) == (1, 1)
    assert held_out(held) == ["cyd", "fay"]


def test_an_erased_user_is_held_out_nowhere(held: Project) -> None:
    assert held.run("erase", "cyd").code == 0
    assert held_out(held) == ["fay"]
    held.write_members("vip.csv", "cyd", *EVERYONE)
    assert counts(held)["held_out"] == 1


def test_of_a_retired_audience_nobody_is_held_out(held: Project) -> None:
    assert held.run("retire", "vip", "--yes").code == 0
    assert held_out(held) == []
    assert sent(held) == dict.fromkeys(["ada", "bob", "dan", "eve", "gus", "hal"], False)


def test_of_nobody_nobody_is_held_out(vip: Project) -> None:
    hold_out(vip, "0%")
    assert counts(vip)["held_out"] == 0


@pytest.mark.parametrize("share", ["100%", 1, "250%"], ids=["all", "all as a number", "more than all"])
def test_not_everyone_can_be_held_out(vip: Project, share: Any) -> None:
    hold_out(vip, share)
    wrong = vip.run("sync")
    assert wrong.code == 2
    assert "would hold out every user. Use less than 100%." in wrong.stderr


def test_a_holdout_is_a_share(vip: Project) -> None:
    hold_out(vip, 10)
    wrong = vip.run("sync")
    assert wrong.code == 2
    assert "a share is a percentage such as 20%, or a number from 0 to 1" in wrong.stderr
