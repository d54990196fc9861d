"""With `events: true` a destination gets an event for each user who entered or left."""

from __future__ import annotations

import json
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, SILENCE, Project, received, segment

AUDIENCES = [
    {"name": "VIP", "source": "shop", "file": "vip.csv"},
    {"name": "Buyers", "source": "shop", "file": "buyers.csv"},
]
#: User, event, and what it is about.
Event = tuple[str, str, dict[str, Any]]


def with_events(project: Project, events: object = True, **options: Any) -> None:
    project.configure(
        audiences=AUDIENCES, destinations={"log": {"type": "file", "path": "calls.jsonl", "events": events, **options}}
    )


def as_events(messages: list[dict[str, Any]]) -> list[Event]:
    found = [(each["userId"], each["event"], each["properties"]) for each in messages if each["type"] == "track"]
    return sorted(found, key=lambda event: (event[0], event[1], event[2]["audience_key"]))


@pytest.fixture
def synced(vip: Project) -> Project:
    """Ada, bob and cyd are known as members of `vip`, and ada of `buyers`."""
    with_events(vip)
    vip.write_members("buyers.csv", "ada")
    assert vip.sync().code == 0
    return vip


def test_a_first_creation_sends_no_events(synced: Project) -> None:
    assert [each["type"] for each in synced.messages()] == ["identify"] * 3


def test_who_enters_and_who_leaves_is_an_event_of_its_own(synced: Project) -> None:
    synced.write_members("vip.csv", "bob", "cyd", "dan")
    synced.write_members("buyers.csv", "ada", "dan")
    synced.sync()
    messages = synced.messages()[3:]
    assert as_events(messages) == [
        ("ada", "Audience Exited", {"audience_key": "vip", "vip": False}),
        ("dan", "Audience Entered", {"audience_key": "buyers", "buyers": True}),
        ("dan", "Audience Entered", {"audience_key": "vip", "vip": True}),
    ]
    assert [(each["userId"], each["type"]) for each in messages] == [
        ("ada", "identify"),
        ("ada", "track"),
        ("dan", "identify"),
        ("dan", "track"),
        ("dan", "track"),
    ]
    assert len({each["messageId"] for each in messages}) == 5


def test_events_have_the_names_that_the_config_gives_them(synced: Project) -> None:
    with_events(synced, {"entered": "Joined", "exited": "Gone"})
    synced.write_members("vip.csv", "bob", "cyd", "dan")
    synced.sync()
    assert [(user, name) for user, name, _ in as_events(synced.messages())] == [("ada", "Gone"), ("dan", "Joined")]


def test_a_resync_sends_no_events_and_later_changes_do(synced: Project) -> None:
    synced.run("resync")
    assert as_events(synced.messages()) == []
    synced.write_members("vip.csv", "ada", "bob")
    synced.sync()
    assert as_events(synced.messages()) == [("cyd", "Audience Exited", {"audience_key": "vip", "vip": False})]


def test_without_the_option_there_are_none(synced: Project) -> None:
    with_events(synced, False)
    synced.write_members("vip.csv", "bob")
    synced.sync("--accept", "vip")
    assert as_events(synced.messages()) == []


def test_a_trait_that_changes_is_no_event(synced: Project) -> None:
    synced.configure(
        audiences=AUDIENCES,
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["fan"]}],
        destinations={"log": {"type": "file", "path": "calls.jsonl", "events": True}},
    )
    synced.write("traits.csv", "user_id,fan\nada,true\n")
    synced.sync()
    synced.write("traits.csv", "user_id,fan\nada,false\n")
    synced.sync()
    assert [each["traits"] for each in synced.messages()[3:]] == [{"fan": True}, {"fan": False}]


def test_a_repeat_has_the_same_id_although_more_is_sent_with_it(vip: Project, receiver: Receiver) -> None:
    """The answer to ada's leaving is lost; then she buys, and both are sent in one call."""
    options = segment(receiver, events=True, timeout="1s", give_up_after="1s")
    vip.configure(audiences=AUDIENCES, destinations={"segment": options})
    vip.write_members("buyers.csv", "bob")
    vip.sync()
    receiver.requests.clear()
    vip.write_members("vip.csv", "bob", "cyd")
    receiver.will_answer(SILENCE)
    assert vip.sync().code == 3
    lost = [each for each in received(receiver) if each["type"] == "track"]
    receiver.requests.clear()
    receiver.will_answer(ACCEPTED)
    vip.write_members("buyers.csv", "bob", "ada")
    assert vip.sync().code == 0
    entered, exited = [each for each in received(receiver) if each["type"] == "track"]
    assert {each["messageId"] for each in lost} == {exited["messageId"]}
    assert (exited["event"], exited["timestamp"]) == ("Audience Exited", lost[0]["timestamp"])
    assert (entered["event"], entered["properties"]["audience_key"]) == ("Audience Entered", "buyers")
    assert entered["timestamp"] > exited["timestamp"]


def connect(receiver: Receiver, **options: Any) -> dict[str, Any]:
    return {"type": "zendesk_connect", "private_key": "a-key", "url": receiver.url, "events": True, **options}


def test_connect_gets_events_at_their_own_address_after_the_users(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply())
    vip.configure(audiences=AUDIENCES, destinations={"connect": connect(receiver)})
    vip.write_members("buyers.csv", "ada")
    vip.sync()
    receiver.requests.clear()
    vip.write_members("vip.csv", "bob", "cyd", "dan")
    plan = vip.run("plan", "--json").destination("connect")
    done = vip.sync().destination("connect")
    assert [each.path for each in receiver.requests] == ["/v2/identify/batch", "/v2/track/batch"]
    assert (plan["calls"], plan["requests"]) == (2, 2)
    assert (done["delivered"], vip.query("select max(requests) from deliveries")) == (2, [(2,)])
    ada, dan = json.loads(receiver.requests[1].body)
    assert (ada["user_id"], ada["event"], ada["properties"]) == (
        "ada",
        "Audience Exited",
        {"audience_key": "vip", "vip": False},
    )
    assert (dan["event"], type(dan["timestamp"])) == ("Audience Entered", int)


def test_a_call_is_taken_when_its_event_is_too(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply())
    vip.configure(audiences=AUDIENCES, destinations={"connect": connect(receiver)})
    vip.write_members("buyers.csv", "ada")
    vip.sync()
    receiver.requests.clear()
    vip.write_members("buyers.csv", "ada", "bob")
    receiver.will_answer(Reply(), Reply(status=400))
    assert vip.sync().destination("connect")["refused"] == 1
    receiver.will_answer(Reply())
    first = receiver.requests[1]
    receiver.requests.clear()
    assert vip.run("retry").code == 0
    assert [each.path for each in receiver.requests] == ["/v2/identify", "/v2/track"]
    assert receiver.requests[1].body == first.body


def test_a_webhook_of_single_calls_gets_a_request_for_each(vip: Project, receiver: Receiver) -> None:
    vip.configure(
        audiences=AUDIENCES,
        destinations={"hook": {"type": "webhook", "url": receiver.url, "events": True, "concurrency": 1}},
    )
    vip.write_members("buyers.csv", "ada")
    vip.sync()
    receiver.requests.clear()
    vip.write_members("buyers.csv", "ada", "bob")
    vip.sync()
    assert [json.loads(each.body)["type"] for each in receiver.requests] == ["identify", "track"]
