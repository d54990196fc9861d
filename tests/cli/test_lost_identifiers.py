"""An exit reaches those who know a user by an identifier, although the user lost it, or is gone from the sources."""

from __future__ import annotations

from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, calls, received, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TRAITS = {"source": "shop", "file": "customers.csv", "traits": ["email", "plan"]}
CUSTOMERS = "user_id,email,plan\nada,ada@example.com,gold\nbob,bob@example.com,blue\n"


def with_customers(project: Project, customers: str = CUSTOMERS, **destinations: Any) -> Project:
    project.write("customers.csv", customers)
    project.configure(audiences=[VIP], computed_traits=[TRAITS], destinations=destinations)
    return project


def after_bob_is_gone(project: Project, receiver: Receiver) -> None:
    """Bob entered in the run before, and is in no file any more."""
    project.write_members("vip.csv", "ada", "bob")
    project.sync()
    receiver.requests.clear()
    project.write("customers.csv", CUSTOMERS.removesuffix("bob,bob@example.com,blue\n"))
    project.write_members("vip.csv", "ada")


def test_a_user_who_is_gone_is_removed_where_users_are_known_by_their_address(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, user_id="email"))
    after_bob_is_gone(vip, receiver)
    done = vip.sync()
    assert calls(receiver) == [("bob@example.com", {"plan": None, "vip": False})]
    assert (done.destination("crm")["delivered"], done.destination("crm")["refused"]) == (1, 0)


def test_the_exit_and_its_event_carry_the_last_address(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, identifiers=["email"], events=True))
    after_bob_is_gone(vip, receiver)
    vip.sync()
    messages = received(receiver)
    assert [each.get("traits") for each in messages] == [
        {"email": "bob@example.com", "plan": None, "vip": False},
        None,
    ]
    assert messages[1]["context"]["traits"] == {"email": "bob@example.com"}


@pytest.mark.parametrize("mapping", [{"identifiers": ["email"]}, {"user_id": "email"}])
def test_explain_shows_the_last_address_that_the_exit_carried(
    vip: Project, receiver: Receiver, mapping: dict[str, Any]
) -> None:
    with_customers(vip, crm=segment(receiver, **mapping))
    after_bob_is_gone(vip, receiver)
    vip.sync()
    shown = " ".join(vip.run("explain", "bob").stdout.split())
    assert 'Sent email "bob@example.com" (its last value, in the exit), plan (none), vip false' in shown
    [destination] = vip.run("explain", "bob", "--json").json["destinations"]
    assert destination["calls"][-1]["properties"] == {"email": "bob@example.com", "plan": None, "vip": False}


def test_explain_shows_a_lost_address_without_an_exit_as_none(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, identifiers=["email", "plan"]))
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.write("customers.csv", CUSTOMERS.replace("bob,bob@example.com,blue", "bob,,blue"))
    vip.sync()
    assert "Sent email (none)" in " ".join(vip.run("explain", "bob").stdout.split())


def test_with_another_identifier_the_loss_comes_after_the_exit(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, identifiers=["email", "plan"]))
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    receiver.requests.clear()
    vip.write("customers.csv", CUSTOMERS.replace("bob,bob@example.com,blue", "bob,,blue"))
    vip.write_members("vip.csv", "ada")
    vip.sync()
    assert [each["traits"] for each in received(receiver)] == [
        {"email": "bob@example.com", "plan": "blue", "vip": False},
        {"plan": "blue", "email": None},
    ]


def test_each_message_of_the_personas_envelope_carries_it(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, identifiers=["email"], envelope="personas", traits=[]))
    after_bob_is_gone(vip, receiver)
    vip.sync()
    [message] = received(receiver)
    assert (message["traits"], message["context"]["traits"]) == (
        {"email": "bob@example.com", "vip": False},
        {"email": "bob@example.com"},
    )


@pytest.mark.parametrize("identifiers", [{"user_id": "email"}, {"identifiers": ["email"], "hash": ["email"]}])
def test_nothing_but_an_exit_has_a_lost_address(vip: Project, receiver: Receiver, identifiers: dict[str, Any]) -> None:
    with_customers(vip, crm=segment(receiver, traits=["plan"], **identifiers))
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    receiver.requests.clear()
    vip.write("customers.csv", CUSTOMERS.replace("bob,bob@example.com,blue", "bob,,gold"))
    vip.sync()
    assert receiver.requests == []


def test_an_address_that_was_lost_in_an_earlier_run_is_found(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, user_id="email", traits=[], give_up_after="1s"))
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.write("customers.csv", CUSTOMERS.replace("bob,bob@example.com,blue", "bob,,blue"))
    vip.sync()
    receiver.requests.clear()
    receiver.will_answer(Reply(401))
    vip.write_members("vip.csv", "ada")
    vip.sync()
    receiver.requests.clear()
    receiver.will_answer(Reply(200, b'{"success": true}'))
    vip.sync()
    assert calls(receiver) == [("bob@example.com", {"vip": False})]


def test_a_user_who_never_had_an_address_is_refused(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, CUSTOMERS + "cyd,,gold\n", crm=segment(receiver, user_id="email", traits=[]))
    vip.write_members("vip.csv", "ada", "cyd")
    vip.sync()
    receiver.requests.clear()
    vip.write_members("vip.csv", "ada")
    assert vip.sync().destination("crm")["refused"] == 1
    assert receiver.requests == []


def test_a_plan_shows_the_exit_as_it_will_be_sent(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, user_id="email", traits=[]))
    after_bob_is_gone(vip, receiver)
    assert '"userId":"bob@example.com","traits":{"vip":false}' in vip.run("plan").stdout


def test_a_user_who_was_suppressed_meanwhile_leaves_under_the_last_address(vip: Project, receiver: Receiver) -> None:
    with_customers(vip, crm=segment(receiver, user_id="email", traits=[]))
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.run("suppress", "bob")
    receiver.requests.clear()
    vip.write("customers.csv", CUSTOMERS.removesuffix("bob,bob@example.com,blue\n"))
    vip.write_members("vip.csv", "ada")
    vip.sync()
    assert receiver.requests == []
    vip.run("unsuppress", "bob")
    vip.sync()
    assert calls(receiver) == [("bob@example.com", {"vip": False})]
