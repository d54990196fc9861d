"""Bad input and bad answers at vendors' destinations: each has a counted reason, and the other users are sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TRAITS = {"source": "shop", "file": "customers.csv", "traits": ["email", "plan"]}
CUSTOMERIO = {"type": "customerio", "site_id": "a-site-id", "api_key": "an-api-key"}
BRAZE = {"type": "braze", "api_key": "an-api-key"}
POSTHOG = {"type": "posthog", "api_key": "phc_invented"}
MIXPANEL = {"type": "mixpanel", "token": "a-project-token"}
WEBHOOK = {"type": "webhook", "body": "batch"}


def reply(status: int, body: Any = None) -> Reply:
    return Reply(status, json.dumps({} if body is None else body).encode())


def configure(project: Project, receiver: Receiver, options: dict[str, Any], **parts: Any) -> None:
    crm = {"url": receiver.url, "give_up_after": "2s", **options}
    project.configure(**{"audiences": [VIP], "destinations": {"crm": crm}, **parts})


def crm(project: Project) -> tuple[int, int, int]:
    """What a run delivered, what was refused, and what is pending."""
    found = project.sync().destination("crm")
    return found["delivered"], found["refused"], found["pending"]


def reasons(project: Project) -> list[tuple[Any, ...]]:
    return project.query("select user_id, reason from refused_calls order by user_id")


@pytest.mark.parametrize(
    ("options", "answer", "reason"),
    [
        (
            CUSTOMERIO,
            reply(207, {"errors": [{"batch_index": 1, "reason": "invalid", "message": "no such person"}]}),
            "HTTP 207: invalid: no such person",
        ),
        (
            BRAZE,
            reply(201, {"message": "success", "errors": [{"type": "x", "input_array": "attributes", "index": 1}]}),
            "HTTP 201: x",
        ),
        (
            MIXPANEL,
            reply(400, {"num_records_imported": 2, "failed_records": [{"index": 1, "message": "is invalid"}]}),
            "HTTP 400: is invalid",
        ),
    ],
    ids=["customerio", "braze", "mixpanel"],
)
def test_a_user_whom_an_answer_names_is_refused_and_the_others_are_accepted_in_one_request(
    vip: Project, receiver: Receiver, options: dict[str, Any], answer: Reply, reason: str
) -> None:
    receiver.will_answer(answer)
    configure(vip, receiver, options)
    assert crm(vip) == (2, 1, 0)
    assert reasons(vip) == [("bob", reason)]
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("options", "answer", "reason"),
    [
        (CUSTOMERIO, reply(401), "HTTP 401: the key is not accepted: is it a Track API key, and is"),
        (CUSTOMERIO, reply(307), "HTTP 307: the account is in the other region: correct `destinations.crm.region`"),
        (BRAZE, reply(404, {"message": "Unknown REST API Key"}), "HTTP 404: the key is not accepted: does it belong"),
        (POSTHOG, reply(401), "HTTP 401: the project token is not accepted: is it `phc_...`"),
        (
            MIXPANEL,
            reply(200, {"status": 0, "error": "token, missing or empty"}),
            "HTTP 200: the project token is not accepted. Correct `destinations.crm.token`",
        ),
    ],
    ids=["customerio key", "customerio region", "braze", "posthog", "mixpanel"],
)
def test_a_wrong_key_or_region_keeps_all_calls_pending_until_it_is_corrected(
    vip: Project, receiver: Receiver, options: dict[str, Any], answer: Reply, reason: str
) -> None:
    receiver.will_answer(answer, reply(200, {"status": 1, "message": "success"}))
    configure(vip, receiver, options)
    done = vip.sync()
    assert done.destination("crm")["pending"] == 3
    assert done.destination("crm")["error"].startswith(reason)
    assert reasons(vip) == []
    assert crm(vip) == (3, 0, 0)


def test_a_used_up_quota_of_posthog_ends_the_run_without_a_wait_and_the_next_one_sends_all(
    vip: Project, receiver: Receiver
) -> None:
    receiver.will_answer(reply(200, {"status": "Ok", "quota_limited": ["events"]}), reply(200, {"status": "Ok"}))
    configure(vip, receiver, POSTHOG)
    error = vip.sync().destination("crm")["error"]
    assert "The answer has no time to wait; ours is 3600 s, which is longer than `give_up_after: 2s` leaves" in error
    assert crm(vip) == (3, 0, 0)


def test_hubspots_used_up_quota_leaves_all_pending_whether_fields_are_listed_or_calls_are_sent(
    vip: Project, receiver: Receiver
) -> None:
    used_up = reply(429, {"policyName": "DAILY", "message": "You have reached your daily limit."})
    fields = reply(200, {"results": [{"name": "vip"}, {"name": "customer_id"}]})
    configure(vip, receiver, {"type": "hubspot", "token": "a-token", "id_property": "customer_id"})
    for answers, problem in (((used_up,), "its fields can't be listed: "), ((fields, used_up), "")):
        receiver.will_answer(*answers)
        done = vip.sync()
        crm = done.destination("crm")
        assert (done.code, crm["delivered"], crm["pending"], crm["rate_limited"]) == (1, 0, 3, True)
        reason = "HTTP 429: the account's daily quota is used up until midnight in its time zone"
        assert crm["error"].startswith(problem + reason)


@pytest.mark.parametrize(
    ("options", "user", "reason"),
    [
        (CUSTOMERIO, "x" * 151, "the user id has 151 bytes and Customer.io takes 150"),
        (POSTHOG, "undefined", "the user id 'undefined' means no user at PostHog"),
        (MIXPANEL, "anonymous", "the user id 'anonymous' means no user at Mixpanel"),
    ],
    ids=["customerio", "posthog", "mixpanel"],
)
def test_a_user_id_that_a_vendor_does_not_accept_is_refused_alone(
    vip: Project, receiver: Receiver, options: dict[str, Any], user: str, reason: str
) -> None:
    receiver.will_answer(reply(200, {"status": 1}))
    configure(vip, receiver, options)
    vip.write_members("vip.csv", "ada", user)
    assert crm(vip) == (1, 1, 0)
    assert reasons(vip) == [(user, reason)]


OTHER_IDS = [
    (BRAZE, {"id": "alias", "alias_label": "shop"}, "alias shop", b'"user_alias":{"alias_name":"ada"'),
    (CUSTOMERIO, {"id": "cio_id"}, "cio_id", b'"identifiers":{"cio_id":"ada"}'),
    ({"type": "iterable", "api_key": "a-key"}, {"id": "email"}, "email", b'{"email":"ada"'),
]


@pytest.mark.parametrize(("options", "other", "kind", "sent"), OTHER_IDS, ids=["braze", "customerio", "iterable"])
def test_another_meaning_of_the_user_ids_at_a_vendor_sends_everything_again_and_a_plan_shows_it(
    vip: Project, receiver: Receiver, options: dict[str, Any], other: dict[str, Any], kind: str, sent: bytes
) -> None:
    receiver.will_answer(reply(200, {"message": "success"}))
    configure(vip, receiver, options)
    assert crm(vip) == (3, 0, 0)
    configure(vip, receiver, {**options, **other})
    [change] = vip.run("plan", "--json").json["mapping_changes"]
    assert (change["change"], change["from"], change["to"]) == ("user_id", "user_id", f"user_id, as {kind}")
    assert crm(vip) == (3, 0, 0)
    assert sent in receiver.requests[-1].body
    assert crm(vip) == (0, 0, 0)


def test_while_another_meaning_of_the_user_ids_is_held_nothing_is_sent_in_either(
    vip: Project, receiver: Receiver
) -> None:
    guard = {"max_removed": "50%", "max_added": 100, "at_least": 0}
    receiver.will_answer(reply(200, {"message": "success"}))
    configure(vip, receiver, BRAZE, guard=guard)
    assert crm(vip) == (3, 0, 0)
    configure(vip, receiver, {**BRAZE, **OTHER_IDS[0][1]}, guard=guard)
    vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    held = vip.sync()
    assert held.destination("crm")["delivered"] == 0
    assert held.destination("crm")["pending"] > 0
    assert "the config changes what the id of a user is there" in held.destination("crm")["error"]
    approved = vip.run("approve", "2", "crm", "--json")
    assert (approved.code, approved.destination("crm")["pending"]) == (0, 0)
    assert receiver.requests[-1].body.count(b"user_alias") == 4


def test_refusals_that_differ_in_a_size_are_one_reason_and_each_user_keeps_the_own_size(
    vip: Project, receiver: Receiver
) -> None:
    receiver.will_answer(reply(200))
    configure(vip, receiver, CUSTOMERIO)
    vip.write_members("vip.csv", *("x" * size for size in range(151, 158)), "undefined")
    plan, run = vip.run("plan").stdout, vip.run("sync").stdout
    for shown in (plan, run, vip.run("show", "1").stdout):
        assert shown.count("the user id has too many bytes and Customer.io takes 150") == 1
    assert "7 calls, 1 reason" in vip.run("show", "1").stdout
    assert reasons(vip)[3] == ("x" * 154, "the user id has 154 bytes and Customer.io takes 150")


@pytest.mark.parametrize("options", [BRAZE, WEBHOOK, MIXPANEL], ids=["braze", "webhook", "mixpanel"])
def test_a_user_with_another_id_stays_the_same_where_users_are_known_by_their_email(
    vip: Project, receiver: Receiver, options: dict[str, Any]
) -> None:
    receiver.will_answer(reply(200, {"status": 1, "message": "success"}))
    aliases = [{"source": "shop", "file": "aliases.csv"}]
    known = {**options, "user_id": "email", "traits": []}
    configure(vip, receiver, known, aliases=aliases, computed_traits=[TRAITS])
    vip.write("aliases.csv", "previous_id,user_id\n")
    vip.write("customers.csv", "user_id,email,plan\nada,a@example.com,gold\n")
    vip.write_members("vip.csv", "ada")
    assert crm(vip) == (1, 0, 0)
    vip.write("aliases.csv", "previous_id,user_id\nada,ada-2\n")
    vip.write("customers.csv", "user_id,email,plan\nada-2,a@example.com,gold\n")
    vip.write_members("vip.csv", "ada-2")
    delivered, refused, pending = crm(vip)
    assert (delivered, refused, pending) == (1, 0, 0)
    assert b"false" not in receiver.requests[-1].body
    vip.write_members("vip.csv")
    vip.sync("--yes")
    assert b"a@example.com" in receiver.requests[-1].body


def test_a_previous_id_that_can_not_be_merged_is_refused_without_the_user(vip: Project, receiver: Receiver) -> None:
    configure(vip, receiver, CUSTOMERIO, aliases=[{"source": "shop", "file": "aliases.csv"}])
    vip.write("aliases.csv", "previous_id,user_id\n")
    vip.write_members("vip.csv", "x" * 151)
    vip.sync()
    vip.write("aliases.csv", f"previous_id,user_id\n{'x' * 151},ada\n")
    vip.write_members("vip.csv", "ada")
    vip.sync()
    [(user, reason)] = reasons(vip)
    assert user == "ada"
    assert reason.startswith(f"the previous id '{'x' * 151}' can't be merged: the user id has 151 bytes")
    assert json.loads(receiver.requests[-1].body)["batch"][0]["attributes"] == {"vip": True}


def test_a_test_call_shows_the_switches_in_mixpanels_address_and_no_secret(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(reply(200, {"status": 1}))
    configure(vip, receiver, MIXPANEL)
    shown = vip.run("test-destination", "crm", "--user", "me").stdout
    assert f"\n  POST {receiver.url}/engage?strict=1&verbose=1&ip=0\n" in shown
    assert "a-project-token" not in shown


def test_the_key_in_a_webhooks_address_is_not_shown_beside_a_switch(vip: Project, receiver: Receiver) -> None:
    configure(vip, receiver, {**WEBHOOK, "url": f"{receiver.url}/hook?debug=1&key=sesame-open"})
    shown = vip.run("test-destination", "crm", "--user", "me").stdout
    assert "sesame-open" not in shown
