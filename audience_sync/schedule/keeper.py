"""Runs what is due, once for all schedulers of a store, and goes on whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from audience_sync.config.models import Settings
from audience_sync.errors import AudienceSyncError, RunInProgressError, SlotsTakenError, in_short
from audience_sync.schedule.entries import Entry, next_time, order_of
from audience_sync.store import slots
from audience_sync.store.engine import Store
from audience_sync.sync.order import Order, Parts
from audience_sync.sync.report import Report

log = logging.getLogger("audience_sync.schedule")

#: Seconds until the next try, while another run is at work.
BUSY_FOR = 2.0
#: Seconds until the next try after a run that could not even begin, or broke off; each time twice as long.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Program:
    """What a config says: its schedules, how a run by it is opened and carried out, and how people are told of a run
    that gives no report."""

    settings: Settings
    entries: Sequence[Entry]
    opened: Callable[[], AbstractContextManager[Parts]]
    run: Callable[[Parts, Order], Report]
    tell: Callable[[Exception], None]


class Keeper:
    """``say`` is told of every run that has ended."""

    def __init__(self, program: Program, say: Callable[[Report], None]) -> None:
        self.program = program
        self._say = say
        self._pause = FIRST_PAUSE

    def watch(self, now: datetime) -> None:
        """From now on times count; what was missed since an earlier scheduler's last run is made up for."""
        names = [each.name for each in self.program.entries]
        with self.program.opened() as parts, parts.store.writing() as connection:
            slots.watch(connection, names, now)

    def take_turn(self, now: datetime) -> float | None:
        """Run what is due by now, if anything is. Returns in how many seconds to try again; None where there is no
        need before the next time. Raises KeyboardInterrupt alone."""
        try:
            with self.program.opened() as parts:
                order = self._due(parts.store, now)
                if order is None:
                    return None
                _announce(order)
                self._say(self.program.run(parts, order))
        except SlotsTakenError:
            return None
        except RunInProgressError as busy:
            log.debug("waiting: %s", busy)
            return BUSY_FOR
        except AudienceSyncError as error:
            log.error("the run could not be carried out: %s", error)
            return self._failed(error)
        except Exception as error:
            words = f"an error that audience-sync did not expect: {in_short(error, str)}"
            log.error("the run could not be carried out: %s. The schedule goes on", words)
            return self._failed(error)
        self._pause = FIRST_PAUSE
        return 0.0  # something may have come due meanwhile

    def next_time(self, after: datetime) -> datetime:
        return next_time(self.program.entries, after)

    def _due(self, store: Store, now: datetime) -> Order | None:
        found = self.program.entries
        with store.reading() as connection:
            last = slots.last_slots(connection, [each.name for each in found])
        return order_of(self.program.settings, found, last, now)

    def _failed(self, error: Exception) -> float:
        """Returns the seconds until the next try."""
        self.program.tell(error)
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause


def _announce(order: Order) -> None:
    for each in order.slots:
        if each.missed:
            words = "%s: due at %s; %s missed since %s are made up for by one run"
            log.warning(words, each.schedule, _text(each.due_at), f"{each.missed:,}", _text(each.since))
        else:
            log.info("%s: due at %s", each.schedule, _text(each.due_at))


def _text(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
