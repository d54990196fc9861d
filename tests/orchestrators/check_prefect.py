"""The task and the flow of docs/prefect.md do what the page promises. With Prefect (see .ci/run)."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestrators import projects
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from audience_sync.integrations.prefect import sync_audiences


def once(config: Path, tries: int = 0) -> tuple[str, str, Any]:
    """The name and type of the task's state, and what it returned or raised."""
    task = sync_audiences.with_options(retries=tries, retry_delay_seconds=0)
    state = task(str(config), return_state=True)
    return state.name, state.type.value, state.result(raise_on_failure=False)


@flow  # type: ignore[untyped-decorator]
def check(folder: Path) -> int:
    name, kind, counts = once(projects.project(folder / "ok"))
    assert (name, kind) == ("Completed", "COMPLETED")
    assert (counts["run"], counts["status"], counts["entered"]) == (1, "succeeded", 4), counts

    _, kind, error = once(projects.held(folder / "held"), tries=2)
    assert (kind, type(error).__name__) == ("FAILED", "HeldError"), error
    assert "To decide: audience-sync approve 2" in str(error)  # of the first try: there was no other

    _, kind, error = once(projects.failed(folder / "failed"), tries=1)
    assert (kind, type(error).__name__, error.run) == ("FAILED", "RunFailedError", 2), error

    assert once(projects.partial(folder / "partial"))[2]["status"] == "partial"
    _, kind, error = once(projects.invalid(folder / "invalid"), tries=2)
    assert (kind, type(error).__name__) == ("FAILED", "ConfigError"), error

    config = projects.project(folder / "busy")
    with projects.busy(config):
        name, kind, _ = once(config)
    assert (name, kind) == ("Skipped", "COMPLETED")
    projects.example("prefect.md", config)["audience_sync"]()
    return 7


def main() -> int:
    with TemporaryDirectory() as temporary, prefect_test_harness(server_startup_timeout=180):
        passed = check(Path(temporary))
    print(f"Prefect: {passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
