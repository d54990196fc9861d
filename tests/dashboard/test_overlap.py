"""The users that audiences share are counted once after each run, and never while one is in progress."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from store import example_week

from audience_sync.dashboard.overlap import Overlap, OverlapCache, Progress
from audience_sync.dashboard.queries.overlap import SAMPLE, SharedUsers, count_shared
from audience_sync.store.connection.engine import Store

#: Long enough for any machine: a count that is done is returned at once.
PATIENT = 60.0
NUMBERS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n where i < {most}) "
    "insert into members (property_id, user_id, run_id) select {audience}, printf('%08d', i * {step}), 39 from n",
    "postgresql": "insert into members (property_id, user_id, run_id) "
    "select {audience}, lpad((i * {step})::text, 8, '0'), 39 from generate_series(1, {most}) as n(i)",
}


@pytest.fixture
def week(store: Store) -> Store:
    example_week.fill(store)
    return store


def counted(cache: OverlapCache, size: int = 5) -> Overlap:
    found = cache.of("big_spenders", size, patience=PATIENT)
    assert found is not None
    return found


class TestTheOverlap:
    def test_counts_small_audiences_exactly(self, week: Store) -> None:
        found = counted(OverlapCache(week.reading))
        assert (found.run, found.progress) == (43, Progress.DONE)
        assert found.sizes == {"big_spenders": 5, "new_customers": 3}
        assert found.between("new_customers", "big_spenders") == SharedUsers(3)

    def test_is_counted_again_after_the_next_run(self, week: Store) -> None:
        cache = OverlapCache(week.reading)
        counted(cache)
        with week.writing() as connection:
            connection.execute(text("delete from members where user_id = 'eve' and property_id = 2"))
        assert counted(cache).between("big_spenders", "new_customers") == SharedUsers(3)
        with week.writing() as connection:
            connection.execute(
                text(
                    "insert into runs (id, command, status, started_at, holder, version) "
                    "values (44, 'sync', 'succeeded', '2026-03-07 06:00:00', 'x', '1')"
                )
            )
        assert counted(cache).between("big_spenders", "new_customers") == SharedUsers(2)

    def test_is_not_counted_while_a_run_is_in_progress(self, week: Store) -> None:
        with week.writing() as connection:
            connection.execute(
                text(
                    "insert into runs (id, command, status, started_at, holder, version) "
                    "values (44, 'sync', 'running', '2026-03-07 06:00:00', 'x', '1')"
                )
            )
            connection.execute(text("update lease set holder = 'x', acquired_at = 9999999998, expires_at = 9999999999"))
        found = counted(OverlapCache(week.reading))
        assert found.shared == {}
        assert found.progress is Progress.PAUSED

    def test_needs_rows_of_members(self, store: Store) -> None:
        assert OverlapCache(store.reading).of("vip", 5) is None

    def test_of_large_audiences_is_estimated_from_a_sample(self, week: Store) -> None:
        """Every third and every second number: half of the first are in the second, also of those in the sample."""
        database = "sqlite" if week.is_sqlite else "postgresql"
        with week.writing() as connection:
            connection.execute(text("delete from members"))
            connection.execute(text(NUMBERS[database].format(most=60_000, audience=1, step=3)))
            connection.execute(text(NUMBERS[database].format(most=90_000, audience=2, step=2)))
        with week.reading() as connection:
            found = count_shared(connection, "big_spenders", 60_000, ["new_customers"])["new_customers"]
        assert found.compared == SAMPLE
        assert abs(found.count - 30_000) < 600
