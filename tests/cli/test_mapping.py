"""Each destination is sent its own traits, names, ids and identifiers; its fields are made before the first call."""

from __future__ import annotations

import json
from typing import Any

from destinations.receiver import Receiver, Reply

from .conftest import Project, calls, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TRAITS = {"source": "shop", "file": "customers.csv", "traits": ["email", "plan"]}


def with_customers(project: Project) -> Project:
    (project.folder / "customers.csv").write_text(
        "user_id,email,plan\nada,ada@example.com,gold\nbob,bob@example.com,blue\ncyd,,gold\n"
    )
    return project


def configured(project: Project, traits: dict[str, Any] = TRAITS, **destinations: Any) -> None:
    project.configure(audiences=[VIP], computed_traits=[traits], destinations=destinations)


def test_an_exit_carries_the_identifiers_and_no_other_trait(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, identifiers=["email"], traits=[]))
    vip.sync()
    assert calls(receiver) == [
        ("ada", {"email": "ada@example.com", "vip": True}),
        ("bob", {"email": "bob@example.com", "vip": True}),
        ("cyd", {"vip": True}),
    ]
    receiver.requests.clear()
    vip.write_members("vip.csv", "ada", "cyd")
    vip.sync()
    assert calls(receiver) == [("bob", {"email": "bob@example.com", "vip": False})]


def test_a_user_without_the_id_of_a_destination_is_refused_there_alone(
    vip: Project, receiver: Receiver, other_receiver: Receiver
) -> None:
    configured(
        with_customers(vip), crm=segment(receiver, user_id="email", traits=[]), all=segment(other_receiver, traits=[])
    )
    done = vip.sync()
    assert calls(receiver) == [("ada@example.com", {"vip": True}), ("bob@example.com", {"vip": True})]
    assert len(calls(other_receiver)) == 3
    assert (done.destination("crm")["refused"], done.destination("all")["refused"]) == (1, 0)
    assert "the user has no email, by which this destination knows users" in vip.run("show", "1").stdout


