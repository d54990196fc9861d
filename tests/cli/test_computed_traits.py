"""Computed traits are sent with their JSON types, when they changed, in one call with the memberships."""

from __future__ import annotations

import json
from typing import Any

from destinations.receiver import Receiver

from .conftest import Project, calls, received, segment

ADA = {
    "user_id": "ada",
    "age": 36,
    "score": 1.5,
    "plan": "pro",
    "member": True,
    "since": "2026-01-02",
    "zip": "0012",
    "note": None,
}


def write(project: Project, *users: dict[str, Any]) -> None:
    project.write("traits.jsonl", "".join(json.dumps(user) + "\n" for user in users))


def test_every_change_of_a_user_travels_in_one_call_with_its_json_types(vip: Project, receiver: Receiver) -> None:
    typed = "select * replace (since::date as since) from read_json('traits.jsonl', columns = {user_id: 'varchar', "
    columns = "age: 'int', score: 'double', plan: 'varchar', member: 'boolean', since: 'varchar', zip: 'varchar', "
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[
            {
                "source": "shop",
                "query": f"{typed}{columns}note: 'varchar'}})",
                "traits": ["age", "score", "plan", "member", "since", "zip", "note"],
            },
            {"source": "shop", "file": "more.csv", "traits": [{"column": "rev", "name": "Revenue 30 Days"}]},
        ],
        destinations={"segment": segment(receiver)},
    )
    vip.write_members("vip.csv", "ada")
    vip.write("more.csv", "user_id,rev\nada,9.50\nbob,\n")
    write(vip, ADA, {**ADA, "user_id": "cyd", "age": None, "member": False})

    first = vip.sync().json
    assert (first["traits"]["users"], first["destinations"][0]["delivered"]) == (2, 2)
    common = {"score": 1.5, "plan": "pro", "since": "2026-01-02T00:00:00.000Z", "zip": "0012"}
    assert calls(receiver) == [
        ("ada", {**common, "age": 36, "member": True, "revenue_30_days": 9.5, "vip": True}),
        ("cyd", {**common, "member": False}),
    ]
    assert b'"member":true' in receiver.requests[0].body
    assert b'"age":36,' in receiver.requests[0].body
    assert received(receiver)[0]["type"] == "identify"

    receiver.requests.clear()
    vip.write_members("vip.csv", "bob")
    write(vip, {**ADA, "age": 37, "plan": None}, {**ADA, "user_id": "cyd", "age": None, "member": False})
    assert vip.sync().json["traits"]["changed"] == 1
    assert calls(receiver) == [("ada", {"age": 37, "plan": None, "vip": False}), ("bob", {"vip": True})]

    receiver.requests.clear()
    write(vip, {**ADA, "age": 37, "plan": None})
    vip.sync()
    gone = {"score": None, "plan": None, "since": None, "zip": None, "member": None}
    assert calls(receiver) == [("cyd", gone)]

    receiver.requests.clear()
    assert vip.sync().destination("segment")["calls"] == 0
    assert receiver.requests == []
