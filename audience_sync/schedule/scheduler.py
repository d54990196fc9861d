"""Run what is due, once for all schedulers of a store, and continue after every failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from msgspec import Struct

from audience_sync.config.models import Settings
from audience_sync.errors import (
    AudienceSyncError,
    LeaseLostError,
    RunInProgressError,
    SlotsClaimedError,
    summarize_error,
)
from audience_sync.schedule.entries import ScheduleEntry, due_request, next_time
from audience_sync.schedule.times import first_after
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs import schedule_slots as slots
from audience_sync.store.runs.schedule_slots import LastSlot
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import RunDependencies, RunRequest
from audience_sync.text import utc_time

log = logging.getLogger("audience_sync.schedule")

#: Seconds until the next attempt while another run is in progress.
BUSY_PAUSE = 2.0
#: Seconds until the next attempt after a run that could not start or broke off; the pause doubles each time.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0


class ScheduledConfig(Struct, frozen=True, kw_only=True):
    """The parts of a project that a scheduler needs, for one config.

    ``open_project`` opens the project, ``run`` executes a request. ``report_failure`` reports a run without a report,
    and ``report_waiting`` slots that wait for another run.
    """

    settings: Settings
    entries: Sequence[ScheduleEntry]
    open_project: Callable[[], AbstractContextManager[RunDependencies]]
    run: Callable[[RunDependencies, RunRequest], Report]
    report_failure: Callable[[Exception], None]
    report_waiting: Callable[[Sequence[slots.Slot], datetime], None]


class Scheduler:
    """Run due requests one after another. ``show_report`` receives the report of every run."""

    def __init__(self, program: ScheduledConfig, show_report: Callable[[Report], None]) -> None:
        self.program = program
        self._show_report = show_report
        self._pause = FIRST_PAUSE
        self._announced: Sequence[slots.Slot] = ()
        self._was_set_back = False

    def start(self, now: datetime) -> None:
        """Count times from now on. Times missed since an earlier scheduler's last run are made up for."""
        with self.program.open_project() as parts:
            if parts.store.is_sqlite:  # one host uses it: slots far ahead date from before its clock was set back
                self._forget_later(parts.store, now + slots.MAX_CLOCK_DIFFERENCE)
            self._start_schedules(parts.store, now)

    def set_back(self, by: timedelta) -> None:
        """Note that the clock was set back by so much. Times within MAX_CLOCK_DIFFERENCE do not run again."""
        self._was_set_back = self._was_set_back or by > slots.MAX_CLOCK_DIFFERENCE

    def _forget_later(self, store: Store, now: datetime) -> None:
        with store.writing() as connection:
            slots.delete_later_slots(connection, [each.name for each in self.program.entries], now)

    def _start_schedules(self, store: Store, now: datetime) -> None:
        """Start schedules that are new in the store, and those that no scheduler ran while it ran others.

        The latter are schedules that were removed from the config for a time.
        """
        found = {each.name: each.schedule for each in self.program.entries}
        with store.writing() as connection:
            last = slots.last_slots(connection, found, now)
            others = slots.latest_other_slots(connection, found, now)
            new = [
                name
                for name, schedule in found.items()
                if name not in last or (name in others and first_after(schedule, last[name].at) < others[name])
            ]
            slots.start_schedules(connection, [name for name in new if name not in last or last[name].at < now], now)

    def run_due(self, now: datetime) -> float | None:
        """Run what is due. Returns the seconds until the next attempt; None = at the next scheduled time.

        It raises nothing but KeyboardInterrupt.
        """
        order = None
        try:
            with self.program.open_project() as parts:
                order = self._due_request(parts.store, now)
                if order is None:
                    return None
                self._announce(order)
                report = self.program.run(parts, order)
        except SlotsClaimedError:
            return None
        except RunInProgressError as busy:
            log.debug("waiting: %s", busy)
            self.program.report_waiting(order.slots if order else (), now)
            return BUSY_PAUSE
        except LeaseLostError as lost:
            log.error("%s", lost)
            return self._next_pause()
        except AudienceSyncError as error:
            log.error("the run could not be carried out: %s", error)
            return self._report_failure(error)
        except Exception as error:
            message = f"an error that audience-sync did not expect: {summarize_error(error, str)}"
            log.error("the run could not be carried out: %s. The schedule continues", message)
            return self._report_failure(error)
        self._pause = FIRST_PAUSE
        self._print_report(report)
        return 0.0  # something may have come due meanwhile

    def next_time(self, after: datetime) -> datetime:
        return next_time(self.program.entries, after)

    def _due_request(self, store: Store, now: datetime) -> RunRequest | None:
        found = self.program.entries
        if self._was_set_back:
            self._forget_later(store, now)
            self._was_set_back = False
        last = self._last_slots(store, now)
        if any(each.name not in last for each in found):  # the store was replaced since the start
            self._start_schedules(store, now)
            last = self._last_slots(store, now)
        return due_request(self.program.settings, found, last, now)

    def _last_slots(self, store: Store, now: datetime) -> Mapping[str, LastSlot]:
        with store.reading() as connection:
            return slots.last_slots(connection, [each.name for each in self.program.entries], now)

    def _announce(self, request: RunRequest) -> None:
        """Log the due slots of a request once, also if it has to wait for another run several times."""
        if request.slots == self._announced:
            return
        self._announced = request.slots
        for each in request.slots:
            if each.missed:
                since = utc_time(each.since or each.due_at)
                missed = f"{each.missed:,} missed since {since}, for which the same run makes up"
                log.warning("%s: due at %s; %s", each.schedule, utc_time(each.due_at), missed)
            else:
                log.info("%s: due at %s", each.schedule, utc_time(each.due_at))

    def _print_report(self, report: Report) -> None:
        """Show the report. A failure to show it does not change the run's result."""
        try:
            self._show_report(report)
        except (Exception, SystemExit) as error:  # rich exits if the reader of its pipe is gone
            log.warning("run %d can't be shown on stdout: %s", report.run, summarize_error(error, str))

    def _report_failure(self, error: Exception) -> float:
        """Report a failed run. Returns the seconds until the next attempt."""
        self.program.report_failure(error)
        return self._next_pause()

    def _next_pause(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause
