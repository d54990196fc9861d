"""Print the answer of a command that made a run: the summary or JSON on stdout, what needs a person on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from audience_sync.cli.base.logging import is_json_log
from audience_sync.cli.base.output import pipe, print_json, screen, write
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.summary import DescribeRun, summary
from audience_sync.project.values import Run


def print_answer(session: Session, run: Run, *, describe: DescribeRun | None = None) -> None:
    report, details = run.report, run.details
    urgent = urgent_lines(blocks(report, details, pipe()))
    if session.as_json and (urgent or not session.quiet):
        print_json(run.to_dict())
    elif not session.quiet:
        write(summary(run, screen(), describe=describe))
    print_urgent(urgent, shown=not session.as_json and not session.quiet)


def print_urgent(urgent: Sequence[str], *, shown: bool) -> None:
    """Print what needs a person on stderr, so that cron mails it, but not twice into one file.

    ``shown``: it is on stdout, too.
    """
    if urgent and not is_json_log() and not (shown and (sys.stdout.isatty() or _is_same_file())):
        write(urgent, error=True)


def _is_same_file() -> bool:
    """Whether stdout and stderr are one file, as after `2>&1`."""
    with suppress(OSError, ValueError):
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    return False
