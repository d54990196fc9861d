"""A webhook is posted again by the schedule of Standard Webhooks, until it is accepted or given up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply
from pydantic import SecretStr
from sqlalchemy import insert, select

from audience_sync.alerts.run_webhooks import BACK_OFF, LONGEST, Clock, post_webhooks
from audience_sync.config.models import Settings
from audience_sync.config.sections.on_run import RunHook
from audience_sync.model import RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.webhooks import add_webhooks, record_attempt, waiting_webhooks
from audience_sync.store.tables import run_webhook_log, runs

SIX = datetime(2026, 11, 30, 6, tzinfo=UTC)
DOWN = Reply(500)


class Day:
    """A store with runs, a hook, and a clock that only this test moves."""

    def __init__(self, store: Store, hook: Receiver, timeout: timedelta) -> None:
        self.store, self.hook, self.now, self.pauses = store, hook, SIX, list[float]()
        options: dict[str, Any] = {"url": hook.url, "secret": SecretStr("a-secret"), "name": "ops", "timeout": timeout}
        self._settings: Any = Settings.model_construct(
            on_run=[RunHook.model_construct(**options, statuses=["succeeded"])], ca_file=None, proxy=None, secrets=()
        )
        self._clock = Clock(now=lambda: self.now, monotonic=lambda: self.now.timestamp(), pause=self._pause)

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)

    def run(self, number: int, status: str = "succeeded") -> None:
        """A run that ends now, and what its process posts then."""
        row = {"id": number, "command": "sync", "status": status, "holder": "process 8 on shop", "version": "1.0"}
        with self.store.writing() as connection:
            connection.execute(insert(runs).values(**row, started_at=self.now, finished_at=self.now))
            add_webhooks(connection, RunId(number), ["ops"])
        self.post()

    def post(self) -> None:
        post_webhooks(self._settings, self.store, self._clock)

    def webhooks(self) -> list[tuple[Any, ...]]:
        log = run_webhook_log.c
        with self.store.reading() as connection:
            query = select(log.run_id, log.status, log.attempts, log.next_attempt_at).order_by(log.run_id)
            return [tuple(row) for row in connection.execute(query)]

    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.hook.requests]


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def day(store: Store, hook: Receiver) -> Day:
    return Day(store, hook, timedelta(seconds=15))


def test_a_failed_attempt_is_repeated_at_once_and_then_after_longer_and_longer_times(day: Day) -> None:
    day.hook.will_answer(DOWN)
    day.run(1)
    assert day.pauses == [5]
    waits = []
    for attempts in range(2, 9):
        ((_, status, counted, due_at),) = day.webhooks()
        assert (status, counted) == ("waiting", attempts)
        waits.append((due_at - day.now).total_seconds())
        day.now = due_at - timedelta(seconds=1)
        day.post()
        assert len(day.ids()) == attempts, "not before its time"
        day.now = due_at
        day.post()
    assert waits == [300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000]
    assert len(set(day.ids())) == 1


def test_the_times_are_those_that_the_specification_proposes() -> None:
    since_start = [sum(BACK_OFF[:count], timedelta()) for count in range(1, len(BACK_OFF) + 1)]
    assert [str(each) for each in since_start] == [
        *("0:00:05", "0:05:05", "0:35:05", "2:35:05", "7:35:05", "17:35:05"),
        *("1 day, 7:35:05", "2 days, 3:35:05", "3 days, 3:35:05"),
    ]


def test_it_is_given_up_after_three_days(day: Day) -> None:
    day.hook.will_answer(DOWN)
    day.run(1)
    day.now = SIX + LONGEST + timedelta(minutes=1)
    day.run(2)
    assert [row[:3] for row in day.webhooks()] == [(1, "given up", 2), (2, "waiting", 1)]
    day.hook.will_answer(Reply())
    day.run(3)
    assert [row[1] for row in day.webhooks()] == ["given up", "accepted", "accepted"]


def test_a_hook_that_accepts_gets_everything_that_waits(day: Day) -> None:
    day.hook.will_answer(DOWN)
    for number in (1, 2, 3):
        day.run(number)
        day.now += timedelta(seconds=20)
    assert day.pauses == [5], "a hook that was down before delays no other run"
    day.hook.will_answer(Reply())
    day.run(4)
    assert [row[1] for row in day.webhooks()] == ["accepted"] * 4
    first, *_ = day.ids()
    assert day.ids()[-3] == first, "the run that has just ended comes first, then the oldest"


def test_a_hook_can_ask_for_a_pause(day: Day) -> None:
    day.hook.will_answer(Reply(429, headers={"Retry-After": "3600"}))
    day.run(1)
    assert day.pauses == []
    assert day.webhooks() == [(1, "waiting", 1, SIX + timedelta(hours=1))]


def test_a_hook_that_is_gone_is_sent_nothing_again(day: Day) -> None:
    day.hook.will_answer(DOWN)
    day.run(1)
    day.hook.will_answer(Reply(410))
    day.run(2)
    assert [row[1] for row in day.webhooks()] == ["given up", "given up"]
    assert day.pauses == [5]


@pytest.mark.parametrize("then", ["hang", "close", "reset"])
def test_the_status_counts_also_if_the_rest_of_the_answer_does_not_come(
    store: Store, hook: Receiver, then: Any
) -> None:
    hook.will_answer(Reply(raw=b"HTTP/1.1 202 Said\r\nContent-Length: 9\r\n\r\nx", then=then))
    day = Day(store, hook, timedelta(seconds=0.3))
    day.run(1)
    assert [row[:3] for row in day.webhooks()] == [(1, "accepted", 1)]


def test_what_another_process_has_posted_stays_accepted(day: Day) -> None:
    day.hook.will_answer(DOWN)
    day.run(1)
    with day.store.reading() as connection:
        [webhook] = waiting_webhooks(connection)
    with day.store.writing() as connection:
        record_attempt(connection, webhook, at=day.now, http_status=204, error=None, due_at=None)
        record_attempt(connection, webhook, at=day.now, http_status=500, error="HTTP 500", due_at=day.now)
    assert [row[1] for row in day.webhooks()] == ["accepted"]


def test_a_run_whose_status_is_not_wanted_is_not_posted(day: Day) -> None:
    day.run(1, status="partial")
    assert (day.ids(), day.webhooks()) == ([], [])


def test_a_run_that_is_at_work_is_not_posted(day: Day) -> None:
    row = {"id": 1, "command": "sync", "status": "running", "holder": "process 8 on shop", "version": "1.0"}
    with day.store.writing() as connection:
        connection.execute(insert(runs).values(**row, started_at=SIX))
        add_webhooks(connection, RunId(1), ["ops"])
    day.post()
    assert [row[:2] for row in day.webhooks()] == [(1, "waiting")]
    assert day.ids() == []
