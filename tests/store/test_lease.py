"""One run at a time writes, whatever happens to its process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, insert, select, update

from audience_sync.errors import LeaseLostError, RunInProgressError, StoreError
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import TIME_TO_LIVE_VARIABLE, Lease, acquire
from audience_sync.store.connection.process_identity import current_process
from audience_sync.store.tables import lease, runs
from audience_sync.store.tables.types import database_clock

A_RUN = insert(runs).values(
    command="sync", status="running", started_at=datetime(2026, 3, 1, tzinfo=UTC), holder="", version="1"
)
#: A process that takes the lease and dies of `kill -9`.
DIES = """
import os, sys
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
acquire(Store(sys.argv[1]))
os.kill(os.getpid(), 9)
"""


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def expire(store: Store) -> None:
    """As if a minute had passed without a sign of life."""
    with store.writing() as connection:
        connection.execute(update(lease).values(expires_at=1.0))


def held_by(store: Store, name: str, *, seconds_left: float = 30.0) -> None:
    ends = database_clock() + seconds_left
    with store.writing() as connection:
        connection.execute(
            update(lease).values(token=1, holder=name, acquired_at=1_772_323_200.0, expires_at=ends, time_to_live=60.0)
        )


def write_a_run(held: Lease) -> None:
    with held.transaction() as connection:
        connection.execute(A_RUN)


def run_count(store: Store) -> int:
    with store.reading() as connection:
        return len(connection.execute(select(runs.c.id)).all())


class TestASecondRun:
    def test_is_refused_while_the_first_is_at_work(self, store: Store, other_process: Store) -> None:
        with acquire(store), pytest.raises(RunInProgressError, match=f"process {os.getpid()} on "):
            acquire(other_process)

    def test_hears_who_is_at_work_and_since_when(self, store: Store) -> None:
        held_by(store, "process 4711 on batch-2 (another-machine/815)")
        with pytest.raises(RunInProgressError) as caught:
            acquire(store)
        assert str(caught.value) == (
            "Another run is in progress (process 4711 on batch-2, since 2026-03-01 00:00:00 UTC). Nothing was done.\n"
            "Try again when it has finished. If its process has died, the next run replaces it: at once on the same "
            "machine, after one minute from another."
        )

    @pytest.mark.parametrize("seconds_left", [70.0, 3600.0, 365 * 86400.0], ids=["70 s", "an hour", "a year"])
    def test_does_not_believe_a_lease_further_ahead_than_its_time_to_live(
        self, store: Store, seconds_left: float
    ) -> None:
        """The clock has been set back since: the holder would have renewed it."""
        held_by(store, "process 4711 on batch-2 (another-machine/815)", seconds_left=seconds_left)
        with acquire(store) as held:
            write_a_run(held)
        assert run_count(store) == 1

    def test_believes_a_lease_whose_holder_asks_for_more_time_than_others(self, store: Store) -> None:
        held_by(store, "process 4711 on batch-2 (another-machine/815)", seconds_left=3000.0)
        with store.writing() as connection:
            connection.execute(update(lease).values(time_to_live=3600.0))
        with pytest.raises(RunInProgressError):
            acquire(store)

    def test_may_begin_when_the_first_has_ended(self, store: Store, other_process: Store) -> None:
        with acquire(store):
            pass
        with acquire(other_process) as held:
            write_a_run(held)
        assert run_count(store) == 1

    def test_may_begin_when_the_first_has_failed(self, store: Store, other_process: Store) -> None:
        with pytest.raises(ZeroDivisionError), acquire(store):
            raise ZeroDivisionError
        acquire(other_process).release()

    def test_may_begin_at_once_when_the_first_was_killed_on_this_machine(self, store: Store) -> None:
        url = store.url.render_as_string(hide_password=False)
        killed = subprocess.run([sys.executable, "-c", DIES, url], timeout=60)
        assert killed.returncode == -9
        with acquire(store) as held:
            write_a_run(held)

    @pytest.mark.parametrize(
        "name",
        [
            "process 4711 on batch-2 (another-machine/815)",
            "process 4711 on batch-2 (/)",
            f"process {os.getpid()} on here ({current_process().partition(' (')[2]}",
        ],
        ids=["another machine's", "a system that says nothing of its processes", "alive"],
    )
    def test_does_not_take_this_holder_for_dead(self, store: Store, name: str) -> None:
        held_by(store, name)
        with pytest.raises(RunInProgressError):
            acquire(store)

    def test_takes_over_a_process_number_that_another_program_has_now(self, store: Store) -> None:
        machine = current_process().partition(" (")[2].partition("/")[0]
        held_by(store, f"process {os.getpid()} on here ({machine}/1)")
        acquire(store).release()

    def test_hears_it_at_once_while_the_first_is_in_a_transaction(self, store: Store, other_process: Store) -> None:
        """Otherwise a long commit would keep it waiting, and on SQLite end with "database is locked"."""
        with acquire(store) as held, held.transaction(), pytest.raises(RunInProgressError, match="since 20"):
            acquire(other_process)


class TestItsTimeToLive:
    def test_may_be_set_for_unusual_networks(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TIME_TO_LIVE_VARIABLE, "7200")
        with acquire(store), store.reading() as connection:
            row = connection.execute(select(lease)).one()
        assert row.expires_at - row.acquired_at == pytest.approx(7200)

    @pytest.mark.parametrize("given", ["0.9", "0", "-5", "soon", "nan", "inf"])
    def test_that_makes_no_sense_is_refused(self, store: Store, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        monkeypatch.setenv(TIME_TO_LIVE_VARIABLE, given)
        with pytest.raises(StoreError, match=r"AUDIENCE_SYNC_LEASE_SECONDS is .* a number of seconds, 1 or more"):
            acquire(store)


class TestAnExpiredLease:
    def test_is_taken_over(self, store: Store, other_process: Store) -> None:
        with acquire(store):
            expire(store)
            with acquire(other_process) as second:
                write_a_run(second)
        assert run_count(store) == 1

    def test_no_longer_lets_its_holder_write(self, store: Store, other_process: Store) -> None:
        with acquire(store) as first:
            expire(store)
            with (
                acquire(other_process),
                pytest.raises(
                    LeaseLostError, match=r"This run lost its lock .* Another run continues from the committed changes"
                ),
            ):
                write_a_run(first)
        assert run_count(store) == 0

    def test_no_longer_lets_its_holder_send(self, store: Store, other_process: Store) -> None:
        clock = Clock()
        with acquire(store, clock=clock) as first:
            expire(store)
            with acquire(other_process):
                clock.now += 61
                with pytest.raises(LeaseLostError):
                    first.confirm()

    def test_no_longer_lets_its_holder_write_when_the_next_has_ended_too(
        self, store: Store, other_process: Store
    ) -> None:
        with acquire(store) as first:
            expire(store)
            acquire(other_process).release()
            with pytest.raises(LeaseLostError):
                write_a_run(first)

    def test_that_its_holder_releases_stays_with_the_next(self, store: Store, other_process: Store) -> None:
        first = acquire(store)
        expire(store)
        with acquire(other_process) as second:
            first.release()
            write_a_run(second)
            with pytest.raises(RunInProgressError):
                acquire(store)

    def test_that_nobody_took_over_is_its_holders_again(self, store: Store, other_process: Store) -> None:
        with acquire(store) as first:
            expire(store)
            write_a_run(first)
            with pytest.raises(RunInProgressError):
                acquire(other_process)


class TestAHolder:
    def test_asks_nobody_before_a_request_while_the_lease_is_fresh(self, store: Store) -> None:
        clock = Clock()
        with acquire(store, clock=clock) as held:
            statements = counted(store)
            clock.now += 29
            held.confirm()
            assert statements == []

    def test_renews_before_a_request_when_half_the_time_has_passed(self, store: Store, other_process: Store) -> None:
        clock = Clock()
        with acquire(store, clock=clock) as held:
            expire(store)
            clock.now += 31
            held.confirm()
            with pytest.raises(RunInProgressError):
                acquire(other_process)

    def test_counts_from_the_beginning_of_a_long_transaction(self, store: Store, other_process: Store) -> None:
        """The lease lasts from the moment it was renewed, which is before the rows are written."""
        clock = Clock()
        with acquire(store, clock=clock) as held:
            with held.transaction():
                clock.now += 61
            expire(store)
            with acquire(other_process), pytest.raises(LeaseLostError):
                held.confirm()

    def test_renews_in_the_background(self, store: Store) -> None:
        renewed = threading.Event()
        held = acquire(store, time_to_live=0.2)
        event.listen(store.engine, "commit", lambda connection: renewed.set())
        assert renewed.wait(10)
        held.release()


def counted(store: Store) -> list[str]:
    """The statements that are executed from now on."""
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    return statements


class TestRunsThatStartTogether:
    def test_are_one_that_runs_and_others_that_are_refused(self, store: Store) -> None:
        url = store.url.render_as_string(hide_password=False)
        together, ended = threading.Barrier(8), threading.Barrier(8)
        said: list[str] = []

        def begin() -> None:
            mine = Store(url)
            together.wait(10)
            try:
                with acquire(mine):
                    said.append("runs")
                    ended.wait(30)
            except RunInProgressError:
                said.append("is refused")
                ended.wait(30)
            mine.close()

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(said) == ["is refused"] * 7 + ["runs"]
