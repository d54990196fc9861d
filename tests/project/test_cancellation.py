"""A run is cancelled from another thread as Ctrl-C ends a command, and the next one continues."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audience_sync import Project, RunCancelledError
from audience_sync.project.progress import Delivering, Event, Loading

from .conftest import CONFIG, MakeFolder, calls

USERS = [f"user-{number:03}" for number in range(300)]
#: A query that takes longer than any test.
ENDLESS = CONFIG.replace(
    "file: vip.csv",
    "query: 'select hash(a.range + b.range)::varchar as user_id from range(1000000000) a, range(1000) b'",
)


def status(folder: Path) -> str:
    return Project.open(folder / "config.yaml").runs(limit=1)[0].status.value


@pytest.mark.parametrize(
    ("make", "is_event"),
    [(threading.Event, True), (multiprocessing.Event, True), (threading.Event, False)],
    ids=["an event", "of another process", "a function"],
)
def test_a_delivery_ends_after_the_requests_in_flight(
    make_folder: MakeFolder, make: Callable[[], Any], is_event: bool
) -> None:
    folder, cancelled = make_folder(*USERS), make()
    project = Project.open(folder / "config.yaml")

    def cancel_soon(event: Event) -> None:
        if isinstance(event, Delivering) and event.delivered:
            cancelled.set()

    with pytest.raises(RunCancelledError, match="The next run sends the rest"):
        project.seed("vip", rate=20, progress=cancel_soon, cancelled=cancelled if is_event else cancelled.is_set)

    sent = len(calls(folder))
    assert 0 < sent < 300
    assert status(folder) == "interrupted"
    assert project.seed("vip").status.value == "succeeded"
    assert [user for user, _ in calls(folder)] == USERS


def test_a_query_of_a_source_is_interrupted(make_folder: MakeFolder) -> None:
    folder, cancelled = make_folder(config=ENDLESS), threading.Event()
    timer = threading.Timer(0.3, cancelled.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(RunCancelledError):
        Project.open(folder / "config.yaml").sync(cancelled=cancelled)
    assert time.monotonic() - began < 5
    timer.join()
    assert status(folder) == "interrupted"
    assert calls(folder) == []


def test_a_plan_is_interrupted_and_records_nothing(make_folder: MakeFolder) -> None:
    folder, began = make_folder(config=ENDLESS), time.monotonic()
    with pytest.raises(RunCancelledError):
        Project.open(folder / "config.yaml").plan(cancelled=lambda: time.monotonic() > began + 0.3)
    assert len(Project.open(folder / "config.yaml").runs()) == 0


def test_a_run_that_is_cancelled_before_it_begins_does_nothing(make_folder: MakeFolder) -> None:
    folder = make_folder("ada")
    with pytest.raises(RunCancelledError):
        Project.open(folder / "config.yaml").sync(cancelled=lambda: True)
    assert not (folder / "store.db").exists()


def test_a_request_that_comes_after_the_run_changes_nothing(make_folder: MakeFolder) -> None:
    cancelled = threading.Event()
    run = Project.open(make_folder("ada") / "config.yaml").sync(cancelled=cancelled)
    cancelled.set()
    assert run.raise_for_status().deliveries[0].delivered == 1


def test_progress_has_what_is_loaded_and_how_far_each_destination_is(make_folder: MakeFolder) -> None:
    events = list[Event]()
    Project.open(make_folder("ada", "bob") / "config.yaml").sync(progress=events.append)
    assert [each.entry for each in events if isinstance(each, Loading)] == ["audience vip"]
    delivering = [each for each in events if isinstance(each, Delivering)]
    assert [
        (each.destination, each.calls, each.delivered, each.refused) for each in (delivering[0], delivering[-1])
    ] == [
        ("log", 2, 0, 0),
        ("log", 2, 2, 0),
    ]


@pytest.mark.parametrize("at", [Loading, Delivering])
def test_an_error_of_the_function_ends_the_run_and_is_raised(make_folder: MakeFolder, at: type[Event]) -> None:
    folder = make_folder(*USERS)

    def fail(event: Event) -> None:
        if isinstance(event, at):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Project.open(folder / "config.yaml").sync(progress=fail)
    assert Project.open(folder / "config.yaml").sync().status.value == "succeeded"
    assert [user for user, _ in calls(folder)] == USERS


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert [each.name for each in set(threading.enumerate()) - before if each.name == "cancellation"] == []
