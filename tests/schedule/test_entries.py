"""What is due together is one run, of exactly the audiences whose time has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audience_sync.config.loader import load
from audience_sync.config.models import Settings
from audience_sync.errors import ConfigError
from audience_sync.schedule.entries import due_request, next_time, schedule_entries
from audience_sync.store.runs.schedule_slots import LastSlot, Slot

BEFORE = datetime(2026, 2, 1, 5, 50, tzinfo=UTC)
SIX = datetime(2026, 2, 1, 6, tzinfo=UTC)
CONFIG = """
sources: {{shop: {{files: .}}}}
destinations: {{}}
{general}
audiences:
- {{name: VIP, source: shop, file: vip.csv}}
- {{name: Daily, source: shop, file: daily.csv, schedule: "0 6 * * *"}}
- {{names_from: audience, source: shop, file: all.csv, schedule: {{every: 4h}}}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Settings]:
    def loaded(general: str) -> Settings:
        (tmp_path / "config.yaml").write_text(CONFIG.format(general=general), "utf-8")
        return load(tmp_path / "config.yaml", environment=None, variables={}, destination_types={}, profile_fields={})

    return loaded


def known(found: Settings, at: datetime = BEFORE) -> dict[str, LastSlot]:
    return {each.name: LastSlot(at, 1, True) for each in schedule_entries(found)}


def test_what_is_due_together_is_one_run(settings: Callable[[str], Settings]) -> None:
    found = settings("schedule: {every: 15m}")
    request = due_request(found, schedule_entries(found), known(found), SIX)
    assert request is not None
    assert request.slots == [Slot("every 15m", SIX), Slot("cron 0 6 * * * UTC", SIX)]
    assert request.selection.entries is not None
    assert [each.name for each in request.selection.entries] == ["VIP", "Daily"]


def test_what_all_are_due_for_is_a_whole_run(settings: Callable[[str], Settings]) -> None:
    found = settings("schedule: {every: 15m}")
    request = due_request(found, schedule_entries(found), known(found), SIX + timedelta(hours=6))
    assert request is not None
    assert request.selection.entries is None
    assert [(each.schedule, each.missed) for each in request.slots] == [
        ("every 15m", 24),
        ("cron 0 6 * * * UTC", 0),
        ("every 4h", 1),
    ]


def test_those_without_a_schedule_are_left_to_people(settings: Callable[[str], Settings]) -> None:
    found = settings("")
    request = due_request(found, schedule_entries(found), known(found), SIX + timedelta(hours=2))
    assert request is not None
    assert request.selection.entries is not None
    assert [each.name or each.names_from for each in request.selection.entries] == ["Daily", "audience"]


def test_nothing_is_due_before_its_time(settings: Callable[[str], Settings]) -> None:
    found = settings("")
    assert due_request(found, schedule_entries(found), known(found), SIX - timedelta(seconds=1)) is None
    assert next_time(schedule_entries(found), BEFORE) == SIX


def test_what_a_killed_run_was_to_make_up_for_is_not_forgotten(settings: Callable[[str], Settings]) -> None:
    found = settings("")
    killed = {each.name: LastSlot(SIX, 7, False, 3, BEFORE) for each in schedule_entries(found)}
    request = due_request(found, schedule_entries(found), killed, SIX + timedelta(minutes=1))
    assert request is not None
    assert request.slots == [Slot("cron 0 6 * * * UTC", SIX, 3, BEFORE)]


def test_a_config_without_a_schedule_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "sources: {shop: {files: .}}\naudiences: [{name: A, source: shop, file: a.csv}]\n"
    )
    found = load(tmp_path / "config.yaml", environment=None, variables={}, destination_types={}, profile_fields={})
    with pytest.raises(ConfigError, match=r"no schedule is set\. Nothing was run\."):
        schedule_entries(found)
