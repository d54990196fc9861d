"""What dbt's results have about a model: built, or the reason why it may not be loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audience_sync.config.sections.snapshot import DbtConfig, SnapshotConfig, SourceConfig
from audience_sync.dbt.readiness import find_unbuilt, wait_until_built
from dbt_project.results import DBT, failing_test, results_of


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of dbt's files, below the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def written(target: Path, results: dict[str, Any], name: str = "run_results.json") -> None:
    (target / name).write_text(json.dumps(results), "utf-8")


def reason(target: Path, *models: str, files: str = "run_results.json", max_age: timedelta | None = None) -> str | None:
    dbt = DbtConfig(run_results=str(target / files), max_age=max_age)
    found = find_unbuilt(dbt, models or ["big_spenders"], datetime.now(UTC))
    return None if found is None else found.reason


def test_a_model_that_was_skipped_is_not_built(target: Path) -> None:
    results = results_of("built")
    results["results"][1] |= {"status": "skipped", "timing": []}
    written(target, results)
    assert str(reason(target)).startswith("dbt model 'big_spenders' ended as 'skipped' (`dbt build` of ")


@pytest.mark.parametrize("status", ["reused", "success", "Success"])
def test_a_model_that_dbt_reused_is_built(target: Path, status: str) -> None:
    results = results_of("built")
    results["results"][1]["status"] = status
    written(target, results)
    assert reason(target) is None


@pytest.mark.parametrize("status", ["error", "partial success", "runtime error", "no-op"])
def test_a_model_with_another_status_is_not(target: Path, status: str) -> None:
    results = results_of("built")
    results["results"][1]["status"] = status
    written(target, results)
    assert f"ended as '{status}'" in str(reason(target))


def test_results_of_dbt_fusion_have_fewer_fields(target: Path) -> None:
    results = results_of("built")
    del results["args"]
    for each in results["results"]:
        for name in set(each) - {"unique_id", "status", "timing"}:
            del each[name]
    written(target, results)
    assert reason(target) is None


def test_a_model_may_be_too_old(target: Path) -> None:
    written(target, results_of("built", hours_ago=7))
    said = "dbt model 'big_spenders' is more than 6h old, which is its `dbt.max_age` (`dbt build` of "
    assert str(reason(target, max_age=timedelta(hours=6))).startswith(said)
    assert reason(target, max_age=timedelta(hours=8)) is None


def test_a_model_is_as_old_as_the_end_of_its_last_part(target: Path) -> None:
    results = results_of("built")
    at = datetime.now(UTC).replace(tzinfo=None)
    times = [at - timedelta(hours=8), at - timedelta(hours=5)]
    results["results"][1]["timing"] = [{"completed_at": each.isoformat()} for each in times]
    written(target, results)
    assert reason(target, max_age=timedelta(hours=6)) is None
    assert reason(target, max_age=timedelta(hours=4)) is not None
    results["results"][1]["timing"] = [{"completed_at": "yesterday"}]
    written(target, results)
    assert "is not what dbt writes ('yesterday' is not a time)" in str(reason(target))


@pytest.mark.parametrize("command", ["compile", "generate", "show", "test", "run-operation"])
def test_a_command_that_builds_nothing_has_no_model(target: Path, command: str) -> None:
    results = results_of("built")
    results["args"]["which"] = command
    written(target, results)
    assert str(reason(target)).startswith(f"dbt's last command built no model 'big_spenders' (`dbt {command}` of ")


def test_dbt_test_after_dbt_run_needs_files_of_their_own(target: Path) -> None:
    written(target, results_of("tested"))
    assert "dbt's last command built no model 'big_spenders' (`dbt test` of" in str(reason(target))
    written(target, results_of("built"), "run_results_of_run.json")
    assert reason(target, files="run_results*.json") is None
    written(target, results_of("built", hours_ago=3), "run_results_of_run.json")
    missing = str(reason(target, "customer", files="run_results*.json"))
    assert "(`dbt test` of " in missing
    assert missing.endswith("target/run_results.json). Did you mean `customers`?")


def test_of_several_files_the_newest_result_of_a_model_counts(target: Path) -> None:
    written(target, results_of("built", hours_ago=2), "a.json")
    written(target, results_of("broken", hours_ago=1), "b.json")
    assert "ended as 'error'" in str(reason(target, "churn_risk.v2", files="*.json"))
    written(target, results_of("built"), "a.json")
    assert reason(target, "churn_risk.v2", files="*.json") is None


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("empty", True, "was built without rows, by `--empty` ("),
        ("sample", {"start": "2026-11-27", "end": "2026-11-30"}, "was built with a part of its rows, by `--sample` ("),
    ],
)
def test_models_without_all_their_rows_are_not_built(target: Path, option: str, value: object, said: str) -> None:
    results = results_of("built")
    results["args"][option] = value
    written(target, results)
    assert said in str(reason(target))


def test_a_model_whose_test_failed_is_not_built(target: Path) -> None:
    manifest = (DBT / "manifests" / "v12.json").read_text("utf-8")
    written(target, failing_test())
    for text in (manifest, manifest.replace('"attached_node"', '"older_dbt_has_none"')):
        (target / "manifest.json").write_text(text, "utf-8")
        assert "has failed the test 'not_null_big_spenders_customer_id'" in str(reason(target))
        assert reason(target, "churn_risk.v2") is None
    written(target, failing_test("warn"))
    assert reason(target) is None


@pytest.mark.parametrize("status", ["fail", "error", "Error"])
def test_a_test_that_could_not_run_has_failed(target: Path, status: str) -> None:
    shutil.copyfile(DBT / "manifests" / "v12.json", target / "manifest.json")
    written(target, failing_test(status))
    assert "has failed the test" in str(reason(target))


def test_a_unit_test_counts_for_its_model(target: Path) -> None:
    name = "unit_test.shop.big_spenders.whales"
    nodes = {name: {"depends_on": {"nodes": ["model.shop.big_spenders"]}}}
    (target / "manifest.json").write_text(json.dumps({"nodes": {}, "unit_tests": nodes}), "utf-8")
    results = failing_test()
    results["results"][-1]["unique_id"] = name
    written(target, results)
    assert "has failed the test 'big_spenders' (" in str(reason(target))
    assert reason(target, "churn_risk.v2") is None


def dbt_test_writes(target: Path, status: str, *, hours_ago: float = 0) -> None:
    """What `dbt test --target-path target/test` writes."""
    (target / "test").mkdir(exist_ok=True)
    tested = results_of("tested", hours_ago=hours_ago)
    tested["results"][0]["status"] = status
    written(target / "test", tested)
    shutil.copyfile(DBT / "manifests" / "v12.json", target / "test" / "manifest.json")


def test_a_test_that_failed_in_a_later_command_counts(target: Path) -> None:
    (target / "run").mkdir()
    built = results_of("built", hours_ago=1)
    built["results"] = [each for each in built["results"] if not each["unique_id"].startswith("test.")]
    written(target / "run", built)
    dbt_test_writes(target, "fail")
    found = str(reason(target, files="*/run_results.json"))
    assert "has failed the test 'not_null_big_spenders_customer_id' (`dbt test` of " in found
    assert found.endswith(", target/test/run_results.json)")
    assert reason(target, "churn_risk.v2", files="*/run_results.json") is None
    dbt_test_writes(target, "pass")
    assert reason(target, files="*/run_results.json") is None
    dbt_test_writes(target, "fail", hours_ago=2)
    assert reason(target, files="*/run_results.json") is None


def test_whose_test_failed_is_not_known_without_the_manifest(target: Path) -> None:
    written(target, failing_test())
    found = str(reason(target))
    assert "may have failed the test 'not_null_big_spenders_customer_id'" in found
    assert "target/manifest.json, which has the models of each test, can't be read" in found


@pytest.mark.parametrize("name", ["big_spenders", "shop.big_spenders", "model.shop.big_spenders"])
def test_a_model_may_be_named_in_every_way_of_dbt(target: Path, name: str) -> None:
    written(target, results_of("built"))
    assert reason(target, name) is None


def test_of_several_models_all_must_be_built(target: Path) -> None:
    written(target, results_of("broken"))
    assert "'churn_risk.v2' ended as 'error'" in str(reason(target, "big_spenders", "churn_risk.v2"))


def test_a_misspelled_model_is_named_with_the_one_that_was_meant(target: Path) -> None:
    written(target, results_of("built"))
    assert str(reason(target, "big_spnders")).endswith("Did you mean `big_spenders`?")


def test_a_name_of_two_versions_is_ambiguous(target: Path) -> None:
    written(target, results_of("built"))
    assert reason(target, "churn_risk") == (
        "dbt model 'churn_risk' may be model.shop.churn_risk.v1 or model.shop.churn_risk.v2: name one of them"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no target/run_results.json, which dbt writes when it has built something"),
        ('{"metadata": {', "target/run_results.json is not what dbt writes (Input data was truncated): "),
        ("[]", "target/run_results.json is not what dbt writes (Expected `object`, got `array`): "),
    ],
)
def test_a_file_that_is_missing_or_incomplete(target: Path, content: str | None, said: str) -> None:
    if content is not None:
        (target / "run_results.json").write_text(content)
    assert str(reason(target)).startswith(said)


def test_files_in_a_bucket_are_read_as_well(target: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe("/dbt/a/run_results.json", json.dumps(results_of("built")).encode())
    for pattern in ("memory://dbt/a/run_results.json", "memory://dbt/*/run_results.json"):
        assert find_unbuilt(DbtConfig(run_results=pattern), ["big_spenders"], datetime.now(UTC)) is None
    system.pipe("/dbt/tests/run_results.json", json.dumps(failing_test()).encode())
    system.pipe("/dbt/tests/manifest.json", (DBT / "manifests" / "v12.json").read_bytes())
    tested = DbtConfig(run_results="memory://dbt/tests/run_results.json")
    failed = find_unbuilt(tested, ["big_spenders"], datetime.now(UTC))
    assert failed is not None
    assert "has failed the test 'not_null_big_spenders_customer_id'" in failed.reason
    assert failed.reason.endswith("/dbt/tests/run_results.json)")
    assert find_unbuilt(tested, ["churn_risk.v2"], datetime.now(UTC)) is None
    missing = find_unbuilt(DbtConfig(run_results="memory://dbt/b.json"), ["big_spenders"], datetime.now(UTC))
    assert missing is not None
    assert missing.reason.startswith("there is no memory://dbt/b.json")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no credentials"), "memory://dbt/r.json can't be read: RuntimeError: no credentials"),
        (PermissionError("Forbidden"), "memory://dbt/r.json can't be read: PermissionError: Forbidden"),
        (ImportError("s3fs"), "memory://dbt/r.json can't be read: memory:// needs a package that is not installed"),
    ],
)
def test_every_error_of_a_bucket_belongs_to_the_entry(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("audience_sync.dbt.run_results.open_file_system", fail)
    found = find_unbuilt(DbtConfig(run_results="memory://dbt/r.json"), ["big_spenders"], datetime.now(UTC))
    assert found is not None
    assert found.reason.startswith(said)


class Waiting:
    """A clock whose sleeps build, by the second, what dbt writes."""

    def __init__(self, target: Path, then: Iterator[dict[str, Any]]) -> None:
        self.now, self.said, self._target, self._then = 0.0, list[str](), target, then

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        written(self._target, next(self._then))

    def wait(self, model: str = "big_spenders", **dbt: Any) -> float:
        """The seconds until the run begins."""
        source = SourceConfig(files=".", dbt=DbtConfig(run_results=str(self._target / "run_results.json"), **dbt))
        entry = SnapshotConfig(source="shop", file="big.csv", dbt_model=[model])
        wait_until_built([(source, entry)], self.said.append, sleep=self.sleep, clock=lambda: self.now)
        return self.now


def test_a_run_waits_until_dbt_has_built_the_model(target: Path) -> None:
    written(target, results_of("built", hours_ago=20))
    old = results_of("built", hours_ago=20)
    clock = Waiting(target, iter([old, old, results_of("built")]))
    assert clock.wait(wait=timedelta(minutes=5), max_age=timedelta(hours=1)) == 3
    [said] = clock.said
    assert said.startswith("waiting for dbt, up to 5m: dbt model 'big_spenders' is more than 1h old")


def test_a_run_waits_no_longer_than_wait(target: Path) -> None:
    tested = results_of("tested")
    assert Waiting(target, iter([tested] * 10)).wait(wait=timedelta(seconds=3.5)) == 3.5


@pytest.mark.parametrize("model", ["churn_risk.v2", "big_spnders"])
def test_a_run_does_not_wait_for_what_will_not_come(target: Path, model: str) -> None:
    written(target, results_of("broken"))
    assert Waiting(target, iter([])).wait(model, wait=timedelta(minutes=5)) == 0


def test_a_model_of_the_project_that_another_command_did_not_build_is_waited_for(target: Path) -> None:
    results = results_of("built")
    other = {**results, "results": [{**results["results"][1], "unique_id": "model.shop.big_spenders_2"}]}
    written(target, other)
    shutil.copyfile(DBT / "manifests" / "v12.json", target / "manifest.json")
    assert Waiting(target, iter([other, results])).wait(wait=timedelta(minutes=5)) == 2
    (target / "manifest.json").unlink()
    written(target, other)
    assert Waiting(target, iter([])).wait(wait=timedelta(minutes=5)) == 0


def test_a_run_without_wait_does_not_wait(target: Path) -> None:
    assert Waiting(target, iter([])).wait() == 0
