"""A run that is interrupted in the middle of a query is interrupted, not failed. A scratch leaves nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from audience_sync.workspace import Workspace


@pytest.fixture
def heeded() -> Iterator[None]:
    """An alarm is what Ctrl-C is."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("heeded")
def test_a_signal_in_the_middle_of_a_query_is_no_error_of_the_query() -> None:
    with Workspace(768_000_000) as workspace:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            workspace.all("select count(distinct hash(range)) from range(30000000)")


TABLES = "select table_name from information_schema.tables order by 1"


def test_what_is_made_in_a_scratch_is_dropped_and_the_rest_stays() -> None:
    with Workspace(768_000_000) as workspace:
        kept = workspace.table("kept", "select 1 as number")
        with workspace.scratch() as scratch:
            table = scratch.table("some", f"from {kept}")
            view = scratch.view("some", f"from {table}")
            unused = scratch.name("some")
            workspace.run("create table other as select 2")
            assert scratch.one(f"select * from {view}") == workspace.one(f"select * from {view}") == (1,)
        assert workspace.all(TABLES) == [(kept,), ("other",)]
        assert workspace.name("some") not in (table, view, unused)


def test_a_scratch_is_dropped_after_an_error_too() -> None:
    with Workspace(768_000_000) as workspace:
        with pytest.raises(ZeroDivisionError):
            fail_in_a_scratch(workspace)
        assert workspace.all(TABLES) == []


def fail_in_a_scratch(workspace: Workspace) -> None:
    with workspace.scratch() as scratch:
        scratch.table("some", "select 1 as number")
        raise ZeroDivisionError


def test_two_threads_work_in_a_scratch_of_their_own_at_once() -> None:
    def count(workspace: Workspace) -> int:
        with workspace.scratch() as scratch:
            table = scratch.table("some", "from range(200000)")
            return int(scratch.one(f"select count(distinct range) from {table}")[0])

    with Workspace(768_000_000) as workspace, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(count, [workspace] * 8)) == [200_000] * 8
        assert workspace.all(TABLES) == []


def test_a_lean_one_has_one_thread_and_gives_memory_back_at_once() -> None:
    settings = "select current_setting('threads'), current_setting('allocator_bulk_deallocation_flush_threshold')"
    with Workspace(1_000_000_000) as usual, Workspace(1_000_000_000, lean=True) as lean:
        assert usual.one(settings) == (2, "512.0 MiB")
        assert lean.one(settings) == (1, "976.5 KiB")
