"""Each destination is sent its own traits, names, ids and identifiers; its fields are made before the first call."""

from __future__ import annotations

import json
from typing import Any

from destinations.receiver import Receiver, Reply

from .conftest import Project, calls, received, segment

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


REFUSING = Reply(400, b'{"message": "no such profile"}')


def refuse(receiver: Receiver) -> None:
    """Every call is refused."""
    receiver.will_answer(REFUSING)


def accept(receiver: Receiver) -> None:
    receiver.will_answer(Reply(body=b'{"success": true}'))
    receiver.requests.clear()


def test_a_user_refused_during_a_rename_still_loses_the_old_name(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[]))
    vip.sync()
    configured(vip, crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    refuse(receiver)
    vip.sync()
    accept(receiver)
    vip.write_members("vip.csv", "ada", "cyd")
    vip.sync()
    assert calls(receiver) == [("bob", {"is_vip": False, "vip": False})]
    receiver.requests.clear()
    vip.run("retry")
    assert calls(receiver) == [("ada", {"is_vip": True, "vip": False}), ("cyd", {"is_vip": True, "vip": False})]


def test_a_user_suppressed_during_a_rename_loses_the_old_name_afterwards(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[]))
    vip.sync()
    vip.run("suppress", "ada")
    configured(vip, crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    vip.sync()
    vip.run("unsuppress", "ada")
    receiver.requests.clear()
    vip.sync()
    assert calls(receiver) == [("ada", {"is_vip": True, "vip": False})]


def test_names_that_two_properties_exchange_have_the_values_of_the_other(vip: Project, receiver: Receiver) -> None:
    project = with_customers(vip)
    project.write_members("buyers.csv", "bob", "dan")
    audiences = [VIP, {"name": "Buyers", "source": "shop", "file": "buyers.csv"}]
    project.configure(audiences=audiences, destinations={"crm": segment(receiver)})
    project.sync()
    receiver.requests.clear()
    renamed = segment(receiver, rename={"vip": "buyers", "buyers": "vip"})
    project.configure(audiences=audiences, destinations={"crm": renamed})
    project.sync()
    assert calls(receiver) == [
        ("ada", {"buyers": True, "vip": False}),
        ("bob", {"vip": True, "buyers": True}),
        ("cyd", {"buyers": True, "vip": False}),
        ("dan", {"vip": True, "buyers": False}),
    ]


def renamed_without_delivery(project: Project, receiver: Receiver) -> None:
    """Rename `vip` to `is_vip` while the destination refuses the key."""
    configured(with_customers(project), crm=segment(receiver, traits=[]))
    project.sync()
    receiver.will_answer(Reply(401))
    configured(project, crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    project.sync()
    accept(receiver)


def test_a_second_rename_before_the_first_was_delivered_ends_both_names(vip: Project, receiver: Receiver) -> None:
    renamed_without_delivery(vip, receiver)
    configured(vip, crm=segment(receiver, traits=[], rename={"vip": "member"}))
    vip.sync()
    assert calls(receiver)[0] == ("ada", {"member": True, "vip": False, "is_vip": False})


def test_a_name_given_back_before_it_was_delivered_stays(vip: Project, receiver: Receiver) -> None:
    renamed_without_delivery(vip, receiver)
    configured(vip, crm=segment(receiver, traits=[]))
    vip.sync()
    assert calls(receiver)[0] == ("ada", {"vip": True, "is_vip": False})


def test_a_rename_in_the_middle_of_a_seed_reaches_those_who_were_sent_the_old_name(
    vip: Project, receiver: Receiver
) -> None:
    wave = {**VIP, "initial": "manual"}
    vip.configure(audiences=[wave], destinations={"crm": segment(receiver)})
    vip.run("seed", "vip", "--limit", "1")
    receiver.requests.clear()
    vip.configure(audiences=[wave], destinations={"crm": segment(receiver, rename={"vip": "is_vip"})})
    vip.run("seed", "vip")
    assert calls(receiver)[0] == ("ada", {"is_vip": True, "vip": False})
    assert [user for user, _ in calls(receiver)] == ["ada", "bob", "cyd"]
    receiver.requests.clear()
    assert vip.sync().code == 0
    assert receiver.requests == []


def test_a_user_whose_id_there_changes_is_sent_everything_under_the_new_one(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, user_id="email", traits=["plan"], events=True))
    vip.write("customers.csv", "user_id,email,plan\nada,ada@example.com,gold\nbob,bob@example.com,\n")
    vip.sync()
    vip.write_members("vip.csv", "ada")
    vip.sync()
    receiver.requests.clear()
    vip.write("customers.csv", "user_id,email,plan\nada,ada@new.example,gold\nbob,bob@new.example,\n")
    vip.sync()
    assert [(each["type"], each["userId"], each.get("traits")) for each in received(receiver)] == [
        ("identify", "ada@new.example", {"plan": "gold", "vip": True}),
        ("identify", "bob@new.example", {"vip": False}),
    ]
    receiver.requests.clear()
    vip.sync()
    assert receiver.requests == []


def test_an_id_that_comes_later_sends_what_was_refused_without_it(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, user_id="email", traits=[]))
    assert vip.sync().destination("crm")["refused"] == 1
    receiver.requests.clear()
    vip.write("customers.csv", "user_id,email,plan\nada,ada@example.com,gold\nbob,bob@example.com,\ncyd,cyd@x.com,\n")
    done = vip.sync()
    assert calls(receiver) == [("cyd@x.com", {"vip": True})]
    assert (done.code, done.destination("crm")["still_refused"]) == (0, 0)


