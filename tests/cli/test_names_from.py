"""One query becomes many audiences."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from .conftest import Project

NAMES = {"names_from": "audience", "source": "shop", "file": "audiences.csv"}


def test_every_value_is_an_audience_a_new_one_is_created_and_a_vanished_one_is_held(project: Project) -> None:
    project.configure(audiences=[NAMES])
    project.write("audiences.csv", "user_id,audience\nada,Big Spender\nbob,Big Spender\nada,Churn Risk\n")
    first = project.sync()
    assert [(each["key"], each["status"], each["members"]) for each in first.json["audiences"]] == [
        ("big_spender", "created", 2),
        ("churn_risk", "created", 1),
    ]
    assert project.sent() == [("ada", {"big_spender": True, "churn_risk": True}), ("bob", {"big_spender": True})]

    project.write("audiences.csv", "user_id,audience\nada,Big Spender\ncyd,New Here\n")
    held = project.sync()
    assert (held.code, held.json["status"]) == (4, "held")
    assert [(each["key"], each["status"], each["members"]) for each in held.json["audiences"]] == [
        ("big_spender", "synced", 1),
        ("new_here", "created", 1),
        ("churn_risk", "held", 1),
    ]
    assert "audience-sync approve 2 churn_risk" in held.audience("churn_risk")["error"]
    assert project.sent() == [("bob", {"big_spender": False}), ("cyd", {"new_here": True})]

    accepted = project.sync("churn_risk", "--accept", "churn_risk")
    assert (accepted.code, accepted.audience("churn_risk")["left"]) == (0, 1)
    assert project.sent() == [("ada", {"churn_risk": False})]


def test_audiences_of_one_query_wait_for_a_person_too(project: Project) -> None:
    project.configure(audiences=[{**NAMES, "initial": "manual"}])
    project.write("audiences.csv", "user_id,audience\nada,Big Spender\nbob,Churn Risk\n")
    waiting = project.sync()
    assert {each["status"] for each in waiting.json["audiences"]} == {"waiting"}
    assert project.sent() == []
    assert project.run("seed", "churn_risk").code == 0
    assert project.sent() == [("bob", {"churn_risk": True})]


def test_names_that_no_store_can_keep_are_invalid_rows_on_both_stores(
    project: Project, database: str, new_url: Callable[..., str]
) -> None:
    with closing(sqlite3.connect(project.folder / "crm.db")) as crm, crm:
        crm.execute("create table members (user_id, audience)")
        crm.execute(
            "insert into members values ('dan', 'Churn' || char(0)), ('eve', cast(x'ff' as text)), ('fay', 'Churn')"
        )
    project.write(
        "audiences.jsonl",
        '{"user_id": "ada", "audience": "Big\\u0000Spender"}\n{"user_id": "bob", "audience": "\\ud800"}\n'
        '{"user_id": "cyd", "audience": "Big Spender"}\n',
    )
    project.configure(
        store=new_url(database, with_schema=True),
        sources={"shop": {"files": "."}, "crm": {"database": "sqlite:///crm.db"}},
        audiences=[
            {"names_from": "audience", "source": "shop", "file": "audiences.jsonl"},
            {"names_from": "audience", "source": "crm", "query": "select user_id, audience from members"},
        ],
    )
    result = project.sync()
    assert result.code == 0
    assert [(each["key"], each["members"]) for each in result.json["audiences"]] == [("big_spender", 1), ("churn", 1)]
    assert project.sent() == [("cyd", {"big_spender": True}), ("fay", {"churn": True})]
    invalid = [(each["user_id"], each["reason"]) for each in project.run("show", "1", "--json").json["invalid_rows"]]
    assert sorted(invalid) == [
        ("ada", "audience name contains a NUL character"),
        ("bob", "audience name contains half a surrogate pair"),
        ("dan", "audience name contains a NUL character"),
        ("eve", "audience name has text that is not UTF-8"),
    ]
