"""One value that is too large for a destination keeps back nothing but itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, received, segment

LARGE = "x" * 40_000


def configure(project: Project, **destinations: Any) -> None:
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["bio", "notes", "plan"]}],
        destinations=destinations,
    )


def write_traits(project: Project, *rows: str) -> None:
    project.write("traits.csv", "\n".join(["user_id,bio,notes,plan", *rows, ""]))


def reasons(project: Project) -> list[tuple[Any, ...]]:
    return project.query("select user_id, reason from refused_calls order by user_id")


@pytest.fixture(params=["plain", "personas"])
def large(request: pytest.FixtureRequest, vip: Project, receiver: Receiver) -> Project:
    """ada's biography is too large for Segment; she, bob and cyd are members."""
    configure(vip, segment=segment(receiver, envelope=request.param))
    write_traits(vip, f"ada,{LARGE},short,gold", "bob,,,free")
    return vip


def sent(receiver: Receiver, user: str) -> dict[str, Any]:
    """What arrived about the user, all messages together."""
    arrived: dict[str, Any] = {}
    for message in received(receiver):
        if message["userId"] == user:
            arrived |= message["traits"]
    return arrived


def test_what_fits_is_sent_and_the_one_value_is_refused_with_its_size(large: Project, receiver: Receiver) -> None:
    first = large.sync()
    assert first.code == 1
    assert (first.destination("segment")["delivered"], first.destination("segment")["refused"]) == (2, 1)
    assert sent(receiver, "ada") == {"vip": True, "notes": "short", "plan": "gold"}
    [(user, reason)] = reasons(large)
    assert user == "ada"
    assert reason.startswith("'bio' makes a message of 40,")
    assert reason.endswith("Segment takes 32,768: shorten the value at its source. The rest was sent, without: bio")
    assert large.query("select key from refused_values join properties p on p.id = property_id") == [("bio",)]


def test_an_exit_of_a_user_with_a_value_too_large_is_sent(large: Project, receiver: Receiver) -> None:
    large.sync()
    receiver.requests.clear()
    large.write_members("vip.csv", "bob", "cyd")
    exits = large.sync("--accept", "vip")
    assert exits.code == 1
    assert sent(receiver, "ada") == {"vip": False}
    assert [user for user, _ in reasons(large)] == ["ada"]

    # Nothing is sent twice.
    receiver.requests.clear()
    again = large.sync()
    assert (again.code, again.destination("segment")["still_refused"]) == (1, 1)
    assert receiver.requests == []


def test_the_value_is_sent_when_it_fits(large: Project, receiver: Receiver) -> None:
    large.sync()
    receiver.requests.clear()
    write_traits(large, "ada,a life,short,gold", "bob,,,free")
    assert large.sync().code == 0
    assert sent(receiver, "ada") == {"bio": "a life"}
    assert reasons(large) == []


def test_the_value_is_taken_back_when_it_is_gone(large: Project, receiver: Receiver) -> None:
    large.sync()
    receiver.requests.clear()
    write_traits(large, "ada,,short,gold", "bob,,,free")
    assert large.sync("--accept", "bio").code == 0
    assert sent(receiver, "ada") == {"bio": None}
    assert reasons(large) == []


def test_retry_sends_no_more_than_the_value(large: Project, receiver: Receiver) -> None:
    large.sync()
    receiver.requests.clear()
    retried = large.run("retry", "--json")
    assert (retried.code, retried.destination("segment")["refused"]) == (1, 1)
    assert receiver.requests == []
    assert large.query("select attempts from refused_calls") == [(2,)]


def test_a_value_still_too_large_keeps_back_no_later_change(large: Project, receiver: Receiver) -> None:
    large.sync()
    receiver.requests.clear()
    write_traits(large, f"ada,{LARGE}y,short,silver", "bob,,,free")
    assert large.sync().code == 1
    assert sent(receiver, "ada") == {"plan": "silver"}
    large.write_members("vip.csv", "bob", "cyd", "ada", "dan")
    assert large.sync().code == 1
    assert sent(receiver, "dan") == {"vip": True}


