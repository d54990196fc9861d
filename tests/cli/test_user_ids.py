"""User ids arrive as they are written."""

from __future__ import annotations

import csv
import json

from destinations.receiver import Receiver

from .conftest import Project, calls, segment

ODD = [
    "007",
    "1e5",
    "NULL",
    "NaN",
    "nan",
    "None",
    "true",
    "-0",
    "1.0",
    "12345678901234567890",
    " leading",
    "trailing ",
    "2026-01-02",
    "C,5",
    'say "hi"',
    "O'Brien",
    "two\nlines",
    "%s {0} $1",
    "zoé",
    "zoe\u0301",
    "ليلى",
    "👩‍👩‍👧",
    "X" * 1000,
]


def test_ids_arrive_exactly_as_written_and_stand_so_in_the_store(project: Project, receiver: Receiver) -> None:
    project.configure(
        audiences=[{"name": "Odd", "source": "shop", "file": "odd.csv"}],
        destinations={"segment": segment(receiver)},
    )
    with (project.folder / "odd.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["user_id"], *([user] for user in ODD), ["007"]])
    assert project.sync().audience("odd")["members"] == len(ODD)
    assert calls(receiver) == [(user, {"odd": True}) for user in sorted(ODD)]
    assert project.query("select user_id from audience_members order by user_id") == [(user,) for user in sorted(ODD)]
    listed = project.run("members", "odd", "--json").stdout.splitlines()
    assert [json.loads(line)["user_id"] for line in listed] == sorted(ODD)


def test_numbers_are_written_as_digits_and_are_one_user_wherever_they_come_from(project: Project) -> None:
    warehouse = {"database": "sqlite:///warehouse.db"}
    project.configure(
        sources={"shop": {"files": "."}, "warehouse": warehouse},
        audiences=[
            {"name": "Text", "source": "shop", "file": "a.csv"},
            {"name": "Integer", "source": "shop", "query": "select 42 as user_id"},
            {"name": "Double", "source": "shop", "query": "select 42.0::double as user_id"},
            {"name": "JSON", "source": "shop", "file": "a.jsonl"},
            {"name": "Database", "source": "warehouse", "query": "select 42 as user_id"},
        ],
    )
    project.write_members("a.csv", "42")
    project.write("warehouse.db", b"")
    project.write("a.jsonl", '{"user_id": 42}\n')
    assert project.sync().code == 0
    assert project.sent() == [("42", {"database": True, "double": True, "integer": True, "json": True, "text": True})]
