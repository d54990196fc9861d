"""A user without any identifier of a destination is refused there, and sent when one comes."""

from __future__ import annotations

from typing import Any

import pytest
from destinations.receiver import Receiver

from .conftest import Project, calls, segment

CUSTOMERS = "user_id,email,phone\nada,ada@example.com,+4930901820\nbob,,+4930901821\ncyd,,\n"


def configured(project: Project, customers: str, **destinations: Any) -> Project:
    (project.folder / "customers.csv").write_text(customers)
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "customers.csv", "traits": ["email", "phone"]}],
        destinations=destinations,
    )
    return project


@pytest.mark.parametrize(
    ("identifiers", "sent", "reason"),
    [
        (["email"], ["ada"], "2  the user has no email, which this destination's `identifiers` need"),
        (["phone"], ["ada", "bob"], "1  the user has no phone, which this destination's `identifiers` need"),
        (
            ["email", "phone"],
            ["ada", "bob"],
            "1  the user has neither email nor phone, and this destination's `identifiers` need one of them",
        ),
    ],
)
def test_users_without_any_identifier_are_refused_at_that_destination_alone(
    vip: Project, receiver: Receiver, other_receiver: Receiver, identifiers: list[str], sent: list[str], reason: str
) -> None:
    options = {"traits": [], "identifiers": identifiers}
    configured(vip, CUSTOMERS, crm=segment(receiver, **options), other=segment(other_receiver, traits=[]))
    vip.sync()
    assert [user for user, _ in calls(receiver)] == sent
    assert [user for user, _ in calls(other_receiver)] == ["ada", "bob", "cyd"]
    assert reason in vip.run("show", "1").stdout


@pytest.mark.parametrize(
    ("row", "there"),
    [
        ("cyd,cyd@example.com,", {"email": "cyd@example.com"}),
        ("cyd,,+4930901822", {"phone": "+4930901822"}),
        ("cyd,cyd@example.com,+4930901822", {"email": "cyd@example.com", "phone": "+4930901822"}),
    ],
)
@pytest.mark.parametrize("leaves", [True, False])
def test_a_refused_user_is_sent_everything_when_an_identifier_comes(
    vip: Project, receiver: Receiver, row: str, there: dict[str, str], leaves: bool
) -> None:
    crm = segment(receiver, traits=[], identifiers=["email", "phone"])
    configured(vip, CUSTOMERS, crm=crm)
    vip.sync()
    if leaves:
        vip.write_members("vip.csv", "ada", "bob")
        vip.sync()
    receiver.requests.clear()
    configured(vip, CUSTOMERS.replace("cyd,,", row), crm=crm)
    done = vip.sync()
    assert calls(receiver) == [("cyd", {**there, "vip": not leaves})]
    assert done.destination("crm")["refused"] == 0
    assert "are refused" not in vip.run("explain", "cyd").stdout


def test_an_identifier_that_changes_sends_nothing_to_users_without_refused_values(
    vip: Project, receiver: Receiver
) -> None:
    crm = segment(receiver, traits=[], identifiers=["email"])
    configured(vip, CUSTOMERS, crm=crm)
    vip.sync()
    receiver.requests.clear()
    configured(vip, CUSTOMERS.replace("ada@", "ada.l@"), crm=crm)
    vip.sync()
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("entry", "traits", "unsent"),
    [
        ([], ["email", "phone"], "email, phone"),
        (["other"], ["email"], "email"),
        (["other"], ["phone", "email"], "phone, email"),
    ],
)
def test_check_names_the_traits_that_their_entry_sends_elsewhere(
    vip: Project, receiver: Receiver, entry: list[str], traits: list[str], unsent: str
) -> None:
    (vip.folder / "customers.csv").write_text(CUSTOMERS)
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[
            {"source": "shop", "file": "customers.csv", "traits": ["email", "phone"], "destinations": entry}
        ],
        destinations={"crm": segment(receiver, traits=traits), "other": segment(receiver)},
    )
    done = vip.run("check")
    assert f"crm: {unsent}: not sent, because `computed_traits[].destinations` does not name crm" in done.stdout
    assert done.code == 0


@pytest.mark.parametrize(("wrong", "meant"), [("emial", "email"), ("fone", "phone"), ("emails", "email")])
def test_an_unknown_trait_for_ids_is_named_with_the_nearest(
    vip: Project, receiver: Receiver, wrong: str, meant: str
) -> None:
    configured(vip, CUSTOMERS, crm=segment(receiver, user_id=wrong))
    shown = " ".join(vip.run("check").stdout.split())
    assert f"unknown computed trait `{wrong}`. Did you mean `{meant}`? `user_id: user_id` sends the user ids" in shown
