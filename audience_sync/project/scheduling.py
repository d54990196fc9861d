"""Run a project by its schedules, and read its config again without losing the one before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial

from audience_sync.alerts.conditions import CONFIG
from audience_sync.alerts.without_report import end_alert, end_stale_late, raise_alert, raise_late
from audience_sync.config.models import Settings
from audience_sync.errors import AudienceSyncError, ConfigError, summarize_error
from audience_sync.project.access import Access
from audience_sync.project.after_run import alert_failed_run, alert_on_failure, finish_run
from audience_sync.project.opening import open_for_run
from audience_sync.project.progress import Progress, watching
from audience_sync.project.run_details import read_details
from audience_sync.project.schedules import ProjectSchedule
from audience_sync.project.values import Run
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.schedule.entries import schedule_entries
from audience_sync.schedule.scheduler import ScheduledConfig, Scheduler
from audience_sync.store.maintenance.open_to_read import open_store_to_read
from audience_sync.sync.run import sync
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import RunDependencies, RunRequest
from audience_sync.text import pluralize

log = logging.getLogger("audience_sync.schedule")

#: Opens the display of one run.
Display = Callable[[], AbstractContextManager[Progress]]


class ProjectScheduler:
    """A scheduler of one project, with the config that it uses now.

    ``show``: receives each run. ``display``: opens the display of a run's progress. ``serve_metrics``: serves the
    metrics as the config has them; it raises if it can't.
    """

    def __init__(
        self,
        access: Access,
        *,
        upgrade: bool,
        show: Callable[[Run], None],
        display: Display,
        serve_metrics: Callable[[Settings], None],
    ) -> None:
        self._access, self._display, self._show, self._serve_metrics = access, display, show, serve_metrics
        config = load_scheduled_config(access, display, upgrade=upgrade)
        self._scheduler = Scheduler(config, self._show_report)
        self.next_time, self.set_back = self._scheduler.next_time, self._scheduler.set_back
        self.run_due = self._scheduler.run_due

    def start(self) -> None:
        """Count times from now on, and serve the metrics. An alert is sent if that fails."""
        settings = self._scheduler.program.settings
        with alert_on_failure(settings):
            self._scheduler.start(datetime.now(UTC))
        self._serve_metrics(settings)

    def announce(self) -> None:
        """End alerts about the previous config, and log the schedules."""
        settings, found = self._scheduler.program.settings, self._scheduler.program.entries
        now = datetime.now(UTC)
        end_stale_late(settings, [each.name for each in found])
        end_alert(settings, CONFIG)
        for each in found:
            shown = ProjectSchedule(each, None, now)
            log.info("%s: %s; next %s", each.name, shown.syncs, shown.coming)

    def reload(self) -> bool:
        """Read the config again; keep the previous one if the new one has problems. Whether it is used."""
        before, access = self._scheduler.program, self._access.fresh()
        try:
            self._scheduler.program = load_scheduled_config(access, self._display)
            self._scheduler.start(datetime.now(UTC))
            self._serve_metrics(self._scheduler.program.settings)
        except Exception as error:
            self._scheduler.program = before
            message = _refusal(self._access.config.name, error, (*self._access.secrets, *access.secrets))
            log.warning("%s", message)
            raise_alert(before.settings, CONFIG, message)
            return False
        self._access = access
        log.info("the config was read again")
        return True

    def _show_report(self, report: Report) -> None:
        settings = self._scheduler.program.settings
        with open_store_to_read(settings.store) as store, store.reading() as connection:
            details = read_details(connection, settings, report, self._access.config.name)
        self._show(Run(report=report, details=details))


def load_scheduled_config(access: Access, display: Display | None = None, *, upgrade: bool = False) -> ScheduledConfig:
    """Read the config and its schedules. Raises ConfigError with every problem."""
    settings = access.settings()

    @contextmanager
    def opened() -> Iterator[RunDependencies]:
        with open_for_run(settings, upgrade=upgrade) as (parts, _):
            yield parts

    def run(dependencies: RunDependencies, request: RunRequest) -> Report:
        with _displayed(display) as progress, watching(progress, None) as listener:
            report = sync(dependencies, request, listener)
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


@contextmanager
def _displayed(display: Display | None) -> Iterator[Progress | None]:
    if display is None:
        yield None
        return
    with display() as progress:
        yield progress


def _refusal(config: str, error: Exception, secrets: tuple[str, ...]) -> str:
    """The message about a config that can't be used in place of the previous one."""
    mask = partial(mask_secrets, secrets=secrets)
    expected = isinstance(error, AudienceSyncError)
    fact, problems = "can't be used", [mask(str(error)) if expected else summarize_error(error, mask)]
    if isinstance(error, ConfigError):
        fact = f"has {pluralize(len(error.problems), 'problem')}"
        problems = [mask(str(problem)) for problem in error.problems]
    message = f"{config} was reloaded and {fact}. The scheduler keeps the previous config."
    return "\n".join([message, *(f"  {problem}" for problem in problems)])
