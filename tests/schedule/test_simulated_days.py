"""Days of schedules in fast-forward, over the night on which the clocks change: real runs, kills, outages, downtimes.

One day in the tests; a week, and other chances:

    AUDIENCE_SYNC_DAYS=7 AUDIENCE_SYNC_SEED=3 pytest tests/schedule/test_simulated_days.py
"""

from __future__ import annotations

import csv
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import NewUrl
from forks import forks
from model.commands import KILLED, POINTS
from model.receiver import FAULTS, Receivers
from sqlalchemy import text

from audience_sync.config.sections.guard import Schedule
from audience_sync.schedule.times import schedule_name, times_after
from audience_sync.store.connection.engine import Store

BERLIN = "Europe/Berlin"
#: The clocks go back in the night to the 25th.
BEGIN = datetime(2026, 10, 24, 12, 10, tzinfo=UTC)
DAYS = int(os.environ.get("AUDIENCE_SYNC_DAYS", "1"))
USERS = tuple(f"user-{number}" for number in range(12))
#: By audience; `vip` and the computed traits have the config's.
SCHEDULES = {
    "vip": Schedule(cron="*/40 * * * *", timezone=BERLIN),
    "churn": Schedule(cron="30 2 * * *", timezone=BERLIN),
    "buyers": Schedule(every=timedelta(minutes=90), timezone=BERLIN),
}


class Week:
    """What the sources say changes at every step; ``moments``: when a scheduler looked, and for what it was time."""

    def __init__(self, folder: Path, store: str, chance: random.Random) -> None:
        self.folder, self.store, self.chance = folder, store, chance
        self.receivers = Receivers("segment", "webhook")
        self.members: dict[str, set[str]] = {key: set(USERS[:6]) for key in SCHEDULES}
        self.kills = self.outages = 0
        self._configure()

    def _configure(self) -> None:
        options = {"batch_size": 4, "concurrency": 2, "give_up_after": "200ms"}
        url = self.receivers.url
        config = {
            "store": self.store,
            "sources": {"shop": {"files": "."}},
            "audiences": [{"name": key, "source": "shop", "file": f"{key}.csv", **_own(key)} for key in SCHEDULES],
            "schedule": _written(SCHEDULES["vip"]),
            "guard": {"max_removed": "100%", "max_added": 100},
            "destinations": {
                "segment": {"type": "segment", "write_key": "a-key", "url": f"{url}/segment", **options},
                "webhook": {"type": "webhook", "url": f"{url}/webhook/hook", "body": "batch", **options},
            },
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")

    def change(self) -> None:
        for key, members in self.members.items():
            self.members[key] = members ^ set(self.chance.sample(USERS[1:], 2)) | {USERS[0]}  # never empty
            with (self.folder / f"{key}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([["user_id"], *([user] for user in sorted(self.members[key]))])

    def look(self, moment: datetime, *, smoothly: bool = False) -> None:
        """A scheduler begins at this moment, does what is due, and is killed perhaps."""
        crash = None
        if not smoothly and self.chance.random() < 0.25:
            crash = (self.chance.choice(sorted(POINTS)), self.chance.randrange(1, 3))
        if not smoothly and self.chance.random() < 0.2:
            self.outages += 1
            for receiver in self.receivers.each.values():
                receiver.fault, receiver.spared = self.chance.choice(sorted(FAULTS)), self.chance.randrange(2)
        environment = {**os.environ, "AUDIENCE_SYNC_LEASE_SECONDS": "1"}
        prepare = ("schedule.tick:turn", moment.isoformat(), crash)
        code, _, err = forks().run((), folder=self.folder, environment=environment, prepare=prepare)
        assert code in (0, KILLED), err.decode()
        self.kills += code == KILLED
        for receiver in self.receivers.each.values():
            receiver.heal()

    def query(self, statement: str) -> list[Any]:
        store = Store(self.store)
        try:
            with store.reading() as connection:
                return list(connection.execute(text(statement)).all())
        finally:
            store.close()


def _written(schedule: Schedule) -> dict[str, Any]:
    return {"cron": schedule.cron, "timezone": schedule.timezone} if schedule.cron else {"every": "90m"}


def _own(key: str) -> dict[str, Any]:
    return {} if key == "vip" else {"schedule": _written(SCHEDULES[key])}


def expected(schedule: Schedule, begin: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda each: each <= end, times_after(schedule, begin)))


@pytest.fixture
def week(tmp_path: Path, new_url: NewUrl, database: str) -> Iterator[Week]:
    chance = random.Random(int(os.environ.get("AUDIENCE_SYNC_SEED", "1")))
    opened = Week(tmp_path, new_url(database, with_schema=True), chance)
    yield opened
    opened.receivers.close()


def test_every_time_has_one_run_or_an_explanation_and_destinations_end_right(week: Week) -> None:
    end = BEGIN + timedelta(days=DAYS)
    moments = sorted({each for schedule in SCHEDULES.values() for each in expected(schedule, BEGIN, end)})
    week.change()
    week.look(BEGIN, smoothly=True)
    down_until = BEGIN
    for moment in moments:
        week.change()
        if moment >= down_until:
            week.look(moment + timedelta(seconds=week.chance.random()))
        if week.chance.random() < 0.05:
            down_until = moment + timedelta(hours=week.chance.randrange(1, 8))
    week.change()
    last = max(end, down_until) + timedelta(days=1, hours=1)
    week.look(last, smoothly=True)
    assert week.kills > DAYS
    assert week.outages > DAYS

    for schedule in SCHEDULES.values():
        _explained(week, schedule, last)
    ran = "select r.id from runs r where r.command = 'schedule' and r.status in ('succeeded', 'partial')"
    assert week.query(f"{ran} and not exists (select 1 from schedule_slots s where s.run_id = r.id)") == []
    for receiver in week.receivers.each.values():
        assert receiver.belief.wrong == []
        believed = {key: {user for user in USERS if _is_member_there(receiver, user, key)} for key in SCHEDULES}
        assert believed == week.members


def _explained(week: Week, schedule: Schedule, last: datetime) -> None:
    """A time has a run of its own that ended, or a later one says that it makes up for it."""
    rows = week.query(
        "select due_at, missed, missed_since, ended_at from schedule_slots "
        f"where schedule = '{schedule_name(schedule)}' and run_id is not null order by due_at"
    )
    found = [(_moment(row[0]), row[1], row[2] and _moment(row[2]), row[3] is not None) for row in rows]
    of_their_own = {due for due, *_, ended in found if ended}
    made_up_for = [(since, due) for due, missed, since, ended in found if missed and ended]
    for each in expected(schedule, BEGIN, last):
        is_late = any(since <= each < due for since, due in made_up_for)
        assert (each in of_their_own) != is_late, f"{schedule_name(schedule)} at {each}: run for twice, or not at all"


def _moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_member_there(receiver: Any, user: str, key: str) -> bool:
    return receiver.belief.users.get(user, {}).get(key) is True
