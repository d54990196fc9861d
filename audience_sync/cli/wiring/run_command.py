"""Make a run through the project with progress on stderr, and print its answer."""

from __future__ import annotations

from collections.abc import Callable

from audience_sync.cli.base.session import Session
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.summary import DescribeRun
from audience_sync.cli.wiring.run_answer import print_answer
from audience_sync.project.progress import Progress
from audience_sync.project.values import Run


def make_run(session: Session, make: Callable[[Progress], Run], *, describe: DescribeRun | None = None) -> Run:
    """Make a run, and print its summary (or JSON) on stdout.

    ``describe``: returns the wording of the command's own answer. What needs a person is on stderr, too, without a
    terminal or with --quiet.
    """
    with RunProgress(quiet=session.quiet) as progress:
        run = make(progress.report)
    print_answer(session, run, describe=describe)
    return run
