"""A frozen audience stays unchanged until a person or its end unfreezes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment, until

DOWN = Reply(401)


def test_its_source_is_not_read_and_nothing_of_it_is_sent_until_it_is_unfrozen(vip: Project) -> None:
    vip.sync()
    vip.sent()
    assert vip.run("freeze", "vip").code == 0
    vip.write_members("vip.csv", "ada", "dan")
    (vip.folder / "vip.csv").rename(vip.folder / "away.csv")
    frozen = vip.sync()
    assert frozen.code == 0
    assert (frozen.audience("vip")["status"], frozen.audience("vip")["members"]) == ("frozen", 3)
    assert frozen.audience("vip")["error"].startswith("frozen since ")
    assert frozen.audience("vip")["error"].endswith(" UTC. To sync it again: audience-sync unfreeze vip")
    assert vip.query("select status, members_after from audience_syncs order by run desc limit 1") == [("frozen", 3)]
    assert "frozen" in vip.run("plan").stdout
    assert "frozen" in vip.run("history", "vip").stdout
    assert "frozen" in vip.run("show", "2").stdout
    assert "vip: skipped by run 2: frozen since" in vip.run("explain", "ada").stdout

    (vip.folder / "away.csv").rename(vip.folder / "vip.csv")
    assert vip.run("unfreeze", "vip").code == 0
    assert vip.sent() == []
    assert vip.sync().audience("vip")["status"] == "synced"
    assert vip.sent() == [("bob", {"vip": False}), ("cyd", {"vip": False}), ("dan", {"vip": True})]


def test_a_freeze_ends_by_itself(vip: Project) -> None:
    vip.sync()
    vip.sent()
    soon = datetime.now(UTC) + timedelta(seconds=10)
    assert vip.run("freeze", "vip", "--until", soon.isoformat()).code == 0
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    assert vip.sync().audience("vip")["status"] == "frozen"
    until(lambda: datetime.now(UTC) > soon)
    thawed = vip.sync()
    assert thawed.audience("vip")["status"] == "synced"
    assert "audience 'vip': the freeze ended at" in thawed.json["warnings"][0]
    assert vip.sync().json["warnings"] == []
    assert vip.sent() == [("dan", {"vip": True})]


def test_calls_that_were_pending_before_are_still_sent(vip: Project, receiver: Receiver) -> None:
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}], destinations={"segment": segment(receiver)}
    )
    receiver.will_answer(DOWN)
    assert vip.sync().destination("segment")["pending"] == 3
    vip.run("freeze", "vip")
    vip.write_members("vip.csv", "ada")
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    assert vip.sync().code == 0
    assert calls(receiver) == [(user, {"vip": True}) for user in ("ada", "bob", "cyd")]


def test_a_destination_that_is_added_meanwhile_gets_its_backfill_at_the_end(vip: Project) -> None:
    vip.sync()
    vip.run("freeze", "vip")
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={
            "log": {"type": "file", "path": "calls.jsonl"},
            "late": {"type": "file", "path": "late.jsonl"},
        },
    )
    vip.sync()
    assert vip.sent("late.jsonl") == []
    vip.run("unfreeze", "vip")
    vip.sync()
    assert [user for user, _ in vip.sent("late.jsonl")] == ["ada", "bob", "cyd"]


def test_one_of_many_audiences_of_a_query_is_frozen_and_the_others_go_on(vip: Project) -> None:
    vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    vip.write("all.csv", "audience,user_id\nGold,ada\nSilver,bob\n")
    vip.sync()
    vip.sent()
    vip.run("freeze", "gold")
    vip.write("all.csv", "audience,user_id\nGold,dan\nSilver,bob\nSilver,eve\nBronze,fay\n")
    found = vip.sync()
    statuses = {each["key"]: each["status"] for each in found.json["audiences"]}
    assert statuses == {"gold": "frozen", "silver": "synced", "bronze": "created"}
    assert vip.sent() == [("eve", {"silver": True}), ("fay", {"bronze": True})]
    statuses = {each["key"]: each["status"] for each in vip.sync().json["audiences"]}
    assert statuses == {"gold": "frozen", "silver": "unchanged", "bronze": "unchanged"}

    vip.run("unfreeze", "gold")
    assert vip.sync("--accept", "gold").code == 0
    assert vip.sent() == [("ada", {"gold": False}), ("dan", {"gold": True})]


def test_what_is_meant_for_it_alone_is_refused_and_what_is_held_of_it_can_be_rejected(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv")
    assert vip.sync().code == 4
    vip.sent()
    vip.run("freeze", "vip", "--reason", "on leave")
    for order in (["approve", "2"], ["resync", "vip"], ["seed", "vip"]):
        refused = vip.run(*order)
        assert refused.code == 2, order
        assert "audience 'vip' is frozen since" in refused.stderr
        assert "(on leave). To sync it again: audience-sync unfreeze vip." in refused.stderr
        assert "unfreeze vip. Nothing was changed or sent." in refused.stderr
    assert vip.run("resync").code == 0
    assert vip.sent() == []
    assert vip.query("select status from holds") == [("held",)]
    assert vip.run("reject", "2").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vap"], "there is no audience 'vap'. Did you mean 'vip'?"),
        (["vip", "--until", "2020-05-01"], "2020-05-01 00:00:00 UTC is in the past (now: "),
        (["vip", "--until", "soon"], "'soon' is not a valid time. Examples: 2026-05-01"),
        ([], "missing argument 'KEY'"),
    ],
    ids=["an unknown key", "a past time", "no time", "no key"],
)
def test_a_wrong_use_ends_with_2_and_says_so(vip: Project, arguments: list[str], words: str) -> None:
    vip.sync()
    wrong = vip.run("freeze", *arguments)
    assert wrong.code == 2
    assert words in wrong.stderr
    assert vip.query("select * from freezes") == []


def test_frozen_again_the_new_time_counts_and_both_are_kept(vip: Project) -> None:
    vip.sync()
    vip.run("freeze", "vip", "--until", "2099-01-01", "--reason", "first")
    assert vip.run("freeze", "vip", "--json").json["frozen_until"] is None
    assert vip.query("select reason, unfrozen_at is null from freezes order by frozen_at") == [("first", 0), (None, 1)]
    assert vip.run("unfreeze", "vip", "--json").json == {"key": "vip", "frozen": False, "was_frozen": True}
    assert "was not frozen" in vip.run("unfreeze", "vip").stdout


def test_an_empty_store_has_nothing_to_freeze(vip: Project) -> None:
    wrong = vip.run("freeze", "vip")
    assert wrong.code == 2
    assert "audience 'vip' is in config.yaml, but no run has synced it yet." in wrong.stderr
