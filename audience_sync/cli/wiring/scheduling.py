"""Run the scheduler: read its config, also again after SIGHUP, and print each run; list the schedules."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Self

from audience_sync.alerts.conditions import CONFIG
from audience_sync.alerts.without_report import end_alert, end_stale_late, raise_alert, raise_late
from audience_sync.cli.base.errors import masked_text, print_error
from audience_sync.cli.base.output import pipe, screen, write
from audience_sync.cli.base.process import write_utf8
from audience_sync.cli.base.session import Session
from audience_sync.cli.base.shutdown import stop_within
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.schedules import ShownSchedule, schedule_lines
from audience_sync.cli.views.summary import short_summary
from audience_sync.cli.wiring.metrics_server import MetricsServer
from audience_sync.cli.wiring.run_answer import print_urgent
from audience_sync.config.models import Settings
from audience_sync.errors import AudienceSyncError, ConfigError, summarize_error
from audience_sync.project.after_run import alert_failed_run, alert_on_failure, finish_run
from audience_sync.project.opening import open_for_run
from audience_sync.project.run_details import read_details
from audience_sync.schedule.entries import schedule_entries
from audience_sync.schedule.scheduler import ScheduledConfig, Scheduler
from audience_sync.schedule.timer import Timer
from audience_sync.store.maintenance.open_to_read import open_store_to_read
from audience_sync.store.runs.schedule_slots import last_slots
from audience_sync.sync.run import sync
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import RunDependencies, RunRequest
from audience_sync.text import pluralize

log = logging.getLogger("audience_sync.schedule")

#: Seconds after SIGTERM or Ctrl-C within which the process ends.
STOPS_WITHIN = 6.0


def list_schedules(session: Session) -> None:
    settings, now = session.settings(), datetime.now(UTC)
    found = schedule_entries(settings)
    with open_store_to_read(settings.store) as store, store.reading() as connection:
        last = last_slots(connection, [each.name for each in found], now)
    ran = {name: each for name, each in last.items() if each.run is not None}
    shown = [ShownSchedule(each, ran.get(each.name), now) for each in found]
    session.answer([each.as_json() for each in shown], lambda screen: schedule_lines(shown, screen))


def run_scheduler(session: Session, *, upgrade: bool) -> None:
    """Run what is due until SIGTERM or Ctrl-C."""
    stop_within(STOPS_WITHIN)
    try:
        with HangupSignal() as hangup, MetricsServer() as port:
            program = load_scheduled_config(session, upgrade=upgrade)
            scheduler = Scheduler(program, lambda report: _print_report(report, scheduler.program.settings, session))
            with alert_on_failure(program.settings):
                scheduler.start(datetime.now(UTC))
            port.serve(program.settings)
            with Timer(scheduler.next_time, set_back=scheduler.set_back) as clock:
                hangup.wake = clock.wake
                _announce_config(scheduler)
                while True:
                    pause = scheduler.run_due(clock.read_clock())
                    if pause != 0 and not hangup.received:
                        clock.wait(pause)
                    if hangup.consume():
                        _reload(session, scheduler, clock, port)
    except KeyboardInterrupt:
        print_error("Stopped. Every answer received so far is recorded. The next run sends the rest.", logging.INFO)


def load_scheduled_config(session: Session, *, upgrade: bool = False) -> ScheduledConfig:
    """Read the config and its schedules. Raises ConfigError with every problem."""
    settings = session.settings()

    @contextmanager
    def opened() -> Iterator[RunDependencies]:
        with open_for_run(settings, upgrade=upgrade) as (parts, _):
            yield parts

    def run(dependencies: RunDependencies, request: RunRequest) -> Report:
        with RunProgress(quiet=session.quiet) as progress:
            report = sync(dependencies, request, progress.watch)
        finish_run(settings, dependencies.store, request, report)
        return report

    return ScheduledConfig(
        settings=settings,
        entries=schedule_entries(settings),
        open_project=opened,
        run=run,
        report_failure=partial(alert_failed_run, settings),
        report_waiting=partial(raise_late, settings),
    )


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


def _announce_config(scheduler: Scheduler) -> None:
    """End alerts about the previous config, and log the new schedules."""
    settings, found, now = scheduler.program.settings, scheduler.program.entries, datetime.now(UTC)
    end_stale_late(settings, [each.name for each in found])
    end_alert(settings, CONFIG)
    for each in found:
        shown = ShownSchedule(each, None, now)
        log.info("%s: %s; next %s", each.name, shown.syncs, shown.coming)


def _reload(session: Session, scheduler: Scheduler, clock: Timer, port: MetricsServer) -> None:
    """Read the config again; keep the previous one if the new one has problems."""
    before = scheduler.program
    try:
        scheduler.program = load_scheduled_config(session)
        scheduler.start(datetime.now(UTC))
        port.serve(scheduler.program.settings)
    except Exception as error:
        scheduler.program = before
        expected = isinstance(error, AudienceSyncError)
        fact, problems = "can't be used", [masked_text(str(error)) if expected else summarize_error(error, masked_text)]
        if isinstance(error, ConfigError):
            fact = f"has {pluralize(len(error.problems), 'problem')}"
            problems = [masked_text(str(problem)) for problem in error.problems]
        message = f"{session.config_name} was reloaded and {fact}. The scheduler keeps the previous config."
        message = "\n".join([message, *(f"  {problem}" for problem in problems)])
        log.warning("%s", message)
        raise_alert(before.settings, CONFIG, message)
        return
    clock.reschedule()
    log.info("the config was read again")
    _announce_config(scheduler)


def _print_report(report: Report, settings: Settings, session: Session) -> None:
    """Print a run of the scheduler: one JSON document a line, or one line and what needs a person."""
    with open_store_to_read(settings.store) as store, store.reading() as connection:
        details = read_details(connection, settings, report, session.config_name)
    urgent = urgent_lines(blocks(report, details, pipe()))
    if session.as_json and (urgent or not session.quiet):
        write_utf8(sys.stdout)
        print(json.dumps(report.as_json(), ensure_ascii=False), flush=True)
    elif not session.quiet:
        write(short_summary(report, details, screen()))
    print_urgent(urgent, shown=not session.as_json and not session.quiet)
