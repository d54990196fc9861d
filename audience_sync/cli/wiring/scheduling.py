"""Run the scheduler: read its config, also again after SIGHUP, and print each run; list the schedules."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from audience_sync.cli.base.errors import print_error
from audience_sync.cli.base.output import pipe, screen, write
from audience_sync.cli.base.process import write_utf8
from audience_sync.cli.base.session import Session
from audience_sync.cli.base.shutdown import stop_within
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.schedules import schedule_lines
from audience_sync.cli.views.summary import short_summary
from audience_sync.cli.wiring.run_answer import print_urgent
from audience_sync.project.progress import Progress
from audience_sync.project.values import Run
from audience_sync.schedule.timer import Timer

#: Seconds after SIGTERM or Ctrl-C within which the process ends.
STOPS_WITHIN = 6.0


def list_schedules(session: Session) -> None:
    shown = session.project.schedules()
    session.answer([each.to_dict() for each in shown], lambda screen: schedule_lines(shown, screen))


def run_scheduler(session: Session, *, upgrade: bool) -> None:
    """Run what is due until SIGTERM or Ctrl-C."""
    stop_within(STOPS_WITHIN)
    try:
        with HangupSignal() as hangup, session.project.metrics_server() as metrics:
            scheduler = session.project.scheduler(
                upgrade=upgrade,
                show=lambda run: _print_run(run, session),
                display=lambda: _progress(session),
                serve_metrics=metrics.serve,
            )
            scheduler.start()
            with Timer(scheduler.next_time, set_back=scheduler.set_back) as clock:
                hangup.wake = clock.wake
                scheduler.announce()
                while True:
                    pause = scheduler.run_due(clock.read_clock())
                    if pause != 0 and not hangup.received:
                        clock.wait(pause)
                    if hangup.consume() and scheduler.reload():
                        clock.reschedule()
                        scheduler.announce()
    except KeyboardInterrupt:
        print_error("Stopped. Every answer received so far is recorded. The next run sends the rest.", logging.INFO)


@contextmanager
def _progress(session: Session) -> Iterator[Progress]:
    with RunProgress(quiet=session.quiet) as shown:
        yield shown.report


class HangupSignal:
    """A context in which SIGHUP is recorded and wakes the timer."""

    def __init__(self) -> None:
        self.received = False
        self.wake: Callable[[], None] = lambda: None

    def consume(self) -> bool:
        """Whether a signal was received since the last call."""
        received, self.received = self.received, False
        return received

    def _receive(self, *_: object) -> None:
        self.received = True
        self.wake()

    def __enter__(self) -> Self:
        signal.signal(signal.SIGHUP, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # no config is read after this


def _print_run(run: Run, session: Session) -> None:
    """Print a run of the scheduler: one JSON document a line, or one line and what needs a person."""
    report, details = run.report, run.details
    urgent = urgent_lines(blocks(report, details, pipe()))
    if session.as_json and (urgent or not session.quiet):
        write_utf8(sys.stdout)
        print(json.dumps(run.to_dict(), ensure_ascii=False), flush=True)
    elif not session.quiet:
        write(short_summary(report, details, screen()))
    print_urgent(urgent, shown=not session.as_json and not session.quiet)
