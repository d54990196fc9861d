"""An audience keeps its members when it gets another key; each user is sent both keys in one call."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, SILENCE, Project, calls, segment, until

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
GOLD = {**VIP, "name": "Gold", "key": "gold"}
MOVE = ("sync", "--move-key", "vip=gold")
LOG = {"type": "file", "path": "calls.jsonl"}
OTHER = {"type": "file", "path": "other.jsonl"}
BOTH = {"vip": False, "gold": True}


def test_a_new_key_for_an_old_audience_is_refused_with_the_ways_to_do_it(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.configure(audiences=[GOLD])
    for command in ("sync", "plan", "check"):
        refused = vip.run(command)
        assert refused.code == 2
        said = " ".join((refused.stdout + refused.stderr).split())
        assert "audience 'vip' was removed from config.yaml, and 'gold' reads the same source." in said
        for way in ("audience-sync sync --move-key vip=gold", "audience-sync retire vip", "`key: vip`"):
            assert way in said
    assert vip.sent() == []


def test_members_get_both_keys_in_one_call_and_former_members_nothing(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    vip.configure(audiences=[GOLD])
    planned = vip.run("plan", "--json", "--move-key", "vip=gold")
    assert planned.destination("log")["calls"] == 2
    assert planned.json["command"] == "audience-sync sync --move-key vip=gold"
    moved = vip.run(*MOVE, "--json")
    assert moved.code == 0
    assert [(each["key"], each["status"], each["members"]) for each in moved.json["audiences"]] == [
        ("vip", "retired", 0),
        ("gold", "unchanged", 2),
    ]
    assert vip.sent() == [("ada", BOTH), ("bob", BOTH)]
    assert vip.sync().destination("log")["calls"] == 0
    assert vip.query("select audience_key, user_id from audience_members order by user_id") == [
        ("gold", "ada"),
        ("gold", "bob"),
    ]
    assert vip.query("select retired_at is not null from properties order by key") == [(0,), (1,)]
    assert "ada" in vip.run("members", "gold").stdout
    assert vip.run("members", "vip").stdout.count("ada") == 0
    ada = vip.run("explain", "ada", "--json").json
    assert [(each["key"], each["value"], each["retired"]) for each in ada["audiences"]] == [
        ("vip", False, True),
        ("gold", True, False),
    ]
    assert ada["destinations"][0]["calls"][-1]["properties"] == BOTH

    vip.write_members("vip.csv", "ada", "eve")
    assert vip.sync().code == 0
    assert vip.sent() == [("bob", {"gold": False}), ("eve", {"gold": True})]


def test_users_who_entered_or_left_meanwhile_get_their_present_membership(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.configure(audiences=[GOLD])
    vip.write_members("vip.csv", "ada", "bob", "eve")
    assert vip.run(*MOVE).code == 0
    assert vip.sent() == [("ada", BOTH), ("bob", BOTH), ("cyd", {"vip": False}), ("eve", {"gold": True})]


def test_it_can_be_repeated_and_sends_nothing_again(vip: Project) -> None:
    vip.sync()
    vip.configure(audiences=[GOLD])
    vip.run(*MOVE)
    vip.sent()
    assert vip.run(*MOVE).code == 0
    assert vip.sent() == []


def test_a_snapshot_that_is_held_stays_held_and_the_members_move(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.configure(audiences=[GOLD])
    vip.write_members("vip.csv")
    held = vip.run(*MOVE, "--json")
    assert (held.code, held.audience("gold")["status"]) == (4, "held")
    assert vip.sent() == [(user, BOTH) for user in ("ada", "bob", "cyd")]
    assert vip.run("approve", "2").code == 0
    assert vip.sent() == [(user, {"gold": False}) for user in ("ada", "bob", "cyd")]


def test_a_planned_move_is_carried_out_as_planned(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.configure(audiences=[GOLD])
    assert vip.run("plan", "--move-key", "vip=gold", "--out", "plan.json").code == 0
    assert vip.sync("--plan", "plan.json").code == 0
    assert vip.sent() == [(user, BOTH) for user in ("ada", "bob", "cyd")]


def test_if_the_old_key_was_never_sent_only_the_new_one_is(vip: Project) -> None:
    vip.configure(audiences=[VIP], destinations={"log": LOG})
    vip.sync()
    vip.sent()
    vip.configure(audiences=[GOLD], destinations={"log": LOG, "new": OTHER})
    vip.run(*MOVE)
    assert vip.sent() == [(user, BOTH) for user in ("ada", "bob", "cyd")]
    assert vip.sent("other.jsonl") == [(user, {"gold": True}) for user in ("ada", "bob", "cyd")]


def test_members_that_a_baseline_recorded_are_sent_the_new_key(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "initial": "none"}])
    vip.sync()
    assert vip.sent() == []
    vip.configure(audiences=[{**GOLD, "initial": "none"}])
    vip.run(*MOVE)
    assert vip.sent() == [(user, BOTH) for user in ("ada", "bob", "cyd")]


def test_killed_in_the_middle_it_goes_on(vip: Project, receiver: Receiver) -> None:
    there = {"segment": segment(receiver, batch_size=1, concurrency=1)}
    vip.configure(audiences=[VIP], destinations=there)
    vip.environment["AUDIENCE_SYNC_LEASE_SECONDS"] = "1"
    vip.sync()
    vip.configure(audiences=[GOLD], destinations=there)
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED, SILENCE)
    command = vip.start(*MOVE)
    until(lambda: len(receiver.requests) == 2)
    until(lambda: vip.query("select count(*) from delivery_requests where run_id = 2 and http_status = 200") == [(1,)])
    command.send_signal(signal.SIGKILL)
    command.wait()
    receiver.will_answer(ACCEPTED)
    until(lambda: vip.sync().code == 0)
    sent = calls(receiver)
    assert {user for user, traits in sent if traits == BOTH} == {"ada", "bob", "cyd"}
    assert len(sent) == 4  # the one without an answer twice


def test_calls_that_a_destination_does_not_accept_are_pending(vip: Project, receiver: Receiver) -> None:
    there = {"segment": segment(receiver)}
    vip.configure(audiences=[VIP], destinations=there)
    vip.sync()
    vip.configure(audiences=[GOLD], destinations=there)
    receiver.will_answer(Reply(401))
    assert vip.run(*MOVE).code == 3
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    assert vip.sync().code == 0
    assert calls(receiver) == [(user, BOTH) for user in ("ada", "bob", "cyd")]


def test_members_who_are_missing_for_now_begin_anew(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "min_stay": "2 runs"}])
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    vip.configure(audiences=[{**GOLD, "min_stay": "2 runs"}])
    vip.run(*MOVE)
    assert vip.sent() == [(user, BOTH) for user in ("ada", "bob", "cyd")]
    vip.sync()
    vip.sync()
    assert vip.sent() == [("cyd", {"gold": False})]


def test_undoing_its_run_takes_back_who_entered_and_left_and_not_the_move(vip: Project) -> None:
    vip.sync()
    vip.configure(audiences=[GOLD])
    vip.write_members("vip.csv", "ada", "bob", "eve")
    vip.run(*MOVE)
    vip.sent()
    undone = vip.run("undo", "2", "--yes", "--json")
    assert undone.code == 0
    assert vip.sent() == [("cyd", {"gold": True}), ("eve", {"gold": False})]
    assert vip.run("undo", "1", "--yes", "--json").json["warnings"] == ["Skipped: vip is retired."]
    assert vip.sent() == []


def test_whoever_is_held_out_stays_so(vip: Project) -> None:
    users = [f"user-{number}" for number in range(20)]
    vip.write_members("vip.csv", *users)
    vip.configure(audiences=[{**VIP, "holdout": "40%"}])
    vip.sync()
    sent = [user for user, _ in vip.sent()]
    assert 0 < len(sent) < 20
    vip.configure(audiences=[{**GOLD, "holdout": "40%"}])
    vip.write_members("vip.csv", *users[1:])
    assert vip.run(*MOVE).code == 0
    assert {user for user, traits in vip.sent() if traits == BOTH} == {*sent} - {users[0]}
    held_out = vip.query("select audience_key, holdout_salt, count(*) from held_out_members group by 1, 2")
    assert held_out == [("gold", "vip", len({*users[1:]} - {*sent}))]


@pytest.mark.parametrize(
    ("move", "audience", "words"),
    [
        ("vap=gold", GOLD, "error: there is no audience 'vap'. Did you mean 'vip'? Nothing was changed or sent."),
        ("vip=silver", GOLD, "--move-key vip=silver: the config has no audience with the key 'silver'"),
        ("vip=gold", VIP, "--move-key vip=gold: the config still has the key 'vip'"),
        ("vip=gold", {**VIP, "name": "Best"}, "--move-key vip=gold: the config has no audience with the key 'gold'"),
        ("vip", GOLD, "'vip' is not OLD=NEW"),
        ("vip=vip", GOLD, "'vip=vip' is not OLD=NEW"),
    ],
)
def test_a_wrong_use_ends_with_2_and_changes_nothing(vip: Project, move: str, audience: Any, words: str) -> None:
    vip.sync()
    vip.sent()
    vip.configure(audiences=[audience])
    wrong = vip.run("sync", "--move-key", move)
    assert wrong.code == 2
    assert words in wrong.stderr
    assert vip.sent() == []
    assert vip.query("select key, retired_at from properties") == [("vip", None)]


def test_a_frozen_audience_and_one_that_is_being_seeded_are_not_moved(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    vip.run("seed", "vip", "--limit", "1")
    vip.configure(audiences=[GOLD])
    seeding = vip.run(*MOVE)
    assert seeding.code == 2
    assert "Finish that first: audience-sync seed vip" in seeding.stderr
    vip.run("freeze", "vip")
    assert "audience 'vip' is frozen since" in vip.run(*MOVE).stderr


def test_on_postgresql_too(new_vip: Project, postgresql: PostgreSQL) -> None:
    new_vip.environment["STORE"] = postgresql.create()
    new_vip.configure(store="${STORE}", audiences=[VIP])
    new_vip.sync("--upgrade")
    new_vip.sent()
    new_vip.configure(store="${STORE}", audiences=[GOLD])
    new_vip.write_members("vip.csv", "ada", "bob", "zoé")
    assert new_vip.run(*MOVE).code == 0
    assert new_vip.sent() == [("ada", BOTH), ("bob", BOTH), ("cyd", {"vip": False}), ("zoé", {"gold": True})]
    assert new_vip.sync().destination("log")["calls"] == 0
