"""A field that a service accepts and drops is a refused property, by our name; a retry sends it again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TRAITS = {"source": "shop", "file": "customers.csv", "traits": ["email", "plan"]}


def iterable(project: Project, receiver: Receiver, **options: Any) -> None:
    """A destination that is sent these traits of three users: ada, bob and cyd, who has no e-mail."""
    (project.folder / "customers.csv").write_text(
        "user_id,email,plan\nada,ada@example.com,gold\nbob,bob@example.com,blue\ncyd,,gold\n"
    )
    live = {"type": "iterable", "api_key": "key-123456", "url": receiver.url, **options}
    project.configure(audiences=[VIP], computed_traits=[TRAITS], destinations={"live": live})


def dropping(*fields: str) -> Reply:
    return Reply(200, json.dumps({"successCount": 3, "failCount": 0, "filteredOutFields": fields}).encode())


@pytest.mark.parametrize(
    ("options", "field", "refused", "without"),
    [
        ({}, "plan", 3, "plan"),
        ({"rename": {"plan": "tier"}}, "tier", 3, "plan"),
        ({"rename": {"vip": "is_vip"}}, "is_vip", 3, "vip"),
        ({"traits": [], "identifiers": ["plan"]}, "plan", 3, "plan"),
    ],
)
def test_a_dropped_field_is_refused_by_our_name_and_sent_again_by_retry(
    vip: Project, receiver: Receiver, options: dict[str, Any], field: str, refused: int, without: str
) -> None:
    iterable(vip, receiver, **options)
    receiver.will_answer(dropping(field))
    done = vip.sync().destination("live")
    assert (done["delivered"], done["refused"], done["pending"]) == (3 - refused, refused, 0)
    assert f"The rest was sent, without: {without}" in vip.run("show", "1").stdout
    receiver.will_answer(dropping())
    assert vip.run("retry", "--destination", "live", "--json").destination("live")["delivered"] == refused
    assert vip.run("sync").code == 0


def test_the_end_of_a_former_name_needs_no_field(vip: Project, receiver: Receiver) -> None:
    iterable(vip, receiver)
    receiver.will_answer(dropping())
    vip.sync()
    iterable(vip, receiver, rename={"vip": "is_vip"})
    receiver.will_answer(dropping("vip"))
    done = vip.sync().destination("live")
    assert (done["delivered"], done["refused"]) == (3, 0)


@pytest.mark.parametrize(
    ("options", "dropped", "named"),
    [
        ({"traits": []}, ["vip"], "'vip': HTTP 200: Iterable has no such field"),
        ({"traits": [], "rename": {"vip": "is_vip"}}, ["is_vip"], "'vip': HTTP 200: Iterable has no such field"),
        ({"traits": ["plan"]}, ["plan", "vip"], "'plan', 'vip': HTTP 200: Iterable has no such field"),
    ],
)
def test_the_reason_of_a_call_that_was_dropped_whole_names_its_fields(
    vip: Project, receiver: Receiver, options: dict[str, Any], dropped: list[str], named: str
) -> None:
    iterable(vip, receiver, **options)
    receiver.will_answer(dropping(*dropped))
    vip.sync()
    assert f"3  {named}" in vip.run("show", "1").stdout
