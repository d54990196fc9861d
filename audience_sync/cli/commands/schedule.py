"""``audience-sync schedule``: run on the schedules of the config until stopped."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from audience_sync.cli.base.options import GlobalOptions, common_options, quiet_option

if TYPE_CHECKING:
    from audience_sync.cli.wiring.metrics_server import MetricsServer
    from audience_sync.config.models import Settings
    from audience_sync.schedule.scheduler import ScheduledConfig, Scheduler
    from audience_sync.schedule.timer import Timer
    from audience_sync.sync.values.report import Report
    from audience_sync.sync.values.request import RunDependencies, RunRequest

log = logging.getLogger("audience_sync.schedule")

#: Seconds after SIGTERM or Ctrl-C within which the process ends.
STOPS_WITHIN = 6.0


@click.command()
@click.option("--list", "only_list", is_flag=True, help="Show the schedules and their next times, and end.")
@click.option("--upgrade", is_flag=True, help="Upgrade the schema of a PostgreSQL store first.")
@quiet_option
@common_options
@click.pass_context
def schedule(context: click.Context, only_list: bool, upgrade: bool) -> int:
    """Run on the config's schedules until stopped.

    One run makes up for all missed times. Several schedulers can share one PostgreSQL store: each scheduled time gets
    one run. SIGHUP: read the config again. SIGTERM, Ctrl-C: end cleanly.
    """
    from audience_sync.cli.wiring.dependencies import options_of
    from audience_sync.cli.wiring.schedule_view import list_schedules

    options = options_of(context)
    if only_list:
        list_schedules(options)
        return 0
    return _run_scheduler(options, upgrade=upgrade)


def _run_scheduler(options: GlobalOptions, *, upgrade: bool) -> int:
    from audience_sync.cli.base.errors import print_error
    from audience_sync.cli.base.shutdown import stop_within
    from audience_sync.cli.wiring.after_run import alert_on_failure
    from audience_sync.cli.wiring.metrics_server import MetricsServer
    from audience_sync.cli.wiring.schedule_view import print_report
    from audience_sync.schedule.scheduler import Scheduler
    from audience_sync.schedule.timer import Timer

    stop_within(STOPS_WITHIN)
    try:
        with HangupSignal() as hangup, MetricsServer() as port:
            scheduler = Scheduler(
                load_scheduled_config(options, upgrade=upgrade),
                lambda report: print_report(report, settings(), options),
            )

            def settings() -> Settings:
                return scheduler.program.settings

            with alert_on_failure(scheduler.program.settings):
                scheduler.start(datetime.now(UTC))
            port.serve(scheduler.program.settings)
            with Timer(scheduler.next_time, set_back=scheduler.set_back) as clock:
                hangup.wake = clock.wake
                _announce_config(scheduler)
                while True:
                    pause = scheduler.run_due(clock.read_clock())
                    if pause != 0 and not hangup.received:
                        clock.wait(pause)
                    if hangup.consume():
                        _reload(options, scheduler, clock, port)
    except KeyboardInterrupt:
        print_error("Stopped. Every answer received so far is recorded. The next run sends the rest.", logging.INFO)
    return 0


def load_scheduled_config(options: GlobalOptions, *, upgrade: bool = False) -> ScheduledConfig:
    """Read the config and its schedules. Raises ConfigError with every problem."""
    from audience_sync.alerts.without_report import raise_late
    from audience_sync.cli.views.progress import RunProgress
    from audience_sync.cli.wiring.after_run import alert_failed_run, finish_run
    from audience_sync.cli.wiring.dependencies import read_settings
    from audience_sync.project import opened_for_run
    from audience_sync.schedule.entries import schedule_entries
    from audience_sync.schedule.scheduler import ScheduledConfig
    from audience_sync.sync.run import sync

    settings = read_settings(options)

    @contextmanager
    def opened() -> Iterator[RunDependencies]:
        with opened_for_run(settings, upgrade=upgrade) as (parts, _):
            yield parts

    def run(dependencies: RunDependencies, request: RunRequest) -> Report:
        with RunProgress(quiet=options.quiet) as progress:
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # no config is read after this


def _announce_config(scheduler: Scheduler) -> None:
    """End alerts about the previous config, and log the new schedules."""
    from audience_sync.alerts.conditions import CONFIG
    from audience_sync.alerts.without_report import end_alert, end_stale_late
    from audience_sync.cli.wiring.schedule_view import log_schedules

    settings, found = scheduler.program.settings, scheduler.program.entries
    end_stale_late(settings, [each.name for each in found])
    end_alert(settings, CONFIG)
    log_schedules(found)


def _reload(options: GlobalOptions, scheduler: Scheduler, clock: Timer, port: MetricsServer) -> None:
    """Read the config again; keep the previous one if the new one has problems."""
    from audience_sync.alerts.conditions import CONFIG
    from audience_sync.alerts.without_report import raise_alert
    from audience_sync.cli.base.errors import masked_text
    from audience_sync.errors import AudienceSyncError, ConfigError, summarize_error
    from audience_sync.text import pluralize

    before = scheduler.program
    try:
        scheduler.program = load_scheduled_config(options)
        scheduler.start(datetime.now(UTC))
        port.serve(scheduler.program.settings)
    except Exception as error:
        scheduler.program = before
        name = Path(options.config).name
        expected = isinstance(error, AudienceSyncError)
        fact, problems = "can't be used", [masked_text(str(error)) if expected else summarize_error(error, masked_text)]
        if isinstance(error, ConfigError):
            fact = f"has {pluralize(len(error.problems), 'problem')}"
            problems = [masked_text(str(problem)) for problem in error.problems]
        message = f"{name} was reloaded and {fact}. The scheduler keeps the previous config."
        message = "\n".join([message, *(f"  {problem}" for problem in problems)])
        log.warning("%s", message)
        raise_alert(before.settings, CONFIG, message)
        return
    clock.reschedule()
    log.info("the config was read again")
    _announce_config(scheduler)
