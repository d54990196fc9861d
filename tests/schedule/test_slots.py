"""Each time of a schedule has one run, whoever was first and whatever happened to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audience_sync.errors import SlotsClaimedError
from audience_sync.model import HistoryKind
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.pruning import mark_pruned, prune
from audience_sync.store.runs import schedule_slots as slots
from audience_sync.store.runs.schedule_slots import LastSlot, Slot
from audience_sync.store.tables import view_prefix
from audience_sync.sync.commit.run_record import begin_run

NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
OFTEN, DAILY = "every 15m", "cron 0 6 * * * UTC"


def run_for(store: Store, *wanted: Slot, ends: bool = True) -> int:
    with store.writing() as connection:
        free = slots.free_slots(connection, wanted)
        run = begin_run(connection, "schedule", NOON)
        slots.claim_slots(connection, free, run)
        if ends:
            slots.end_slots(connection, run)
    return run


def last(store: Store) -> dict[str, LastSlot]:
    with store.reading() as connection:
        return slots.last_slots(connection, [OFTEN, DAILY], NOON + 4 * QUARTER)


def test_a_time_is_run_for_once(store: Store) -> None:
    run = run_for(store, Slot(OFTEN, NOON))
    assert last(store) == {OFTEN: LastSlot(NOON, run, True)}
    with pytest.raises(SlotsClaimedError):
        run_for(store, Slot(OFTEN, NOON))
    with pytest.raises(SlotsClaimedError):
        run_for(store, Slot(OFTEN, NOON - QUARTER))
    assert run_for(store, Slot(OFTEN, NOON + QUARTER)) == run + 1  # a refused run leaves nothing behind


def test_a_run_that_did_not_end_is_made_up_for(store: Store) -> None:
    run_for(store, Slot(OFTEN, NOON), ends=False)
    assert not last(store)[OFTEN].is_over
    again = run_for(store, Slot(OFTEN, NOON))
    assert last(store) == {OFTEN: LastSlot(NOON, again, True)}


def test_of_several_times_one_that_is_free_is_enough(store: Store) -> None:
    run_for(store, Slot(OFTEN, NOON))
    run = run_for(store, Slot(OFTEN, NOON), Slot(DAILY, NOON))
    assert last(store)[DAILY] == LastSlot(NOON, run, True)
    assert last(store)[OFTEN].run == run - 1


def test_a_schedule_counts_since_it_is_known(store: Store) -> None:
    with store.writing() as connection:
        slots.start_schedules(connection, [OFTEN], NOON)
        slots.start_schedules(connection, [DAILY], NOON + QUARTER)
    assert last(store) == {OFTEN: LastSlot(NOON, None, True), DAILY: LastSlot(NOON + QUARTER, None, True)}


def test_the_view_says_what_was_missed(store: Store) -> None:
    with store.writing() as connection:
        slots.start_schedules(connection, [OFTEN], NOON)
    run = run_for(store, Slot(OFTEN, NOON + 3 * QUARTER, 2, NOON + QUARTER))
    with store.reading() as connection:
        view = f"{view_prefix(connection)}scheduled_runs"
        rows = connection.exec_driver_sql(f"select schedule, run, status, missed from {view}").all()
    assert [tuple(row) for row in rows] == [(OFTEN, run, "running", 2)]


def test_what_is_old_goes_and_the_last_of_each_schedule_stays(store: Store) -> None:
    for hours in range(4):
        run_for(store, Slot(OFTEN, NOON + hours * QUARTER))
    run_for(store, Slot(DAILY, NOON))
    with store.writing() as connection:
        mark_pruned(connection, HistoryKind.RUNS, 5)
        prune(connection, HistoryKind.RUNS, 1_000)
        left = connection.exec_driver_sql("select schedule, run_id from schedule_slots order by run_id").all()
    assert [tuple(row) for row in left] == [(OFTEN, 4), (DAILY, 5)]
    assert last(store)[OFTEN].at == NOON + 3 * QUARTER


def test_what_a_wrong_clock_wrote_ahead_is_passed_over(store: Store) -> None:
    run_for(store, Slot(OFTEN, NOON))
    run_for(store, Slot(OFTEN, NOON + 400 * QUARTER))
    assert last(store)[OFTEN].at == NOON