def test_several_values_too_large_are_refused_each_by_name(large: Project, receiver: Receiver) -> None:
    write_traits(large, f"ada,{LARGE},{LARGE},gold", f"bob,{LARGE},,")
    assert large.sync().destination("segment")["refused"] == 2
    assert sent(receiver, "ada") == {"vip": True, "plan": "gold"}
    assert sent(receiver, "bob") == {"vip": True}
    ada, bob = (reason for _, reason in reasons(large))
    assert "'bio' makes a message of" in ada
    assert "'notes' makes a message of" in ada
    assert ada.endswith(". The rest was sent, without: bio, notes")
    assert bob.endswith(". The rest was sent, without: bio")


def test_a_call_of_nothing_but_a_value_too_large_is_refused_whole(large: Project, receiver: Receiver) -> None:
    write_traits(large, f"eva,{LARGE},{LARGE},")
    assert large.sync().destination("segment")["refused"] == 1
    assert sent(receiver, "eva") == {}
    [(user, reason)] = reasons(large)
    assert (user, reason.count("shorten the value at its source")) == ("eva", 2)
    assert "The rest was sent" not in reason


def test_nested_values_and_lists_too_large_are_named_too(vip: Project, receiver: Receiver) -> None:
    configure(vip, segment=segment(receiver))
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "traits.jsonl", "traits": ["orders", "address"]}],
        destinations={"segment": segment(receiver)},
    )
    ada = {"user_id": "ada", "orders": ["é" * 100] * 400, "address": {"city": "Bern"}}
    bob = {"user_id": "bob", "orders": [1], "address": {"lines": ["x" * 9000] * 4}}
    vip.write("traits.jsonl", "\n".join(map(json.dumps, (ada, bob))) + "\n")
    assert vip.sync().destination("segment")["refused"] == 2
    assert sent(receiver, "ada") == {"vip": True, "address": {"city": "Bern"}}
    assert sent(receiver, "bob") == {"vip": True, "orders": [1]}
    assert [reason.rpartition(": ")[2] for _, reason in reasons(vip)] == ["orders", "address"]


def test_values_that_fit_one_by_one_are_all_sent(vip: Project, receiver: Receiver) -> None:
    configure(vip, segment=segment(receiver))
    write_traits(vip, f"ada,{LARGE[:20_000]},{LARGE[:20_000]},gold")
    assert vip.sync().code == 0
    assert sent(receiver, "ada") == {"vip": True, "bio": LARGE[:20_000], "notes": LARGE[:20_000], "plan": "gold"}
    ids = [message["messageId"] for message in received(receiver)]
    assert len(set(ids)) == len(ids)


def test_a_repeat_after_an_answer_that_was_lost_has_the_same_ids(large: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(raw=b"", then="reset"), ACCEPTED)
    assert large.sync().code == 1
    lost, again = (json.loads(request.body)["batch"] for request in receiver.requests)
    assert lost == again


def test_explain_distinguishes_sent_values_from_refused_ones(large: Project) -> None:
    large.sync()
    shown = large.run("explain", "ada", "--json").json
    states = {each["key"]: each["state"] for each in shown["destinations"][0]["properties"]}
    assert states == {"bio": "refused", "notes": "sent", "plan": "sent", "vip": "sent"}
    outcomes = {call["outcome"]: sorted(call["properties"]) for call in shown["destinations"][0]["calls"]}
    assert outcomes == {"delivered": ["notes", "plan", "vip"], "refused": ["bio"]}
    assert "x" * 200 not in large.run("explain", "ada").stdout


def refused(project: Project, user: str) -> list[str]:
    """The properties that `explain` shows as refused."""
    destination = project.run("explain", user, "--json").json["destinations"][0]
    return sorted(each["key"] for each in destination["properties"] if each["state"] == "refused")


def test_words_of_a_destination_do_not_change_what_counts_as_sent(vip: Project, receiver: Receiver) -> None:
    """The whole call was refused, whatever its reason ends with."""
    configure(vip, crm={"type": "webhook", "url": receiver.url, "concurrency": 1})
    write_traits(vip, "ada,a life,short,gold")
    receiver.will_answer(Reply(400, b"not now. The rest was sent, without: bio"), Reply())
    vip.sync()
    [(user, reason)] = reasons(vip)
    assert (user, reason.endswith(". The rest was sent, without: bio")) == ("ada", True)
    assert refused(vip, "ada") == ["bio", "notes", "plan", "vip"]


