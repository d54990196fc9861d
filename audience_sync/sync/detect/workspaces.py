"""Open a workspace and plan the run in it; repeat both in a new one if an entry breaks the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from audience_sync.sources.boundary import ExcludedEntry, WorkspaceBrokenError, exclude_entries
from audience_sync.sync.values.request import RunDependencies
from audience_sync.workspace import Workspace

Plan = TypeVar("Plan")


@contextmanager
def open_workspace(
    dependencies: RunDependencies, make_plan: Callable[[RunDependencies, Workspace], Plan]
) -> Iterator[tuple[Workspace, Plan]]:
    """Yield an open workspace and the plan that ``make_plan`` has made in it.

    An entry that breaks a workspace fails without being read in the next one, so the repeats end.
    """
    barred: list[ExcludedEntry] = []
    while True:
        with Workspace(dependencies.settings.memory_limit, dependencies.readable) as workspace:
            try:
                plan = make_plan(
                    replace(dependencies, sources=exclude_entries(dependencies.sources, barred)), workspace
                )
            except WorkspaceBrokenError as error:
                barred.append(error.entry)
                continue
            yield workspace, plan
            return