def test_a_destination_that_gets_a_trait_newly_is_sent_its_current_values_and_then_nothing_more(
    vip: Project, receiver: Receiver
) -> None:
    configured(with_customers(vip), {**TRAITS, "destinations": []}, crm=segment(receiver))
    vip.sync()
    assert calls(receiver) == [("ada", {"vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]
    receiver.requests.clear()
    configured(vip, crm=segment(receiver, traits=["plan"]))
    vip.sync()
    assert calls(receiver) == [("ada", {"plan": "gold"}), ("bob", {"plan": "blue"}), ("cyd", {"plan": "gold"})]
    receiver.requests.clear()
    configured(vip, crm=segment(receiver, traits=[]))
    vip.sync()
    assert receiver.requests == []


def test_names_and_hashes_are_the_destination_s_own(vip: Project, receiver: Receiver) -> None:
    configured(
        with_customers(vip),
        crm=segment(receiver, rename={"vip": "is_vip"}, hash=["email"], traits=["email"], events=True),
    )
    vip.sync()
    [ada, *_] = calls(receiver)
    assert ada == ("ada", {"email": "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72", "is_vip": True})


def test_a_mapping_that_names_nothing_is_refused_with_the_nearest_name(vip: Project, receiver: Receiver) -> None:
    options = {"user_id": "emial", "traits": ["plam"], "rename": {"vpi": "x", "vip": "plan"}}
    configured(with_customers(vip), {**TRAITS, "destinations": ["crn"]}, crm=segment(receiver, **options))
    failed = vip.run("check")
    assert failed.code == 2
    for words in (
        "unknown computed trait `emial`. Did you mean `email`?",
        "unknown computed trait `plam`. Did you mean `plan`?",
        "unknown audience or trait `vpi`. Did you mean `vip`?",
        "`plan` is the name of `plan` there, too: choose another",
        "unknown destination `crn`. Did you mean `crm`?",
    ):
        assert words in " ".join(failed.stdout.split()), words


FIELDS = Reply(200, b'{"results":[{"name":"email"}]}')
WRITTEN = Reply(200, b'{"status":"COMPLETE","results":[{"id":"1"},{"id":"2"}]}')


def hubspot(receiver: Receiver, **options: Any) -> dict[str, Any]:
    return {"type": "hubspot", "token": "pat-123456", "url": receiver.url, "traits": [], **options}


def test_missing_fields_are_named_and_nothing_is_sent(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(FIELDS)
    configured(with_customers(vip), crm=hubspot(receiver))
    assert "these fields do not exist there, so that nothing is sent: vip" in vip.run("check").stdout
    plan = vip.run("plan", "--json").json
    assert plan["destinations"][0]["missing_fields"] == ["vip"]
    stopped = vip.sync()
    assert stopped.destination("crm")["error"].startswith("these fields do not exist there: vip. Nothing was sent.")
    assert stopped.destination("crm")["pending"] == 3
    assert {each.method for each in receiver.requests} == {"GET"}


def test_a_name_that_a_service_can_not_have_is_named_by_check_and_no_field_is_created_for_it(
    vip: Project, receiver: Receiver
) -> None:
    renamed = {"vip": "isVip"}
    configured(with_customers(vip), crm=hubspot(receiver, create_fields=True, rename=renamed, traits=["plan"]))
    receiver.will_answer(FIELDS)
    failed = vip.run("check")
    assert failed.code == 3
    assert "'isVip' can't be a name at HubSpot, whose names match [a-z][a-z0-9_]*" in failed.stdout
    assert "Set `destinations.crm.rename`: until then it is refused for every user" in failed.stdout
    receiver.requests.clear()
    receiver.will_answer(FIELDS, Reply(201, b"{}"), WRITTEN)
    assert vip.sync().destination("crm")["refused"] == 3  # two without isVip, one without an e-mail
    [_, created, sent] = receiver.requests
    assert json.loads(created.body)["name"] == "plan"
    assert [each["properties"] for each in json.loads(sent.body)["inputs"]] == [{"plan": "gold"}, {"plan": "blue"}]


def test_missing_fields_are_created_before_the_first_call(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(FIELDS, Reply(201, b"{}"), WRITTEN)
    configured(with_customers(vip), crm=hubspot(receiver, create_fields=True, rename={"vip": "is_vip"}))
    done = vip.sync()
    assert (done.destination("crm")["delivered"], done.destination("crm")["refused"]) == (2, 1)  # one has no e-mail
    listed, created, sent = receiver.requests
    assert (listed.method, json.loads(created.body)["name"]) == ("GET", "is_vip")
    assert [(each["id"], each["properties"]) for each in json.loads(sent.body)["inputs"]] == [
        ("ada@example.com", {"is_vip": "true"}),
        ("bob@example.com", {"is_vip": "true"}),
    ]


def test_a_rename_sends_the_new_name_its_value_and_ends_the_old_one_in_one_call(
    vip: Project, receiver: Receiver
) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=["plan"]))
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    receiver.requests.clear()
    configured(vip, crm=segment(receiver, traits=["plan"], rename={"vip": "is_vip", "plan": "tier"}))
    planned = vip.run("plan", "--json").json
    assert planned["destinations"][0]["calls"] == 3
    vip.sync()
    assert calls(receiver) == [
        ("ada", {"tier": "gold", "plan": None, "is_vip": True, "vip": False}),
        ("bob", {"tier": "blue", "plan": None, "is_vip": True, "vip": False}),
        ("cyd", {"tier": "gold", "plan": None, "is_vip": False, "vip": False}),
    ]
    receiver.requests.clear()
    vip.sync()
    assert receiver.requests == []
    vip.write_members("vip.csv", "ada", "dan")
    vip.sync()
    assert calls(receiver) == [("bob", {"is_vip": False}), ("dan", {"is_vip": True})]


def test_another_id_or_hash_is_sent_to_everyone(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[]))
    vip.sync()
    receiver.requests.clear()
    configured(vip, crm=segment(receiver, traits=[], user_id="email"))
    vip.sync()
    assert calls(receiver) == [("ada@example.com", {"vip": True}), ("bob@example.com", {"vip": True})]


def test_a_name_that_is_given_back_is_sent_again(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    vip.sync()
    receiver.requests.clear()
    configured(vip, crm=segment(receiver, traits=[]))
    vip.sync()
    assert calls(receiver)[0] == ("ada", {"vip": True, "is_vip": False})
