"""Runs deliver to RudderStack and webhooks, whose answers differ from Segment's."""

from __future__ import annotations

import json

from destinations.receiver import Receiver, Reply

from .conftest import Project, calls

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
OK = Reply(200, b"ok")
BAD = Reply(400, b"request neither has anonymousId nor userId\n")


def test_a_batch_that_fails_because_of_one_call_is_halved_until_it_is_found(vip: Project, receiver: Receiver) -> None:
    # ada, bob, cyd, dan: refused; ada, bob: taken; cyd, dan: refused; cyd: refused; dan: taken.
    receiver.will_answer(BAD, OK, BAD, BAD, OK)
    plane = {"type": "rudderstack", "write_key": "a-write-key", "url": receiver.url, "concurrency": 1}
    vip.configure(audiences=[VIP], destinations={"plane": plane})
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    run = vip.sync()
    assert (run.code, run.destination("plane")["delivered"], run.destination("plane")["refused"]) == (1, 3, 1)
    assert vip.query("select user_id, http_status from refused_calls") == [("cyd", 400)]
    sent = [[message["userId"] for message in json.loads(request.body)["batch"]] for request in receiver.requests]
    assert sent == [["ada", "bob", "cyd", "dan"], ["ada", "bob"], ["cyd", "dan"], ["cyd"], ["dan"]]


def test_a_disabled_source_stops_the_destination_and_its_calls_stay_pending(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(404, b"source is disabled\n"), OK)
    plane = {"type": "rudderstack", "write_key": "a-write-key", "url": receiver.url}
    vip.configure(audiences=[VIP], destinations={"plane": plane})
    stopped = vip.sync()
    assert (stopped.code, stopped.destination("plane")["pending"]) == (3, 3)
    assert "the source is switched off in RudderStack" in stopped.destination("plane")["error"]
    assert vip.sync().destination("plane")["delivered"] == 3
    assert {user for user, _ in calls(receiver)} == {"ada", "bob", "cyd"}


def test_a_webhook_is_sent_call_by_call_and_its_answers_mean_what_the_config_says(
    vip: Project, receiver: Receiver
) -> None:
    receiver.will_answer(Reply(409), Reply(200), Reply(418, b"short and stout"))
    vip.environment["TOKEN"] = "tok-91b2e6d4"
    hook = {
        "type": "webhook",
        "url": f"{receiver.url}/identify",
        "method": "PUT",
        "headers": {"Authorization": "Bearer ${TOKEN}"},
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "answers": {409: "delivered", "4xx": "stop"},
        "concurrency": 1,
    }
    vip.configure(audiences=[VIP], destinations={"hook": hook})
    run = vip.sync()
    assert (run.code, run.destination("hook")["delivered"], run.destination("hook")["pending"]) == (1, 2, 1)
    assert "HTTP 418: short and stout" in run.destination("hook")["error"]
    assert [json.loads(request.body)["userId"] for request in receiver.requests] == ["ada", "bob", "cyd"]
    assert {(request.method, request.path) for request in receiver.requests} == {("PUT", "/identify")}
    assert {request.headers["authorization"] for request in receiver.requests} == {"Bearer tok-91b2e6d4"}
    assert all(request.headers["webhook-signature"].startswith("v1,") for request in receiver.requests)
    assert "tok-91b2e6d4" not in run.stdout + run.stderr
    assert b"tok-91b2e6d4" not in vip.store.read_bytes()


def test_wrong_answers_are_said_with_their_place(vip: Project) -> None:
    hook = {"type": "webhook", "url": "https://hooks.example.test", "answers": {"4x": "retry", 409: "deliverd"}}
    vip.configure(audiences=[VIP], destinations={"hook": hook})
    wrong = vip.run("check", "--json")
    assert wrong.code == 2
    assert [(each["name"], each["message"]) for each in wrong.json["checks"]] == [
        (
            "destinations.hook.answers.4x",
            "unknown answer `4x`. Did you mean `4xx`?",
        ),
        (
            "destinations.hook.answers.409",
            "it must be 'delivered', 'retry', 'slow_down', 'refused' or 'stop'; did you mean `delivered`?",
        ),
    ]