def test_lost_values_are_sent_again_when_they_are_no_longer_skipped(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, on_null="skip"))
    vip.sync()
    receiver.requests.clear()
    vip.write("customers.csv", "user_id,email,plan\nada,ada@example.com,\nbob,bob@example.com,blue\ncyd,,gold\n")
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    assert calls(receiver) == [("cyd", {"vip": False})]
    receiver.requests.clear()
    configured(vip, crm=segment(receiver))
    vip.sync()
    assert calls(receiver) == [("ada", {"plan": None})]


def test_a_refused_trait_that_is_dropped_is_no_longer_refused(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver))
    vip.sync()
    vip.write("customers.csv", "user_id,email,plan\nada,a,gold\nbob,bob@example.com,blue\ncyd,,gold\n")
    refuse(receiver)
    assert vip.sync().destination("crm")["still_refused"] == 1
    accept(receiver)
    configured(vip, crm=segment(receiver, traits=["plan"]))
    dropped = vip.sync()
    assert (dropped.code, dropped.destination("crm")["still_refused"], receiver.requests) == (0, 0, [])
    configured(vip, crm=segment(receiver))
    vip.sync()
    assert calls(receiver) == [("ada", {"email": "a"})]


HASHED_ADA = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72"


def test_the_id_of_a_user_is_hashed_where_its_trait_is(vip: Project, receiver: Receiver) -> None:
    configured(
        with_customers(vip), crm=segment(receiver, user_id="email", identifiers=["email"], hash=["email"], traits=[])
    )
    vip.sync()
    assert (HASHED_ADA, {"email": HASHED_ADA, "vip": True}) in calls(receiver)


def many(project: Project, **options: Any) -> None:
    """An audience of 150 members, at which the default guard counts shares."""
    project.write_members("vip.csv", *(f"u-{number:03}" for number in range(150)))
    guard = options.pop("guard", None)
    audience = {**VIP, "guard": guard} if guard else VIP
    project.configure(audiences=[audience], destinations={"log": {"type": "file", "path": "calls.jsonl", **options}})


def test_a_rename_that_ends_too_many_values_is_held_and_the_old_name_is_sent_meanwhile(vip: Project) -> None:
    many(vip)
    vip.sync()
    vip.sent()
    many(vip, rename={"vip": "is_vip"})
    assert vip.run("plan").stdout.startswith("Plan: 1 mapping would be held, no changes, nothing to send.")
    held = vip.sync()
    assert (held.code, held.json["status"]) == (4, "held")
    assert held.json["mapping_changes"] == [
        {
            "destination": "log",
            "key": "vip",
            "change": "renamed",
            "from": "vip",
            "to": "is_vip",
            "users": 150,
            "held": True,
        }
    ]
    assert vip.sent() == []
    vip.write_members("vip.csv", *(f"u-{number:03}" for number in range(1, 150)))
    assert vip.sync().code == 4
    assert vip.sent() == [("u-000", {"vip": False})]
    approved = vip.run("approve", "3", "log", "--json")
    assert (approved.code, approved.destination("log")["delivered"]) == (0, 150)
    sent = vip.sent()
    assert sent[0] == ("u-000", {"is_vip": False, "vip": False})
    assert sent[1] == ("u-001", {"is_vip": True, "vip": False})
    assert vip.sync().code == 0
    assert vip.sent() == []


def test_another_rename_than_the_held_one_is_not_approved_with_it(vip: Project) -> None:
    many(vip)
    vip.sync()
    many(vip, rename={"vip": "is_vip"})
    assert vip.sync().code == 4
    many(vip, rename={"vip": "member"})
    vip.sent()
    assert vip.run("approve", "2", "log").code == 4
    assert vip.sent() == []
    many(vip)
    ended = vip.run("sync")
    assert "the hold of run 3 has ended. The mapping is the former one again" in ended.stdout
    assert ended.code == 0


def test_a_guard_that_allows_all_to_leave_allows_a_rename(vip: Project) -> None:
    many(vip, guard={"max_removed": "100%"})
    vip.sync()
    vip.sent()
    many(vip, guard={"max_removed": "100%"}, rename={"vip": "is_vip"})
    assert vip.sync().code == 0
    assert len(vip.sent()) == 150


