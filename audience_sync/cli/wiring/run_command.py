"""Make a run through the project with progress on stderr, and print its answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from audience_sync.cli.base.session import Session
from audience_sync.cli.views.summary import DescribeRun
from audience_sync.cli.wiring.run_answer import print_answer
from audience_sync.project.values import Run

if TYPE_CHECKING:
    from audience_sync.cli.views.progress import RunProgress
    from audience_sync.project.progress import Event, Progress


def make_run(session: Session, make: Callable[[Progress], Run], *, describe: DescribeRun | None = None) -> Run:
    """Make a run, and print its summary (or JSON) on stdout.

    ``describe``: returns the wording of the command's own answer. What needs a person is on stderr, too, without a
    terminal or with --quiet.
    """
    with _LateProgress(session) as progress:
        run = make(progress.report)
    print_answer(session, run, describe=describe)
    return run


class _LateProgress(ExitStack):
    """The progress of a run, which is imported with its first event: a run that repeats the last one has none."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._shown: RunProgress | None = None

    def report(self, event: Event) -> None:
        if self._shown is None:
            from audience_sync.cli.views.progress import RunProgress

            self._shown = self.enter_context(RunProgress(quiet=self._session.quiet))
        self._shown.report(event)
