"""A scheduler follows the store, whatever happens to store, config and stdout meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from audience_sync.project.access import Access
from audience_sync.project.scheduling import load_scheduled_config
from audience_sync.schedule.scheduler import BUSY_PAUSE, Scheduler
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.sync.values.report import Report

HOUR = timedelta(hours=1)
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
Keep = Callable[..., Scheduler]


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """A scheduler that starts at a moment, with these schedules."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vip.csv").write_text("user_id\nada\n", "utf-8")

    def start(now: datetime, *every: str, say: Callable[[Report], None] = lambda report: None) -> Scheduler:
        shop = {"source": "shop", "file": "vip.csv"}
        config = {
            "sources": {"shop": {"files": "."}},
            "audiences": [{"name": f"VIP {each}", **shop, "schedule": {"every": each}} for each in every],
            "destinations": {"log": {"type": "file", "path": "calls.jsonl"}},
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
        keeper = Scheduler(load_scheduled_config(Access(Path("config.yaml"))), say)
        keeper.start(now)
        return keeper

    return start


def run_all_due(keeper: Scheduler, now: datetime) -> None:
    while keeper.run_due(now) is not None:
        pass


def runs(tmp_path: Path) -> list[tuple[str, float, int]]:
    """The schedule, the hours since noon, and the times that were missed before."""
    store = Store(f"sqlite:///{tmp_path / 'audience_sync.db'}")
    with store.reading() as connection:
        rows = connection.exec_driver_sql("select schedule, due_at, missed from scheduled_runs order by due_at").all()
    store.close()
    return [(name, (datetime.fromisoformat(at).replace(tzinfo=UTC) - NOON) / HOUR, missed) for name, at, missed in rows]


def test_what_was_missed_while_nobody_was_there_is_made_up_for(keep: Keep, tmp_path: Path) -> None:
    run_all_due(keep(NOON, "1h", "2h"), NOON + 2 * HOUR)
    run_all_due(keep(NOON + 7 * HOUR, "1h", "2h"), NOON + 7 * HOUR)
    assert runs(tmp_path)[-2:] == [("every 2h", 6, 1), ("every 1h", 7, 4)]


def test_what_another_schedule_stood_in_for_was_not_missed(keep: Keep, tmp_path: Path) -> None:
    run_all_due(keep(NOON, "1h"), NOON + HOUR)
    other = keep(NOON + 1.5 * HOUR, "2h")
    for hours in (2, 4):
        run_all_due(other, NOON + hours * HOUR)
    back = keep(NOON + 5.5 * HOUR, "1h")
    assert back.run_due(NOON + 5.5 * HOUR) is None
    run_all_due(back, NOON + 6 * HOUR)
    assert runs(tmp_path) == [("every 1h", 1, 0), ("every 2h", 2, 0), ("every 2h", 4, 0), ("every 1h", 6, 0)]


def test_what_waits_for_too_long_is_noted_while_it_waits(keep: Keep, tmp_path: Path) -> None:
    keeper = keep(NOON, "1h")
    store = Store(f"sqlite:///{tmp_path / 'audience_sync.db'}")
    with acquire(store):
        assert keeper.run_due(NOON + HOUR) == BUSY_PAUSE
        assert late(store) == []
        for minutes in (16, 17):
            assert keeper.run_due(NOON + HOUR + timedelta(minutes=minutes)) == BUSY_PAUSE
    ((words, ended),) = late(store)
    assert "it still waits for another run to end" in words
    assert ended is None
    run_all_due(keeper, NOON + HOUR + timedelta(minutes=18))
    assert len(late(store)) == 1
    store.close()


def late(store: Store) -> list[tuple[str, object]]:
    with store.reading() as connection:
        return [
            tuple(row) for row in connection.exec_driver_sql("select words, ended_run from alerts where kind = 'late'")
        ]


def test_a_store_that_is_made_anew_is_taken_up(keep: Keep, tmp_path: Path) -> None:
    keeper = keep(NOON, "1h")
    run_all_due(keeper, NOON + HOUR)
    (tmp_path / "audience_sync.db").unlink()
    assert keeper.run_due(NOON + 1.5 * HOUR) is None
    run_all_due(keeper, NOON + 2 * HOUR)
    assert runs(tmp_path) == [("every 1h", 2, 0)]


def test_a_run_that_nobody_hears_of_is_none_that_failed(
    keep: Keep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_report: Report) -> None:
        raise OSError("no space left")

    assert keep(NOON, "1h", say=full).run_due(NOON + HOUR) == 0.0
    assert "can't be shown on stdout" in caplog.text
    assert runs(tmp_path) == [("every 1h", 1, 0)]


def count_runs(tmp_path: Path) -> int:
    store = Store(f"sqlite:///{tmp_path / 'audience_sync.db'}")
    with store.reading() as connection:
        count: int = connection.exec_driver_sql("select count(*) from sync_runs").scalar_one()
    store.close()
    return count


@pytest.mark.parametrize("by", [timedelta(minutes=10), 2 * HOUR, timedelta(days=365)])
def test_a_clock_that_is_set_back_runs_its_times_again(keep: Keep, tmp_path: Path, by: timedelta) -> None:
    wrong = keep(NOON - HOUR, "5m")
    for minutes in (0, 5, 10, 15):
        run_all_due(wrong, NOON + timedelta(minutes=minutes))
    present = NOON + timedelta(minutes=15) - by
    wrong.set_back(by)
    run_all_due(wrong, present)
    run_all_due(wrong, present + timedelta(minutes=5))
    assert count_runs(tmp_path) >= 5
    assert max(at for _, at, _ in runs(tmp_path)) == (present + timedelta(minutes=5) - NOON) / HOUR


def test_a_scheduler_that_starts_after_the_clock_was_corrected_runs_at_once_again(keep: Keep, tmp_path: Path) -> None:
    ahead = keep(NOON, "1h")
    for hours in (1, 2, 3):
        run_all_due(ahead, NOON + hours * HOUR)
    corrected = keep(NOON + 1.5 * HOUR, "1h")
    run_all_due(corrected, NOON + 2 * HOUR)
    assert count_runs(tmp_path) == 4
    assert runs(tmp_path) == [("every 1h", 1, 0), ("every 1h", 2, 0)]


def test_a_time_that_had_its_run_keeps_it_when_the_clock_is_set_back_by_seconds(keep: Keep, tmp_path: Path) -> None:
    keeper = keep(NOON, "1h")
    run_all_due(keeper, NOON + HOUR)
    keeper.set_back(timedelta(seconds=30))
    run_all_due(keeper, NOON + HOUR - timedelta(seconds=30))
    run_all_due(keeper, NOON + HOUR)
    assert count_runs(tmp_path) == 1
