"""A run loads an entry only if dbt has built its model, as `run_results.json` says."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas
import pytest

from audience_sync import Project as PythonProject
from audience_sync import RunCancelledError

from .conftest import Project

DBT = Path(__file__).parents[1] / "dbt"


def results_of(name: str, *, hours_ago: float = 0) -> dict[str, Any]:
    """What dbt 1.11 wrote for tests/dbt/shop, at another time. `broken`: `churn_risk` failed."""
    found: dict[str, Any] = json.loads((DBT / "results" / f"{name}.json").read_text("utf-8"))
    at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    found["metadata"]["generated_at"] = at
    for each in found["results"]:
        for timing in each["timing"]:
            timing["completed_at"] = at
    return found


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


def error_of_big(project: Project) -> str:
    code, found, errors = statuses(project)
    assert (code, found["big"]) == (3, "failed")
    assert found["other"] in ("created", "unchanged")
    return errors["big"].partition(". Nothing of it was compared or sent.")[0]


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


def test_a_model_that_was_skipped_is_not_loaded(shop: Project) -> None:
    results = results_of("built")
    results["results"][1] |= {"status": "skipped", "timing": []}
    dbt_writes(shop, results)
    assert "dbt model 'big_spenders' ended as 'skipped' (`dbt build` of " in error_of_big(shop)


@pytest.mark.parametrize("status", ["reused", "success", "Success"])
def test_a_model_that_dbt_reused_is_built(shop: Project, status: str) -> None:
    results = results_of("built")
    results["results"][1]["status"] = status
    dbt_writes(shop, results)
    assert statuses(shop)[0] == 0


def test_a_model_that_is_too_old_is_not_loaded(shop: Project) -> None:
    configure(shop, max_age="6h")
    dbt_writes(shop, results_of("built", hours_ago=7))
    assert "dbt model 'big_spenders' is more than 6h old, which is its `dbt.max_age` (`dbt build`" in error_of_big(shop)
    dbt_writes(shop, results_of("built", hours_ago=5))
    assert statuses(shop)[0] == 0


@pytest.mark.parametrize("command", ["compile", "generate", "show", "test"])
def test_a_command_that_builds_nothing_says_nothing_of_a_model(shop: Project, command: str) -> None:
    results = results_of("built")
    results["args"]["which"] = command
    dbt_writes(shop, results)
    assert f"dbt's last command built no model 'big_spenders' (`dbt {command}` of " in error_of_big(shop)


def test_dbt_test_after_dbt_run_needs_files_of_their_own(shop: Project) -> None:
    dbt_writes(shop, results_of("tested"))
    assert "dbt's last command built no model 'big_spenders' (`dbt test` of" in error_of_big(shop)
    dbt_writes(shop, results_of("built"), "target/run_results_of_run.json")
    configure(shop, run_results="target/run_results*.json")
    assert statuses(shop)[0] == 0


def test_of_several_files_the_newest_result_of_a_model_counts(shop: Project) -> None:
    configure(shop, "churn_risk.v2", run_results="target/*.json")
    dbt_writes(shop, results_of("built", hours_ago=2), "target/a.json")
    dbt_writes(shop, results_of("broken", hours_ago=1), "target/b.json")
    assert "ended as 'error'" in error_of_big(shop)
    dbt_writes(shop, results_of("built"), "target/a.json")
    assert statuses(shop)[0] == 0


def test_models_without_rows_because_of_empty_are_not_loaded(shop: Project) -> None:
    results = results_of("built")
    results["args"]["empty"] = True
    dbt_writes(shop, results)
    assert "was built without rows, by `--empty`" in error_of_big(shop)


def failing_test(status: str = "fail") -> dict[str, Any]:
    results = results_of("built")
    results["results"][-1]["status"] = status
    return results


def test_a_model_whose_test_failed_is_not_loaded(shop: Project) -> None:
    dbt_writes(shop, failing_test())
    manifest = (DBT / "manifests" / "v12.json").read_text("utf-8")
    shop.write("target/manifest.json", manifest)
    code, found, errors = statuses(shop)
    assert (code, found["churn"]) == (3, "created")
    assert "dbt model 'big_spenders' has failed the test 'not_null_big_spenders_customer_id'" in errors["big"]
    shop.write("target/manifest.json", manifest.replace('"attached_node"', '"older_dbt_has_none"'))
    assert "has failed the test" in statuses(shop)[2]["big"]
    dbt_writes(shop, failing_test("warn"))
    assert statuses(shop)[0] == 0


def test_whose_test_failed_is_not_known_without_the_manifest(shop: Project) -> None:
    dbt_writes(shop, failing_test())
    error = error_of_big(shop)
    assert "may have failed the test 'not_null_big_spenders_customer_id'" in error
    assert "target/manifest.json, which has the models of each test, can't be read" in error


@pytest.mark.parametrize("name", ["big_spenders", "shop.big_spenders", "model.shop.big_spenders"])
def test_a_model_may_be_named_in_every_way_of_dbt(shop: Project, name: str) -> None:
    configure(shop, name)
    dbt_writes(shop, results_of("built"))
    assert statuses(shop)[0] == 0


def test_an_entry_may_be_of_several_models(shop: Project) -> None:
    configure(shop, ["big_spenders", "churn_risk.v2"])
    dbt_writes(shop, results_of("broken"))
    assert "dbt model 'churn_risk.v2' ended as 'error'" in error_of_big(shop)


def test_a_misspelled_model_is_named_with_the_one_that_was_meant(shop: Project) -> None:
    configure(shop, "big_spnders")
    dbt_writes(shop, results_of("built"))
    assert error_of_big(shop).endswith("Did you mean `big_spenders`?")


def test_a_name_of_two_versions_is_ambiguous(shop: Project) -> None:
    configure(shop, "churn_risk")
    dbt_writes(shop, results_of("built"))
    assert error_of_big(shop) == (
        "audience 'big': dbt model 'churn_risk' may be model.shop.churn_risk.v1 or model.shop.churn_risk.v2: "
        "name one of them"
    )


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "there is no target/run_results.json, which dbt writes when it has built something"),
        ('{"metadata": {', "target/run_results.json is not what dbt writes (Input data was truncated): "),
        ("[]", "target/run_results.json is not what dbt writes (Expected `object`, got `array`): "),
    ],
)
def test_a_file_that_is_missing_or_incomplete(shop: Project, content: str | None, error: str) -> None:
    if content is not None:
        shop.write("target/run_results.json", content)
    assert error_of_big(shop).startswith(f"audience 'big': {error}")


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


def test_a_run_waits_no_longer_than_wait_and_not_for_a_model_that_failed(shop: Project) -> None:
    configure(shop, wait="2s")
    result = shop.run("sync")
    assert result.code == 3
    assert "waiting for dbt, up to 2s: there is no target/run_results.json" in result.stderr
    configure(shop, "churn_risk.v2", wait="10m")
    dbt_writes(shop, results_of("broken"))
    assert "ended as 'error'" in error_of_big(shop)


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
