"""Whether a run may begin: another one is in progress, is about to leave, or has died."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from audience_sync.model import RunId
from audience_sync.serve.problems import ProblemError
from audience_sync.serve.runs import Runs, open_to_write
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.store.connection.process_identity import current_process
from audience_sync.store.maintenance.open_to_read import open_store_to_read
from audience_sync.store.runs.requests import find_request, keep_request
from audience_sync.store.tables import run_requests, runs

WORK = {"method": "sync", "arguments": {"audiences": None, "reason": None}}
#: As a process of this machine that has ended.
DEAD = current_process().replace(")", "1)")


class Worker:
    """In place of the process of a run, which it writes when it begins."""

    name, has_begun, is_over = "a new process", True, False

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, work: Mapping[str, Any]) -> None:
        add_run(self._store, self.name, "running")

    def wait_begun(self) -> None:
        """It has begun."""


def add_run(store: Store, holder: str, status: str) -> int:
    values = {"command": "sync", "status": status, "started_at": datetime.now(UTC), "version": "1", "holder": holder}
    with store.writing() as connection:
        number: int = connection.execute(insert(runs).values(values).returning(runs.c.id)).scalar_one()
        return number


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, new_url: Callable[..., str]) -> str:
    return new_url(request.param, with_schema=True)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(Store(url)) as opened:
        yield opened


def a_server(url: str, store: Store) -> Runs:
    start: Any = partial(Worker, store)
    return Runs(reading=partial(open_store_to_read, url), writing=partial(open_to_write, url), start_worker=start)


@pytest.fixture
def served(url: str, store: Store) -> Runs:
    return a_server(url, store)


def refusal(served: Runs, key: str | None = None) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        served.start(WORK, key)
    assert caught.value.status == 409
    return caught.value


def test_a_run_in_progress_is_named_and_one_that_died_is_not(served: Runs, store: Store) -> None:
    add_run(store, DEAD, "running")
    with acquire(store):
        assert "run" not in refusal(served).fields, "its owner has begun no run"
        number = add_run(store, current_process(), "running")
        assert refusal(served).fields["run"] == number


def test_a_run_that_has_ended_gets_a_moment_to_release_the_store(
    served: Runs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = add_run(store, current_process(), "succeeded")
    lease = acquire(store)
    leaving = threading.Timer(0.2, lease.release)
    leaving.start()
    assert served.start(WORK) == (number + 1, False)
    leaving.join()
    monkeypatch.setattr("audience_sync.serve.runs.LEAVES_WITHIN", 0.1)
    with acquire(store):
        assert refusal(served).fields["run"] == number


def test_a_key_whose_process_is_alive_starts_no_second_run(served: Runs, store: Store) -> None:
    first, _ = served.start(WORK, "nightly")
    with store.writing() as connection:
        stored = find_request(connection, "nightly")
        assert stored is not None
        for key, holder in (("alive", current_process()), ("dead", DEAD)):
            keep_request(connection, key, stored.fingerprint, holder, datetime.now(UTC))
    assert str(refusal(served, "alive")).startswith("Another run is about to begin.")
    assert served.start(WORK, "nightly") == (first, True)
    assert served.start(WORK, "dead") == (first + 1, False)


def test_a_key_is_known_to_the_next_server_and_forgotten_after_a_week(url: str, served: Runs, store: Store) -> None:
    run, _ = served.start(WORK, "nightly")
    following = a_server(url, store)
    assert following.start(WORK, "nightly") == (run, True)
    with store.writing() as connection:
        assert connection.execute(select(run_requests.c.run_id)).scalars().all() == [run], (
            "found among any number of runs"
        )
        connection.execute(update(run_requests).values(requested_at=datetime.now(UTC) - timedelta(days=8)))
    following.start(WORK, "next")
    with store.reading() as connection:
        assert connection.execute(select(run_requests.c.idempotency_key)).scalars().all() == ["next"]


def test_nothing_begins_while_the_server_stops(served: Runs) -> None:
    served.stop()
    for start in (lambda: served.start(WORK), lambda: served.start_plan(None)):
        with pytest.raises(ProblemError, match="The server is stopping") as caught:
            start()
        assert caught.value.status == 503


@pytest.mark.parametrize(
    ("status", "shown"), [("running", "interrupted"), ("held", "held"), ("succeeded", "succeeded")]
)
def test_a_run_that_has_ended_or_died_is_not_cancelled(served: Runs, store: Store, status: str, shown: str) -> None:
    run = RunId(add_run(store, DEAD, status))
    with pytest.raises(ProblemError, match=f"Run {run} has ended: {shown}. Nothing was done.") as caught:
        served.cancel(run)
    assert caught.value.status == 409


def test_no_second_run_begins_beside_one_that_is_about_to(served: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "has_begun", False)
    served.start(WORK)
    assert str(refusal(served)).startswith("Another run is about to begin.")
