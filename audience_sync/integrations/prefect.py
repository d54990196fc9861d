"""Run a project as a task of Prefect 3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefect import get_run_logger, task
from prefect.states import Completed, State

from audience_sync.errors import HeldError, RunInProgressError, WrongUseError
from audience_sync.integrations.outcome import counts_of, require_success


def _may_repeat(task: Any, task_run: Any, state: State[Any]) -> bool:
    """Whether to try again. A config that is not valid, and a held snapshot, wait for a person."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, WrongUseError | HeldError)


@task(name="audience-sync", retries=3, retry_delay_seconds=60, retry_condition_fn=_may_repeat)  # type: ignore[untyped-decorator]
def sync_audiences(
    config: str = "config.yaml", *, env: str | None = None, audiences: Iterable[str] | None = None
) -> dict[str, Any] | State[Any]:
    """Make one run, as ``audience-sync sync`` does. Returns its counts: run, status, entered, left, and so on.

    ``config``: the config file. ``env``: a part of its ``environments``. ``audiences``: their keys; None is all.

    The task fails without a retry if a guard holds something (HeldError) or the config has a problem (ConfigError). It
    is completed with the name "Skipped" if another run is in progress. It is retried if a source, the store or every
    destination failed. Other retries: ``sync_audiences.with_options(retries=1)``.
    """
    from audience_sync import Project

    try:
        with Project.open(config, env=env) as project:
            run = project.sync(audiences)
    except RunInProgressError as error:
        return Completed(name="Skipped", message=str(error))
    require_success(run, get_run_logger().warning)
    return counts_of(run.to_dict())
