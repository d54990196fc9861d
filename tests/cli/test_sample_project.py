"""The sample project does what the README describes."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Call, Project

ORDERED = "order_completed_last_30days"
MEMBERS = [(ORDERED, 1377), ("big_spenders", 575), ("active_in_app", 552), ("churn_risk", 614)]
A_LINE = "C-00005,2026-10-11 22:52:14,3\n"


@pytest.fixture
def sample(project: Project) -> Project:
    assert project.run("init").code == 0
    return project


def members(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["key"], each["members"]) for each in answer["audiences"]]


def sent(project: Project) -> list[Call]:
    return project.sent("identify_calls.jsonl")


def test_all_users_are_sent_first_and_then_exactly_the_user_whose_line_changed(sample: Project) -> None:
    first = sample.sync()
    assert (first.code, members(first.json)) == (0, MEMBERS)
    assert first.audience(ORDERED)["invalid"] == 2
    assert first.destination("log")["delivered"] == 5000
    assert len({user for user, _ in sent(sample)}) == 5000

    second = sample.sync()
    assert (second.code, members(second.json)) == (0, MEMBERS)
    assert second.destination("log")["calls"] == 0
    assert sent(sample) == []

    file = sample.folder / "examples" / "shop" / f"{ORDERED}.csv"
    everyone = file.read_text("utf-8")
    file.write_text(everyone.replace(A_LINE, ""), "utf-8")
    assert sample.sync().audience(ORDERED)["left"] == 1
    assert sent(sample) == [("C-00005", {ORDERED: False})]

    file.write_text(everyone, "utf-8")
    assert sample.sync().audience(ORDERED)["entered"] == 1
    assert sent(sample) == [("C-00005", {ORDERED: True})]
    ids = [each["messageId"] for each in sample.messages("identify_calls.jsonl") if each["userId"] == "C-00005"]
    assert len(set(ids)) == 3


def test_the_output_says_what_happened_where_it_went_and_how_to_look_at_it(sample: Project) -> None:
    first = sample.run("sync")
    for words in ("1,377", "5,000 calls delivered", "identify_calls.jsonl", "empty user id (rows 101, 501)"):
        assert words in first.stdout
    assert first.stderr == ""
    checked = sample.run("check")
    assert checked.code == 0
    assert "FAILED" not in checked.stdout
    assert checked.stdout.startswith("10 checks passed. Nothing was changed or sent.\n\n")
    assert [line.split()[1] for line in checked.stdout.splitlines()[2:]] == [
        "config",
        "store",
        *["source"] * 2,
        *["audience"] * 4,
        "traits",
        "destination",
    ]


def test_a_project_is_never_put_over_another(sample: Project) -> None:
    again = sample.run("init")
    assert again.code == 3
    assert "exists already. Nothing was copied" in again.stderr