def test_plan_says_which_value_can_never_be_sent(large: Project) -> None:
    planned = large.run("plan", "--json").json["destinations"][0]
    assert (planned["calls"], planned["refused"]) == (3, 1)
    assert planned["refusals"][0]["user_id"] == "ada"
    assert "'bio' makes a message of" in planned["refusals"][0]["reason"]


# Limits that only the answer shows ------------------------------------------------------------------------------------

TOO_LARGE = Reply(413, b"request entity too large")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"type": "webhook"}, id="webhook"),
        pytest.param({"type": "webhook", "body": "batch"}, id="webhook of batches"),
        pytest.param({"type": "zendesk_connect", "private_key": "a-key"}, id="zendesk_connect"),
        pytest.param({"type": "rudderstack", "write_key": "a-key"}, id="rudderstack"),
    ],
)
def test_a_value_too_large_for_a_proxy_on_the_way_keeps_nothing_else_back(
    vip: Project, receiver: Receiver, options: dict[str, Any]
) -> None:
    receiver.will_answer(Reply())
    receiver.will_limit(10_000, TOO_LARGE)
    configure(vip, crm={"url": receiver.url, "concurrency": 1, **options})
    write_traits(vip, f"ada,{LARGE[:20_000]},short,gold", f"bob,,{LARGE[:30_000]},")
    first = vip.sync()
    assert (first.code, first.destination("crm")["delivered"], first.destination("crm")["refused"]) == (1, 1, 2)
    assert vip.query("select user_id, key from refused_values join properties p on p.id = property_id") == [
        ("ada", "bio"),
        ("bob", "notes"),
    ]
    assert [reason.rpartition(": ")[2] for _, reason in reasons(vip)] == ["bio", "notes"]
    assert all("HTTP 413" in reason for _, reason in reasons(vip))

    receiver.requests.clear()
    vip.write_members("vip.csv", "cyd")
    vip.sync("--accept", "vip")
    taken = b" ".join(request.body for request in receiver.requests if len(request.body) <= 10_000)
    assert taken.count(b'"vip":false') == 2
    assert len(reasons(vip)) == 2


@pytest.mark.parametrize("status", [500, 502])
@pytest.mark.parametrize(
    "options", [{"type": "webhook"}, {"type": "segment", "write_key": "a-key"}], ids=lambda each: each["type"]
)
def test_a_value_at_which_a_proxy_on_the_way_fails_keeps_nothing_else_back(
    vip: Project, receiver: Receiver, options: dict[str, Any], status: int
) -> None:
    """Caddy answers 502 to bodies over its limit, some others 500."""
    receiver.will_answer(ACCEPTED)
    receiver.will_limit(5_000, Reply(status))
    configure(vip, crm={"url": receiver.url, "concurrency": 1, **options})
    write_traits(vip, f"ada,{LARGE[:6_000]},short,gold")
    first = vip.sync()
    assert (first.code, first.destination("crm")["delivered"], first.destination("crm")["refused"]) == (1, 2, 1)
    [(user, reason)] = reasons(vip)
    assert (user, reason.startswith(f"HTTP {status}, at a message of 6,")) == ("ada", True)
    assert reason.endswith(" bytes. The rest was sent, without: bio")

    receiver.requests.clear()
    vip.write_members("vip.csv", "bob", "cyd")
    assert vip.sync("--accept", "vip").code == 1
    accepted = b" ".join(request.body for request in receiver.requests if len(request.body) <= 5_000)
    assert accepted.count(b'"vip":false') == 1


def test_calls_of_one_user_in_several_requests_where_one_may_not_have_all(vip: Project, receiver: Receiver) -> None:
    configure(vip, segment=segment(receiver, envelope="personas", batch_size=1))
    write_traits(vip, "ada,a,b,gold")
    assert vip.sync().code == 0
    assert [len(json.loads(request.body)["batch"]) for request in receiver.requests] == [1] * 6
    assert [traits for user, traits in calls(receiver) if user == "ada"] == [
        {"bio": "a"},
        {"notes": "b"},
        {"plan": "gold"},
        {"vip": True},
    ]