def test_a_plan_shows_each_change_of_a_mapping(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=["email"]))
    vip.sync()
    options = {"rename": {"vip": "is_vip"}, "traits": ["plan"], "user_id": "email"}
    configured(vip, crm=segment(receiver, **options))
    plan = vip.run("plan")
    assert plan.stdout.partition("Mapping of crm:\n")[2].startswith(
        "  New             plan (3 users)\n"
        "  No longer sent  email (2 users)\n"
        "  Renamed         vip to is_vip (3 users)\n"
        "  User id         email instead of user_id (3 users)\n"
    )
    changes = vip.run("plan", "--json").json["mapping_changes"]
    assert [(each["key"], each["change"], each["from"], each["to"], each["users"]) for each in changes] == [
        ("plan", "new", None, None, 3),
        ("email", "dropped", None, None, 2),
        ("vip", "renamed", "vip", "is_vip", 3),
        (None, "user_id", "user_id", "email", 3),
    ]


def test_explain_and_show_name_what_was_sent_as_the_destination_knows_it(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[], user_id="email", rename={"vip": "is_vip"}))
    vip.sync()
    explained = vip.run("explain", "ada")
    assert "vip true (as is_vip)" in explained.stdout
    assert "ada@example.com there" in explained.stdout
    [call] = vip.run("explain", "ada", "--json").json["destinations"][0]["calls"]
    assert call["sent_as"] == {"user_id": "ada@example.com", "names": {"vip": "is_vip"}, "hashed": []}
    assert "Mapping of crm: vip as is_vip, users by email." in vip.run("show", "1").stdout


def test_a_saved_plan_is_of_one_mapping(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[]))
    vip.sync()
    configured(vip, crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    vip.run("plan", "--out", "plan.json")
    configured(vip, crm=segment(receiver, traits=[], rename={"vip": "member"}))
    refused = vip.run("sync", "--plan", "plan.json")
    assert refused.code == 2
    assert "mapping of crm: planned vip as is_vip, now vip as member" in " ".join(refused.stderr.split())


def test_a_frozen_audience_gets_its_new_name_when_it_is_unfrozen(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[]))
    vip.sync()
    receiver.requests.clear()
    vip.run("freeze", "vip")
    configured(vip, crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    vip.sync()
    assert receiver.requests == []
    vip.run("unfreeze", "vip")
    vip.sync()
    assert calls(receiver)[0] == ("ada", {"is_vip": True, "vip": False})


def test_a_retired_audience_ends_under_the_name_that_it_has(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=[], rename={"vip": "is_vip"}))
    vip.sync()
    receiver.requests.clear()
    receiver.will_answer(Reply(401))
    vip.run("retire", "vip", "--yes")
    accept(receiver)
    vip.configure(audiences=[], computed_traits=[TRAITS], destinations={"crm": segment(receiver, traits=[])})
    vip.sync()
    assert calls(receiver) == [("ada", {"is_vip": False}), ("bob", {"is_vip": False}), ("cyd", {"is_vip": False})]


def test_a_resync_sends_everything_under_the_present_mapping(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, traits=["plan"]))
    vip.sync()
    mapped = segment(receiver, traits=["plan"], rename={"vip": "is_vip"}, user_id="email")
    configured(vip, crm=mapped)
    vip.sync()
    receiver.requests.clear()
    vip.run("resync", "--destination", "crm")
    assert calls(receiver) == [
        ("ada@example.com", {"plan": "gold", "is_vip": True}),
        ("bob@example.com", {"plan": "blue", "is_vip": True}),
    ]


def test_an_external_id_of_an_unknown_audience_is_a_problem(vip: Project, receiver: Receiver) -> None:
    options = {"envelope": "personas", "external_audience_ids": {"vpi": "1"}}
    configured(with_customers(vip), crm=segment(receiver, **options))
    failed = vip.run("check")
    assert failed.code == 2
    assert "unknown audience `vpi`. Did you mean `vip`?" in " ".join(failed.stdout.split())


def test_explain_knows_that_a_refused_call_was_sent_when_its_identifier_came(vip: Project, receiver: Receiver) -> None:
    configured(with_customers(vip), crm=segment(receiver, identifiers=["email"], traits=[]))
    vip.sync()
    refused = vip.run("explain", "cyd", "--json").json["destinations"][0]
    assert [each["state"] for each in refused["properties"] if each["key"] == "vip"] == ["refused"]
    vip.write("customers.csv", "user_id,email,plan\nada,ada@example.com,gold\nbob,bob@example.com,\ncyd,c@x.com,\n")
    vip.sync()
    [crm] = vip.run("explain", "cyd", "--json").json["destinations"]
    assert [each["outcome"] for each in crm["calls"]] == ["refused", "delivered"]
    assert [each["state"] for each in crm["properties"] if each["key"] == "vip"] == ["sent"]
