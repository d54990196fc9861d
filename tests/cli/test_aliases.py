"""A user who gets another id stays one user, everywhere."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, received, segment

ALIASES = [{"source": "shop", "file": "aliases.csv"}]
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}


def alias(project: Project, *pairs: str) -> None:
    """Old and new ids: `anon>ada`."""
    rows = [pair.replace(">", ",") for pair in pairs]
    project.write("aliases.csv", "\n".join(["previous_id,user_id", *rows, ""]))


def sent(project: Project) -> list[tuple[str, str, Any]]:
    """The messages of the file destination since this was last asked: what, of whom, and the rest."""
    before = project._read.get("sent", 0)
    messages = project.messages()
    project._read["sent"] = len(messages)
    return [short(each) for each in messages[before:]]


def short(message: dict[str, Any]) -> tuple[str, str, Any]:
    rest = message.get("previousId", message.get("traits", message.get("event")))
    return message["type"], message["userId"], rest


def setup(project: Project, **parts: Any) -> None:
    project.configure(**{"audiences": [VIP], "aliases": ALIASES, **parts})


@pytest.fixture
def known(vip: Project) -> Project:
    """`vip` has anon, bob and cyd, who were sent; nobody has another id yet."""
    setup(vip)
    alias(vip)
    vip.write_members("vip.csv", "anon", "bob", "cyd")
    assert vip.sync().code == 0
    assert [user for _, user, _ in sent(vip)] == ["anon", "bob", "cyd"]
    return vip


def counts(project: Project, *arguments: str) -> tuple[Any, ...]:
    found = project.sync(*arguments).audience("vip")
    return tuple(found[name] for name in ("status", "members", "entered", "left"))


def test_a_destination_that_can_merge_two_users_gets_the_alias_before_anything_else(known: Project) -> None:
    alias(known, "anon>ada")
    assert counts(known) == ("synced", 3, 1, 1)
    assert sent(known) == [("alias", "ada", "anon"), ("identify", "ada", {"vip": True})]
    assert known.query("select user_id from audience_members order by 1") == [("ada",), ("bob",), ("cyd",)]
    assert counts(known) == ("unchanged", 3, 0, 0)
    assert sent(known) == []


def test_it_makes_no_difference_under_which_of_the_ids_a_source_has_the_user(known: Project) -> None:
    alias(known, "anon>ada")
    known.sync()
    sent(known)
    for users in (["ada", "bob", "cyd"], ["anon", "ada", "bob", "cyd"], ["anon", "bob", "cyd"]):
        known.write_members("vip.csv", *users)
        assert counts(known) == ("unchanged", 3, 0, 0)
    assert sent(known) == []


def test_who_leaves_afterwards_does_so_under_the_new_id(known: Project) -> None:
    alias(known, "anon>ada")
    known.sync()
    sent(known)
    known.write_members("vip.csv", "bob", "cyd")
    known.sync()
    assert sent(known) == [("identify", "ada", {"vip": False})]


def test_a_user_who_leaves_in_the_same_run_gets_the_exit_under_the_new_id(known: Project) -> None:
    alias(known, "anon>ada")
    known.write_members("vip.csv", "bob", "cyd")
    known.sync()
    assert sent(known) == [("alias", "ada", "anon"), ("identify", "ada", {"vip": False})]


def test_a_destination_that_can_not_merge_is_sent_both_ids(known: Project, receiver: Receiver) -> None:
    hook = {"type": "webhook", "url": receiver.url, "body": "batch"}
    setup(known, destinations={"hook": hook})
    known.sync()
    receiver.requests.clear()
    alias(known, "anon>ada")
    known.sync()
    (request,) = receiver.requests
    assert [short(each) for each in json.loads(request.body)] == [
        ("identify", "ada", {"vip": True}),
        ("identify", "anon", {"vip": False}),
    ]


def test_segment_gets_the_alias_in_the_same_request(known: Project, receiver: Receiver) -> None:
    setup(known, destinations={"segment": segment(receiver)})
    known.sync()
    receiver.requests.clear()
    alias(known, "anon>ada", "bob>ada")
    known.sync()
    assert len(receiver.requests) == 1
    assert [short(each) for each in received(receiver)] == [
        ("alias", "ada", "anon"),
        ("alias", "ada", "bob"),
        ("identify", "ada", {"vip": True}),
    ]
    assert len({each["messageId"] for each in received(receiver)}) == 3


def test_a_batch_of_one_has_one_message_a_request(known: Project, receiver: Receiver) -> None:
    setup(known, destinations={"segment": segment(receiver, batch_size=1, concurrency=1)})
    assert known.sync().code == 0
    receiver.requests.clear()
    alias(known, "anon>ada")
    assert known.sync().code == 0
    sent = [[short(each) for each in json.loads(request.body)["batch"]] for request in receiver.requests]
    assert sent == [[("alias", "ada", "anon")], [("identify", "ada", {"vip": True})]]


def test_connect_gets_the_alias_as_a_user_with_a_previous_id(known: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply())
    setup(known, destinations={"connect": {"type": "zendesk_connect", "private_key": "a-key", "url": receiver.url}})
    known.sync()
    receiver.requests.clear()
    alias(known, "anon>ada")
    known.sync()
    (request,) = receiver.requests
    assert json.loads(request.body) == [
        {"user_id": "ada", "previous_id": "anon"},
        {"user_id": "ada", "attributes": {"vip": True}},
    ]


def test_a_refused_alias_is_sent_again_with_its_previous_id(known: Project, receiver: Receiver) -> None:
    setup(known, destinations={"segment": segment(receiver)})
    known.sync()
    alias(known, "anon>ada")
    receiver.will_answer(Reply(status=400))
    assert known.sync().destination("segment")["refused"] == 1
    first = receiver.requests[-1]
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    assert known.run("retry").code == 0
    assert receiver.requests[-1].body == first.body
    assert [short(each)[0] for each in received(receiver)] == ["alias", "identify"]


def test_a_chain_of_ids_ends_at_the_last(known: Project) -> None:
    alias(known, "anon>ada")
    known.sync()
    sent(known)
    alias(known, "anon>ada", "ada>countess")
    assert counts(known) == ("synced", 3, 1, 1)
    assert sent(known) == [
        ("alias", "countess", "ada"),
        ("alias", "countess", "anon"),
        ("identify", "countess", {"vip": True}),
    ]
    assert counts(known) == ("unchanged", 3, 0, 0)


def test_what_leads_in_a_circle_is_passed_over(known: Project) -> None:
    alias(known, "anon>bob", "bob>anon", "cyd>dan", "cyd>cyd")
    done = known.sync()
    assert "aliases: 2 ids were skipped: the ids lead in a circle." in done.json["warnings"]
    assert sent(known) == [("alias", "dan", "cyd"), ("identify", "dan", {"vip": True})]


def test_of_two_new_ids_the_same_one_counts_in_every_run(known: Project) -> None:
    alias(known, "anon>zoe", "anon>ada")
    done = known.sync()
    assert done.json["warnings"] == [
        "aliases: 1 previous id has several new ids. One of each is used, the same in every run."
    ]
    assert sent(known)[0] == ("alias", "ada", "anon")
    alias(known, "anon>abe", "anon>ada", "anon>zoe")
    assert counts(known) == ("unchanged", 3, 0, 0)


def test_an_alias_stays_when_the_list_forgets_it(known: Project) -> None:
    alias(known, "anon>ada")
    known.sync()
    sent(known)
    alias(known)
    assert counts(known) == ("unchanged", 3, 0, 0)
    setup(known, aliases=[])
    assert counts(known) == ("unchanged", 3, 0, 0)
    assert sent(known) == []


def test_an_id_that_was_never_sent_has_nothing_to_merge(known: Project) -> None:
    alias(known, "never-seen>ada", "other>bob")
    known.write_members("vip.csv", "never-seen", "anon", "bob", "cyd")
    known.sync()
    assert sent(known) == [("identify", "ada", {"vip": True})]


def test_a_list_that_can_not_be_read_changes_nothing(known: Project) -> None:
    alias(known, "anon>ada")
    known.sync()
    sent(known)
    (known.folder / "aliases.csv").unlink()
    known.write_members("vip.csv", "anon", "bob")
    done = known.sync()
    assert (done.code, done.audience("vip")["status"]) == (3, "failed")
    assert "the list of aliases can't be read" in done.audience("vip")["error"]
    assert sent(known) == []


def test_the_guard_counts_nobody_who_only_has_another_id(known: Project) -> None:
    setup(known, guard={"max_removed": 0, "max_added": 0})
    alias(known, "anon>ada", "bob>ben", "cyd>cas")
    assert counts(known) == ("synced", 3, 3, 3)
    known.write_members("vip.csv", "anon", "bob")
    assert known.sync().audience("vip")["status"] == "held"


def test_a_previous_id_does_not_stay_for_a_while(known: Project) -> None:
    setup(known, audiences=[{**VIP, "min_stay": "3 runs"}])
    known.sync()
    alias(known, "anon>ada")
    assert counts(known) == ("synced", 3, 1, 1)
    assert known.query("select user_id from absent_members") == []


def test_an_unchanged_source_is_looked_at_again_when_the_aliases_change(vip: Project) -> None:
    setup(vip)
    alias(vip)
    os.utime(vip.write_members("vip.csv", "anon", "bob"), (1, 1))
    vip.sync()
    sent(vip)
    alias(vip, "anon>ada")
    vip.sync()
    assert sent(vip) == [("alias", "ada", "anon"), ("identify", "ada", {"vip": True})]


def test_traits_go_with_the_user_whose_own_row_goes_first(vip: Project) -> None:
    setup(
        vip,
        audiences=[],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["orders"]}],
        guard={"max_removed": 0},
    )
    alias(vip)
    vip.write("traits.csv", "user_id,orders\nanon,7\nbob,1\n")
    vip.sync()
    sent(vip)
    alias(vip, "anon>ada")
    assert vip.sync().code == 0
    assert sent(vip) == [("alias", "ada", "anon"), ("identify", "ada", {"orders": 7})]
    vip.write("traits.csv", "user_id,orders\nanon,7\nada,2\nbob,1\n")
    done = vip.sync()
    assert (done.json["warnings"], done.json["traits"]["users"]) == ([], 2)
    assert sent(vip) == [("identify", "ada", {"orders": 2})]
    vip.write("traits.csv", "user_id,orders\nbob,1\n")
    assert vip.sync("--accept", "orders").code == 0
    assert sent(vip) == [("identify", "ada", {"orders": None})]


def test_who_is_suppressed_is_so_under_every_id(known: Project) -> None:
    known.run("suppress", "anon")
    alias(known, "anon>ada")
    known.sync()
    assert sent(known) == []


def test_a_new_destination_hears_of_no_ids_that_it_never_knew(known: Project, receiver: Receiver) -> None:
    alias(known, "anon>ada")
    known.sync()
    setup(known, destinations={"segment": segment(receiver)})
    known.sync()
    assert [short(each) for each in received(receiver)] == [
        ("identify", user, {"vip": True}) for user in ("ada", "bob", "cyd")
    ]


def test_undoing_the_run_leaves_alone_who_has_another_id(known: Project) -> None:
    alias(known, "anon>ada")
    known.write_members("vip.csv", "anon", "bob", "cyd", "dan")
    known.sync()
    sent(known)
    assert known.run("undo", "2", "--yes").code == 0
    assert sent(known) == [("identify", "dan", {"vip": False})]
    assert known.query("select user_id from audience_members order by 1") == [("ada",), ("bob",), ("cyd",)]


def test_explain_says_whose_a_previous_id_is(known: Project) -> None:
    alias(known, "anon>b")
    known.sync()
    alias(known, "anon>b", "b>ada", "never>ada")
    known.sync()
    first = known.query("select started_at from sync_runs where run = 2")[0][0]
    found = known.run("explain", "anon", "--json").json
    assert found["new_id"] == "ada"
    assert [(each["key"], each["state"]) for each in found["destinations"][0]["properties"]] == [("vip", "joined")]
    assert [each["properties"] for each in found["destinations"][0]["calls"]] == [{"vip": True}]
    assert known.run("explain", "anon", "--json", "--at", first).json["new_id"] == "b"
    assert known.run("explain", "ada", "--json").json["new_id"] is None
    assert not known.run("explain", "never", "--json").json["known"]
    assert "A previous id of ada (`aliases`), since run 2." in known.run("explain", "anon").stdout


def test_exits_that_were_pending_under_the_previous_id_are_carried_over(known: Project, receiver: Receiver) -> None:
    churn = {"name": "Churn", "source": "shop", "file": "churn.csv"}
    setup(known, audiences=[VIP, churn], destinations={"seg": segment(receiver)})
    known.write_members("churn.csv", "anon", "dan", "eve", "fay")
    known.sync()
    receiver.will_answer(Reply(400))
    known.write_members("churn.csv", "dan", "eve", "fay")
    assert known.sync().destination("seg")["refused"] == 1
    receiver.will_answer(ACCEPTED)
    before = len(received(receiver))
    alias(known, "anon>ada")
    assert known.sync().code == 0
    assert [short(each) for each in received(receiver)[before:]] == [
        ("alias", "ada", "anon"),
        ("identify", "ada", {"churn": False, "vip": True}),
    ]
    assert known.query("select * from refused_calls") == []


def test_who_is_erased_is_so_under_every_id(known: Project) -> None:
    alias(known, "anon>ada")
    known.sync()
    sent(known)
    assert known.run("erase", "anon").code == 0
    assert counts(known)[1] == 2
    assert b"anon" not in known.store.read_bytes()
    assert sent(known) == []
