"""A retired audience is withdrawn from all destinations and users, and its key is closed for good."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, SILENCE, Project, calls, segment, until

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
BUYERS = {"name": "Buyers", "source": "shop", "file": "buyers.csv"}
LOG = {"type": "file", "path": "calls.jsonl"}
OTHER = {"type": "file", "path": "other.jsonl"}
DOWN = Reply(401)


def take_out(project: Project, **parts: Any) -> None:
    """The config as it is to be after `vip` was retired."""
    project.write_members("buyers.csv", "zoe")
    project.configure(audiences=[BUYERS], **parts)


def test_every_member_is_sent_false_and_the_key_is_closed(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    retired = vip.run("retire", "vip", "--yes", "--json")
    assert retired.code == 0
    assert (retired.audience("vip")["status"], retired.audience("vip")["members"], retired.audience("vip")["left"]) == (
        "retired",
        0,
        2,
    )
    assert retired.json["warnings"] == [
        "The config still has 'vip' (audiences[0]). Remove that entry; until then every run skips it."
    ]
    assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False})]
    assert vip.query('select audience_key, status, "left" from audience_syncs order by run desc limit 1') == [
        ("vip", "retired", 2)
    ]
    assert vip.query("select count(*) from audience_members") == [(0,)]
    assert vip.query("select user_id, change from membership_changes where run = 3 order by user_id") == [
        ("ada", "left"),
        ("bob", "left"),
    ]
    assert vip.query("select retired_at is not null from properties") == [(1,)]
    assert vip.run("show", "3").code == 0
    assert "(retired)" in vip.run("explain", "ada").stdout
    take_out(vip)
    assert vip.sync().code == 0
    assert vip.sent() == [("zoe", {"buyers": True})]


@pytest.mark.parametrize(
    "entry",
    [VIP, {**VIP, "name": "Best", "key": "vip"}, {**VIP, "name": "Best"}],
    ids=["as it was", "by its key", "renamed before, and never synced since"],
)
def test_an_entry_that_is_still_in_the_config_is_skipped_and_the_others_go_on(
    vip: Project, entry: dict[str, str]
) -> None:
    vip.sync()
    vip.write_members("buyers.csv", "zoe")
    vip.configure(audiences=[entry, BUYERS])
    vip.run("retire", "vip", "--yes")
    vip.sent()
    for command, code in (("plan", 0), ("check", 0), ("sync", 0), ("sync", 0)):
        skipped = vip.run(command)
        assert skipped.code == code
        assert (
            "the key 'vip' is retired, so every run skips it. Remove the audience from the config; a new one needs "
            "another `key:`."
        ) in " ".join((skipped.stdout + skipped.stderr).split())
    assert vip.sent() == [("zoe", {"buyers": True})]


def test_two_are_retired_one_after_the_other_without_an_edit_of_the_config(vip: Project) -> None:
    vip.write_members("buyers.csv", "ada", "zoe")
    vip.configure(audiences=[VIP, BUYERS, {"name": "All", "source": "shop", "file": "vip.csv"}])
    vip.sync()
    vip.sent()
    assert vip.run("retire", "vip", "--yes").code == 0
    assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False}), ("cyd", {"vip": False})]
    assert vip.run("retire", "buyers", "--yes").code == 0
    assert vip.sent() == [("ada", {"buyers": False}), ("zoe", {"buyers": False})]
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    done = vip.sync()
    assert (done.code, [each["key"] for each in done.json["audiences"]]) == (0, ["all"])
    assert vip.sent() == [("dan", {"all": True})]


@pytest.mark.parametrize("asked", [["sync", "vip"], ["plan", "vip"], ["seed", "vip"], ["sync", "buyers", "vip"]])
def test_a_retired_one_that_is_asked_for_by_name_is_a_wrong_use(vip: Project, asked: list[str]) -> None:
    vip.write_members("buyers.csv", "zoe")
    vip.configure(audiences=[VIP, BUYERS])
    vip.run("sync", "vip")
    vip.run("retire", "vip", "--yes")
    refused = vip.run(*asked)
    assert refused.code == 2
    assert "the key 'vip' is retired" in refused.stderr


def test_a_group_goes_on_without_the_one_that_is_retired(vip: Project) -> None:
    vip.write_members("buyers.csv", "ada", "zoe")
    vip.configure(audiences=[VIP, BUYERS], priority_groups={"campaign": ["VIP", "Buyers"]})
    vip.sync()
    vip.sent()
    vip.run("retire", "vip", "--yes")
    vip.sent()
    assert vip.sync().code == 0
    assert vip.sent() == [("ada", {"buyers": True})]
    vip.configure(audiences=[BUYERS], priority_groups={"campaign": ["vip", "Buyers"]})
    assert vip.sync().code == 0


def test_without_a_terminal_it_shows_what_would_be_sent_and_does_nothing(vip: Project) -> None:
    vip.sync()
    vip.sent()
    before = vip.store.read_bytes()
    refused = vip.run("retire", "vip")
    assert refused.code == 2
    assert refused.stdout == (
        "Retire vip: sends false to 3 users and closes the key for good.\n\n"
        "destination  calls  requests  time  sends\n"
        "log              3         1     -  vip false\n\n"
        "No audience or trait can use the key vip again.\n"
        "The config still has 'vip' (audiences[0]). Remove that entry; until then every run skips it.\n"
    )
    assert refused.stderr == (
        "error: retire needs a confirmation, and there is no terminal to ask. Nothing was changed or sent.\n"
        "  Add --yes to confirm, or --dry-run to look.\n"
    )
    shown = vip.run("retire", "vip", "--dry-run", "--json")
    assert shown.code == 0
    assert shown.destination("log")["sends"] == [{"key": "vip", "value": "false", "users": 3}]
    assert shown.json["command"] == "audience-sync retire vip"
    assert vip.store.read_bytes() == before
    assert vip.sent() == []


def test_a_computed_trait_becomes_null_and_the_others_stay(project: Project) -> None:
    traits = {"source": "shop", "file": "people.csv", "traits": ["plan", "city"]}
    project.configure(computed_traits=[traits])
    project.write("people.csv", "user_id,plan,city\nada,pro,Oslo\nbob,,Rome\ncyd,free,\n")
    project.sync()
    project.sent()
    retired = project.run("retire", "plan", "--yes", "--json")
    assert (retired.code, retired.json["traits"]["users"], retired.json["traits"]["changed"]) == (0, 2, 2)
    assert project.sent() == [("ada", {"plan": None}), ("cyd", {"plan": None})]
    project.write("people.csv", "user_id,plan,city\nada,pro,Oslo\nbob,,Bern\ncyd,free,\n")
    skipped = project.sync()
    assert skipped.code == 0
    assert skipped.json["warnings"] == [
        "computed_traits[0].traits: the key 'plan' is retired, so every run skips it. Remove the trait from the "
        "config; a new one needs another `key:`."
    ]
    assert project.sent() == [("bob", {"city": "Bern"})]
    project.configure(computed_traits=[{**traits, "traits": ["city"]}])
    project.write("people.csv", "user_id,plan,city\nada,pro,Lima\nbob,,Bern\n")
    assert project.sync("--accept", "city").code == 0
    assert project.sent() == [("ada", {"city": "Lima"})]


def test_unaccepted_calls_stay_pending_although_the_config_no_longer_has_the_key(
    vip: Project, receiver: Receiver
) -> None:
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver)})
    vip.sync()
    receiver.will_answer(DOWN)
    retired = vip.run("retire", "vip", "--yes", "--json")
    assert (retired.code, retired.destination("segment")["pending"]) == (3, 3)
    take_out(vip, destinations={"segment": segment(receiver)})
    assert vip.sync().destination("segment")["pending"] == 4
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    assert vip.sync().code == 0
    assert calls(receiver) == [*((user, {"vip": False}) for user in ("ada", "bob", "cyd")), ("zoe", {"buyers": True})]
    receiver.requests.clear()
    assert vip.sync().code == 0
    assert calls(receiver) == []


def test_repeated_it_sends_what_is_left_whatever_the_config_has(vip: Project, receiver: Receiver) -> None:
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver)})
    vip.sync()
    receiver.will_answer(DOWN)
    vip.run("retire", "vip", "--yes")
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    assert vip.run("retire", "vip", "--yes").code == 0
    assert calls(receiver) == [(user, {"vip": False}) for user in ("ada", "bob", "cyd")]
    assert vip.run("retire", "vip", "--yes", "--json").destination("segment")["calls"] == 0
    assert "Retire vip: sends nothing; the key is closed already.\n" in vip.run("retire", "vip", "--dry-run").stdout


@pytest.mark.parametrize("batch_size", [1, 2])
def test_killed_in_the_middle_it_continues_and_every_member_is_sent(
    vip: Project, receiver: Receiver, batch_size: int
) -> None:
    there = {"segment": segment(receiver, batch_size=batch_size, concurrency=1)}
    vip.configure(audiences=[VIP], destinations=there)
    vip.environment["AUDIENCE_SYNC_LEASE_SECONDS"] = "1"
    vip.sync()
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED, SILENCE)
    command = vip.start("retire", "vip", "--yes")
    until(lambda: len(receiver.requests) == 2)
    command.send_signal(signal.SIGKILL)
    command.wait()
    receiver.will_answer(ACCEPTED)
    take_out(vip, destinations=there)
    until(lambda: vip.sync().code == 0)
    sent = calls(receiver)
    assert {user for user, traits in sent if traits == {"vip": False}} == {"ada", "bob", "cyd"}
    assert [user for user, traits in sent if traits == {"vip": False}].count("ada") == 1


def test_users_who_were_never_sent_true_are_sent_nothing(vip: Project, receiver: Receiver) -> None:
    vip.configure(audiences=[VIP], destinations={"log": LOG})
    vip.sync()
    vip.sent()
    vip.configure(audiences=[VIP], destinations={"log": LOG, "new": OTHER})
    vip.run("retire", "vip", "--yes")
    assert len(vip.sent()) == 3
    assert vip.sent("other.jsonl") == []
    take_out(vip, destinations={"log": LOG, "new": OTHER})
    vip.sync()
    assert vip.sent("other.jsonl") == [("zoe", {"buyers": True})]


def test_the_preview_notes_that_calls_of_others_are_pending(vip: Project, receiver: Receiver) -> None:
    vip.configure(audiences=[VIP, BUYERS], destinations={"segment": segment(receiver)})
    vip.write_members("buyers.csv", "ada")
    receiver.will_answer(DOWN)
    vip.sync()
    preview = vip.run("retire", "vip", "--dry-run").stdout
    assert preview.startswith("Retire vip: sends false to 3 users and closes the key for good.\n")
    assert "\nPending calls of buyers are sent, too.\n" in preview


def test_a_destination_that_no_longer_gets_it_is_sent_its_end(vip: Project) -> None:
    both = {"log": LOG, "other": OTHER}
    vip.configure(audiences=[VIP], destinations=both)
    vip.sync()
    vip.configure(audiences=[{**VIP, "destinations": ["log"]}], destinations=both)
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent("other.jsonl")
    vip.run("retire", "vip", "--yes")
    assert vip.sent("other.jsonl") == [(user, {"vip": False}) for user in ("ada", "bob", "cyd")]


def test_a_destination_that_left_the_config_is_sent_the_end_when_it_returns(vip: Project) -> None:
    both = {"log": LOG, "other": OTHER}
    vip.configure(audiences=[VIP], destinations=both)
    vip.sync()
    vip.sent("other.jsonl")
    vip.configure(audiences=[VIP], destinations={"log": LOG})
    retired = vip.run("retire", "vip", "--yes")
    assert "other: not in the config, so nothing is sent there, and users keep their values." in retired.stdout
    take_out(vip, destinations=both)
    vip.sync()
    assert vip.sent("other.jsonl") == [
        ("ada", {"vip": False}),
        ("bob", {"vip": False}),
        ("cyd", {"vip": False}),
        ("zoe", {"buyers": True}),
    ]


def test_an_audience_that_the_config_has_no_more_is_retired_all_the_same(vip: Project) -> None:
    vip.sync()
    take_out(vip)
    vip.sync()
    vip.sent()
    assert vip.run("retire", "vip", "--yes", "--json").json["warnings"] == []
    assert vip.sent() == [(user, {"vip": False}) for user in ("ada", "bob", "cyd")]


def test_users_whom_a_seed_may_have_reached_are_sent_false(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "initial": "manual"}])
    vip.run("seed", "vip", "--limit", "2")
    assert vip.sent() == [("ada", {"vip": True}), ("bob", {"vip": True})]
    vip.run("retire", "vip", "--yes")
    sent = vip.sent()
    assert sent[:2] == [("ada", {"vip": False}), ("bob", {"vip": False})]
    take_out(vip)
    vip.sync()
    assert vip.sent() == [("zoe", {"buyers": True})]
    (destination,) = vip.run("explain", "ada", "--json").json["destinations"]
    assert {each["key"]: each["state"] for each in destination["properties"]} == {"vip": "sent"}


def test_a_seed_that_sent_nothing_takes_nothing_back(vip: Project, receiver: Receiver) -> None:
    vip.configure(audiences=[{**VIP, "initial": "manual"}], destinations={"segment": segment(receiver)})
    vip.sync()
    unknown = vip.run("retire", "vip", "--yes")
    assert unknown.code == 2
    assert "there is no audience or computed trait 'vip'." in unknown.stderr


def test_members_who_are_missing_for_now_leave_too(vip: Project) -> None:
    vip.configure(audiences=[{**VIP, "min_stay": "3 runs"}])
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    vip.run("retire", "vip", "--yes")
    assert vip.sent() == [(user, {"vip": False}) for user in ("ada", "bob", "cyd")]
    assert vip.query("select count(*) from absent_members") == [(0,)]


def test_what_is_held_of_it_is_over(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv")
    assert vip.sync().code == 4
    vip.run("retire", "vip", "--yes")
    assert vip.query("select status from holds") == [("superseded",)]


@pytest.mark.parametrize(
    "order",
    [["resync", "vip"], ["seed", "vip"], ["freeze", "vip"], ["approve", "2"], ["sync", "vip"], ["plan", "vip"]],
    ids=" ".join,
)
def test_what_is_meant_for_it_alone_says_that_it_is_retired(vip: Project, order: list[str]) -> None:
    vip.sync()
    vip.write_members("vip.csv")
    vip.sync()
    vip.run("retire", "vip", "--yes")
    vip.sent()
    take_out(vip)
    refused = vip.run(*order)
    assert refused.code == 2
    assert "the key 'vip' is retired and can't be used again" in refused.stderr
    assert vip.sent() == []


def test_a_frozen_one_is_left_as_it_is(vip: Project) -> None:
    vip.sync()
    vip.run("freeze", "vip")
    vip.sent()
    refused = vip.run("retire", "vip", "--yes")
    assert refused.code == 2
    assert "audience 'vip' is frozen since" in refused.stderr
    assert vip.sent() == []


def test_an_unknown_key_is_a_wrong_use(vip: Project) -> None:
    vip.sync()
    wrong = vip.run("retire", "vap", "--yes")
    assert wrong.code == 2
    assert "there is no audience or computed trait 'vap'. Did you mean 'vip'?" in wrong.stderr


def test_one_of_many_audiences_of_a_query_is_retired_and_the_others_go_on(vip: Project) -> None:
    vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    vip.write("all.csv", "audience,user_id\nGold,ada\nSilver,bob\n")
    vip.sync()
    vip.sent()
    retired = vip.run("retire", "gold", "--yes", "--json")
    assert retired.json["warnings"] == [
        "'Gold' comes from shop:audience. Remove it there; until then every run skips it."
    ]
    assert vip.sent() == [("ada", {"gold": False})]
    skipped = vip.sync()
    assert skipped.code == 0
    assert {each["key"]: each["status"] for each in skipped.json["audiences"]} == {"silver": "unchanged"}
    assert skipped.json["warnings"] == [
        "audience 'Gold' from shop:audience: the key 'gold' is retired, so every run skips it. Remove it from "
        "the source; a new audience needs another name."
    ]
    vip.write("all.csv", "audience,user_id\nSilver,bob\nSilver,eve\n")
    taken = vip.sync()
    assert (taken.code, [each["key"] for each in taken.json["audiences"]]) == (0, ["silver"])
    assert vip.sent() == [("eve", {"silver": True})]
    assert vip.sync().audience("silver")["status"] == "unchanged"


def test_suppressed_users_are_sent_false_when_the_suppression_ends(vip: Project) -> None:
    vip.sync()
    vip.run("suppress", "bob")
    vip.sent()
    vip.run("retire", "vip", "--yes")
    assert [user for user, _ in vip.sent()] == ["ada", "cyd"]
    take_out(vip)
    vip.run("unsuppress", "bob")
    vip.sync()
    assert vip.sent() == [("bob", {"vip": False}), ("zoe", {"buyers": True})]


def test_refused_calls_of_it_are_sent_again(vip: Project, receiver: Receiver) -> None:
    there = {"segment": segment(receiver, batch_size=1)}
    vip.configure(audiences=[VIP], destinations=there)
    vip.sync()
    receiver.will_answer(Reply(400))
    assert vip.run("retire", "vip", "--yes", "--json").destination("segment")["refused"] == 3
    take_out(vip, destinations=there)
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    assert vip.run("retry").code == 0
    assert calls(receiver) == [*((user, {"vip": False}) for user in ("ada", "bob", "cyd")), ("zoe", {"buyers": True})]
