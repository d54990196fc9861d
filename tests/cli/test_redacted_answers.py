"""A key or a person that an answer repeats is neither stored nor shown, in any spelling and wherever it is cut."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, calls, segment

KEY = 'Wk"k/4f&0c+2A=9d%7'
EMAIL = "Ada.Lovelace@example.org"


def configure(project: Project, receiver: Receiver) -> None:
    project.environment["HOOK_KEY"] = KEY
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"hook": segment(receiver, write_key="${HOOK_KEY}")},
    )
    project.write_members("vip.csv", "ada")


def test_a_key_is_masked_however_an_answer_spells_it(vip: Project, receiver: Receiver) -> None:
    """The spellings one by one: tests/config/test_redaction.py"""
    escaped, packed = json.dumps(KEY)[1:-1], b64encode(f"{KEY}:".encode()).decode()
    spellings = (KEY, KEY.upper(), escaped, quote(KEY, safe=""), packed)
    receiver.will_answer(Reply(400, f"no such keys: {', '.join(spellings)}".encode()))
    configure(vip, receiver)
    run = vip.run("sync", "-v")
    trial = vip.run("test-destination", "hook", "--user", "u", "--json")
    assert (run.code, trial.code) == (1, 1)
    shown = "no such keys: ***, ***, ***, ***, ***"
    assert vip.query("select reason from refused_calls") == [(f"HTTP 400: {shown}",)]
    assert (trial.json["response"]["body"], trial.json["reason"]) == (shown, f"HTTP 400: {shown}")
    assert [each for each in spellings if each in run.stdout + run.stderr + trial.stdout + trial.stderr] == []
    assert [each for each in spellings if each.encode() in vip.store.read_bytes()] == []


def test_of_a_persons_address_nothing_is_logged_or_kept_as_a_reason(vip: Project, receiver: Receiver) -> None:
    spellings = (EMAIL, EMAIL.lower(), quote(EMAIL), EMAIL.replace("@", "\\u0040"), b64encode(EMAIL.encode()).decode())
    receiver.will_answer(Reply(400, f"no mail to {', '.join(spellings)}, sorry".encode()))
    configure(vip, receiver)
    vip.write_members("vip.csv", EMAIL)
    run = vip.run("sync", "-v")
    assert calls(receiver) == [(EMAIL, {"vip": True})]
    user = f"\n     {EMAIL}\n"  # the user id itself names who was refused
    said = (run.stdout + run.stderr).replace(user, "\n")
    assert [each for each in spellings if each in said] == []
    assert vip.query("select reason from refused_calls") == [("HTTP 400: no mail to ***, ***, ***, ***, ***, sorry",)]


@pytest.mark.parametrize("length", [262, 276, 285])
def test_nothing_shows_in_part_where_an_answer_is_shortened(vip: Project, receiver: Receiver, length: int) -> None:
    """Also not the key of another destination, which the one that answers doesn't know."""
    said = "x" * length
    receiver.will_answer(Reply(400, f"{said} OTHER-KEY-998877 {EMAIL} OTHER-KEY-998877 {said}".encode()))
    vip.environment["OTHER_KEY"] = "OTHER-KEY-998877"
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={
            "segment": segment(receiver),
            "other": {"type": "webhook", "url": receiver.url, "headers": {"X-Key": "${OTHER_KEY}"}},
        },
    )
    vip.write_members("vip.csv", EMAIL)
    assert vip.run("sync").code == 1
    shown = f"HTTP 400: {said} *** *** *** {said}"[:299] + "…"
    assert vip.query("select reason from refused_calls") == [(shown,), (shown,)]


def test_nothing_shows_in_part_where_reading_an_answer_ends(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(400, b"no such key" + b" " * 65_515 + KEY.encode()))
    configure(vip, receiver)
    assert vip.run("sync").code == 1
    assert vip.query("select reason from refused_calls") == [("HTTP 400: no such key",)]


def test_a_key_shows_no_rest_where_a_users_value_is_a_part_of_it(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(400, b"no such key: sk_live_4f0c2a9d"))
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={
            "hook": {"type": "webhook", "url": receiver.url},
            "segment": segment(receiver, write_key="sk_live_4f0c2a9d"),
        },
    )
    vip.write_members("vip.csv", "live")
    assert vip.run("sync").code == 1
    assert vip.query("select distinct reason from refused_calls") == [("HTTP 400: no such key: ***",)]
