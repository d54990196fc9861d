"""Look at everything in a workspace, and in another one where an entry has broken the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from audience_sync.sources.boundary import ExcludedEntry, WorkspaceBrokenError, exclude_entries
from audience_sync.sync.values.request import RunDependencies
from audience_sync.workspace import Workspace

Found = TypeVar("Found")


@contextmanager
def open_workspace(
    dependencies: RunDependencies, look: Callable[[RunDependencies, Workspace], Found]
) -> Iterator[tuple[Workspace, Found]]:
    """A workspace, open for as long as it is used, and what was found in it.

    Each time one more entry fails without being read, so it ends.
    """
    barred: list[ExcludedEntry] = []
    while True:
        with Workspace(dependencies.settings.memory_limit, dependencies.readable) as workspace:
            try:
                found = look(replace(dependencies, sources=exclude_entries(dependencies.sources, barred)), workspace)
            except WorkspaceBrokenError as error:
                barred.append(error.entry)
                continue
            yield workspace, found
            return
