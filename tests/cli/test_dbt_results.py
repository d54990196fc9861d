"""A run loads an entry only if dbt has built its model, as `run_results.json` says."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pandas
import pytest
from dbt_project.results import results_of

from audience_sync import Project as PythonProject
from audience_sync import RunCancelledError

from .conftest import Project


@pytest.fixture
def shop(project: Project) -> Project:
    """Two audiences, each from its model, and one that is from none."""
    (project.folder / "target").mkdir()
    for name in ("big", "churn", "other"):
        project.write_members(f"{name}.csv", "ada")
    configure(project)
    return project


def configure(project: Project, models: object = "big_spenders", **dbt: Any) -> None:
    project.configure(
        sources={"shop": {"files": ".", "dbt": {"run_results": "target/run_results.json", **dbt}}},
        audiences=[
            {"name": "Big", "source": "shop", "file": "big.csv", "dbt_model": models},
            {"name": "Churn", "source": "shop", "file": "churn.csv", "dbt_model": "churn_risk.v2"},
            {"name": "Other", "source": "shop", "file": "other.csv"},
        ],
    )


def dbt_writes(project: Project, results: dict[str, Any], file: str = "target/run_results.json") -> None:
    project.write(file, json.dumps(results))


def statuses(project: Project, *arguments: str) -> tuple[int, dict[str, str], dict[str, str]]:
    """The exit code of a run, the status of each audience, and the errors."""
    result = project.sync(*arguments)
    audiences = result.json["audiences"]
    return (
        result.code,
        {each["key"]: each["status"] for each in audiences},
        {each["key"]: each["error"] for each in audiences if each.get("error")},
    )


def test_what_dbt_has_built_is_loaded(shop: Project) -> None:
    dbt_writes(shop, results_of("built"))
    assert statuses(shop) == (0, {"big": "created", "churn": "created", "other": "created"}, {})


def test_a_model_that_failed_leaves_its_audience_unchanged_and_only_that(shop: Project) -> None:
    dbt_writes(shop, results_of("built"))
    statuses(shop)
    shop.sent()
    dbt_writes(shop, results_of("broken"))
    for name in ("big", "churn"):
        shop.write_members(f"{name}.csv", "ada", "bob")

    code, found, errors = statuses(shop)

    assert (code, found) == (3, {"big": "synced", "churn": "failed", "other": "unchanged"})
    assert "audience 'churn': dbt model 'churn_risk.v2' ended as 'error' (`dbt build` of " in errors["churn"]
    assert "target/run_results.json). Nothing of it was compared or sent." in errors["churn"]
    assert errors["churn"].endswith(" If it is right anyway: audience-sync sync --accept churn")
    assert shop.sent() == [("bob", {"big": True})]
    assert statuses(shop, "--accept", "churn")[1]["churn"] == "synced"


def test_a_model_that_failed_is_noticed_when_its_file_is_unchanged(shop: Project) -> None:
    dbt_writes(shop, results_of("built"))
    assert [statuses(shop)[1]["churn"] for _ in range(3)] == ["created", "unchanged", "unchanged"]
    dbt_writes(shop, results_of("broken"))
    assert statuses(shop)[1] == {"big": "unchanged", "churn": "failed", "other": "unchanged"}


def test_check_and_plan_tell_it_too_and_do_not_wait(shop: Project) -> None:
    configure(shop, wait="1h")
    checked = {each["name"]: each for each in shop.run("check", "--json").json["checks"]}
    assert not checked["big"]["good"]
    assert checked["big"]["message"].startswith("there is no target/run_results.json")
    assert shop.run("plan").code == 3


def test_a_run_waits_until_dbt_has_built_the_model(shop: Project) -> None:
    configure(shop, wait="30s", max_age="1h")
    dbt_writes(shop, results_of("built", hours_ago=20))
    later = threading.Timer(1.5, dbt_writes, (shop, results_of("built")))
    later.start()
    began = time.monotonic()
    code, found, _ = statuses(shop)
    later.join()
    assert (code, found["big"]) == (0, "created")
    assert time.monotonic() - began < 25


def test_what_a_person_accepts_and_what_comes_as_a_frame_is_not_waited_for(shop: Project) -> None:
    configure(shop, wait="10m")
    assert statuses(shop, "big", "--accept", "big")[1] == {"big": "created"}
    table = pandas.DataFrame({"user_id": ["ada", "bob"]})
    with PythonProject.open(shop.folder / "config.yaml") as project:
        run = project.sync(["big"], frames={"big": table})
    assert [(each.key, each.members) for each in run.audiences] == [("big", 2)]


def test_a_run_that_waits_can_be_cancelled(shop: Project) -> None:
    configure(shop, wait="10m")
    began, cancelled = time.monotonic(), threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    with PythonProject.open(shop.folder / "config.yaml") as project, pytest.raises(RunCancelledError):
        project.sync(cancelled=cancelled)
    assert time.monotonic() - began < 60


def test_the_results_are_never_written_by_the_project_itself(shop: Project) -> None:
    configure(shop)
    config = (shop.folder / "config.yaml").read_text("utf-8")
    shop.write("config.yaml", config.replace("calls.jsonl", "target/run_results.json"))
    result = shop.run("sync")
    assert result.code == 2
    assert "sources.shop.dbt.run_results" in result.stderr
