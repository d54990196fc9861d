"""The assets and the definitions of docs/dagster.md do what the page promises. With Dagster (see .ci/run)."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagster import AssetKey, DagsterInstance, materialize
from orchestrators import projects

from audience_sync.integrations import dagster as integration

VIP, TEST, TRAITS = (AssetKey(["audience_sync", name]) for name in ("vip", "test", "computed_traits"))


def materialized(config: Path, selection: list[AssetKey] | None = None) -> tuple[Any, dict[AssetKey, dict[str, Any]]]:
    """The result of one step, and the metadata of what it has materialized."""
    assets = integration.audience_assets(config)
    with DagsterInstance.ephemeral() as instance:
        result = materialize([assets], instance=instance, raise_on_error=False, selection=selection)
    found = {
        event.asset_key: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    return result, found


def failure(result: Any) -> Any:
    """The failure of the step."""
    [event] = [each for each in result.all_events if each.event_type_value == "STEP_FAILURE"]
    return event.event_specific_data


def main() -> int:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = projects.project(folder / "ok")
        assets = integration.audience_assets(config)
        assert assets.keys == {VIP, TEST, TRAITS}
        assert assets.asset_deps[VIP] == {AssetKey(["vip"])}, assets.asset_deps

        result, found = materialized(config)
        assert result.success
        assert found[VIP] == {"members": 3, "entered": 3, "left": 0, "invalid": 0, "run": 1}, found
        assert (found[TEST]["members"], found[TRAITS]) == (1, {"users": 3, "changed": 3, "run": 1}), found

        (folder / "ok" / "test.csv").write_text("user_id\nada\nbob\n")
        projects.write_members(folder / "ok", "ada", "bob", "cyd", "dan")
        result, found = materialized(config, [TEST])
        assert result.success
        assert {key: each["entered"] for key, each in found.items()} == {TEST: 1}, found
        assert materialized(config)[1][VIP]["entered"] == 1

        result, found = materialized(projects.held(folder / "held"))
        assert not result.success
        assert set(found) == {TEST}, found
        said = failure(result).user_failure_data.description
        assert said.startswith("Run 2: a guard holds changes."), said
        assert "To decide: audience-sync approve 2, or audience-sync reject 2" in said, said

        result, found = materialized(projects.failed(folder / "failed"))
        assert (result.success, set(found)) == (False, {TEST}), found
        assert "vip.csv" in failure(result).user_failure_data.description

        result, found = materialized(projects.partial(folder / "partial"))
        assert (result.success, set(found)) == (True, {VIP, TEST, TRAITS})

        result, found = materialized(projects.invalid(folder / "invalid"))
        assert (result.success, found) == (False, {})
        assert "Did you mean `guard`?" in failure(result).user_failure_data.description

        config = projects.project(folder / "busy")
        with projects.busy(config):
            result, found = materialized(config)
        assert (result.success, found) == (True, {}), found

        result, found = materialized(projects.names_from(folder / "names"))
        entered = {key.path[-1]: each["entered"] for key, each in found.items()}
        assert entered == {"audiences_of_plan": 3, "audiences_of_tier": 1}, entered

        definitions = projects.example("dagster.md", config)["definitions"]
        with DagsterInstance.ephemeral() as instance:
            ended = definitions.resolve_job_def("sync").execute_in_process(instance=instance)
        assert ended.success
    print("Dagster: 10 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
