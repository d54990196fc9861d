"""Ages are measured by runs whose clock was accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, insert, select, text

from audience_sync.store.audiences.absences import times_of_absences
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.clock import read_run_clock, run_clock
from audience_sync.store.runs.runs import last_run_started_by
from audience_sync.store.tables import absences, properties, runs, snapshot_chains
from audience_sync.sync.commit.run_record import begin_run

DAY = timedelta(days=1)
MAY = datetime(2026, 5, 1, 8, tzinfo=UTC)


def times(connection: Connection) -> list[tuple[datetime, datetime | None]]:
    rows = connection.execute(select(runs).order_by(runs.c.id))
    return [(row.started_at, None if row.clock_doubted else row.counted_at or row.started_at) for row in rows]


def miss(connection: Connection, user: str, run: int) -> None:
    if connection.execute(select(properties.c.id)).first() is None:
        connection.execute(insert(snapshot_chains).values(id=1, kind="audience", user_count=0))
        what = {"kind": "audience", "name": "VIP", "chain_id": 1, "created_run_id": 1}
        connection.execute(insert(properties).values(id=1, key="vip", **what))
    connection.execute(insert(absences).values(property_id=1, user_id=user, run_id=run))


@pytest.mark.parametrize(
    ("now", "counted_at"),
    [
        (MAY + DAY, MAY + DAY),
        (MAY + 7 * DAY, MAY + 7 * DAY),
        (MAY + 8 * DAY, None),
        (MAY + 365 * DAY, None),
        (MAY - DAY, MAY),
        (MAY - 8 * DAY, None),
    ],
)
def test_a_clock_more_than_a_week_from_the_newest_run_is_doubted(now: datetime, counted_at: datetime | None) -> None:
    assert run_clock(MAY, now).counted_at == counted_at


def test_the_first_run_accepts_its_clock() -> None:
    assert run_clock(None, MAY).counted_at == MAY


def test_a_wrong_clock_is_forgotten_when_the_right_one_returns(store: Store) -> None:
    year = MAY + 365 * DAY
    with store.writing() as connection:
        for now in (MAY, year, year + 3 * DAY, MAY + DAY):
            begin_run(connection, "sync", now)
        assert times(connection) == [
            (MAY, MAY),
            (year, None),
            (year + 3 * DAY, None),
            (year + 3 * DAY + timedelta(milliseconds=1), MAY + DAY),
        ]
        assert read_run_clock(connection, MAY + 2 * DAY).warnings() == []
        assert last_run_started_by(connection, MAY + 12 * timedelta(hours=1)) == 1
        assert last_run_started_by(connection, MAY + 2 * DAY) == 4


def test_an_accepted_clock_brings_back_runs_that_count_as_later(store: Store) -> None:
    """A first run by a clock a year ahead: nothing waits until the clock gets there."""
    with store.writing() as connection:
        begin_run(connection, "sync", MAY + 365 * DAY)
        miss(connection, "cyd", 1)
        begin_run(connection, "sync", MAY)
        assert times(connection)[1][1] is None
        begin_run(connection, "sync", MAY + DAY, accept_clock=True)
        assert [counted for _, counted in times(connection)] == [MAY + DAY, None, MAY + DAY]
        assert times_of_absences(connection, "vip") == {1: MAY + DAY}


def test_a_stay_that_began_by_a_doubted_clock_counts_from_the_next_accepted_one(store: Store) -> None:
    with store.writing() as connection:
        begin_run(connection, "sync", MAY)
        miss(connection, "ada", 1)
        begin_run(connection, "sync", MAY + 30 * DAY)
        miss(connection, "bob", 2)
        assert times_of_absences(connection, "vip") == {1: MAY}
        begin_run(connection, "sync", MAY + 31 * DAY, accept_clock=True)
        assert times_of_absences(connection, "vip") == {1: MAY, 2: MAY + 31 * DAY}


def test_every_run_of_an_earlier_version_counts_by_its_start(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(
            text("insert into runs (command, status, started_at, holder, version) values (:c, :s, :t, '', '0')"),
            {
                "c": "sync",
                "s": "succeeded",
                "t": "2026-05-01 08:00:00.000000+00" if not store.is_sqlite else "2026-05-01 08:00:00.000000",
            },
        )
    with store.reading() as connection:
        assert times(connection) == [(MAY, MAY)]
