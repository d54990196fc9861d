"""The scheduler runs what is due, once, and continues whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply
from forks import Started, forks

from .conftest import SILENCE, Project, segment, until

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
RARE = {"name": "Rare", "source": "shop", "file": "rare.csv", "schedule": {"cron": "0 0 29 2 *"}}
OFTEN = {"every": "1s"}
Start = Callable[..., "Staying"]


class Staying:
    """A scheduler at work. Its output goes into files. ``afresh``: in a process that imports everything itself."""

    def __init__(self, project: Project, name: str, *, afresh: bool = False) -> None:
        self._out, self._err = (project.folder / f"{name}.{kind}" for kind in ("out", "err"))
        arguments, environment = ("schedule", "--json"), project.environment
        self.process: Started | subprocess.Popen[bytes]
        if afresh:
            with self._out.open("w") as out, self._err.open("w") as err:
                command = project.command(*arguments)
                self.process = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=out, stderr=err)
        else:
            self.process = forks().start(
                arguments, folder=project.folder, environment=environment, out=self._out, err=self._err
            )

    @property
    def log(self) -> str:
        return self._err.read_text("utf-8")

    @property
    def runs(self) -> int:
        return len(self._out.read_text("utf-8").splitlines())

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Returns the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - began


@pytest.fixture
def start(new_vip: Project) -> Iterator[Start]:
    started: list[Staying] = []

    def begin(name: str = "scheduler", *, afresh: bool = False) -> Staying:
        started.append(Staying(new_vip, name, afresh=afresh))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.wait()


def test_runs_what_is_due_and_ends_on_a_signal(new_vip: Project, start: Start) -> None:
    new_vip.configure(audiences=[VIP, RARE], schedule=OFTEN)
    new_vip.write_members("rare.csv", "ada")
    scheduler = start()
    until(lambda: scheduler.runs >= 2)
    whole = new_vip.write_members("vip.csv.next", "ada", "bob")
    whole.rename(new_vip.folder / "vip.csv")  # a run at work must not find half of it
    until(lambda: len(new_vip.messages()) == 4)
    assert scheduler.stop() < 10
    assert scheduler.process.returncode == 0
    assert "Stopped." in scheduler.log
    rows = new_vip.query("select schedule, due_at, status from scheduled_runs order by due_at")
    assert {(schedule, status) for schedule, _, status in rows[:-1]} == {("every 1s", "succeeded")}, rows
    assert len({at for _, at, _ in rows}) == len(rows)
    assert [call for call in new_vip.sent() if "rare" in call[1]] == []  # whose time has not come
    assert new_vip.query("select distinct audience_key from audience_syncs") == [("vip",)]


def test_lists_what_comes_next(new_vip: Project) -> None:
    new_vip.configure(audiences=[VIP, RARE], schedule={"cron": "30 2 * * *", "timezone": "Europe/Berlin"})
    found = new_vip.run("schedule", "--list", "--json").json
    assert [(each["schedule"], each["audiences"], each["last"]) for each in found] == [
        ("cron 30 2 * * * Europe/Berlin", ["vip"], None),
        ("cron 0 0 29 2 * Europe/Berlin", ["rare"], None),
    ]
    assert all(len(each["next"]) == 3 for each in found)
    table = new_vip.run("schedule", "--list").stdout
    assert "vip, computed traits" in table
    assert " 02:30 CE" in table
    assert not new_vip.store.exists()


def test_without_a_schedule_it_says_what_to_write(new_vip: Project) -> None:
    new_vip.configure(audiences=[VIP])
    ended = new_vip.run("schedule")
    assert ended.code == 2
    assert "schedule: {cron:" in ended.stderr


@pytest.mark.parametrize("never", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_a_day_that_never_comes_is_a_problem_of_the_config(new_vip: Project, never: str) -> None:
    new_vip.configure(audiences=[VIP], schedule={"cron": never})
    ended = new_vip.run("schedule", "--list")
    assert ended.code == 2
    assert "schedule.cron: no month has such a day" in ended.stderr


def test_what_was_missed_is_made_up_for_by_one_run(new_vip: Project, start: Start) -> None:
    new_vip.configure(audiences=[VIP], schedule={"every": "1h"})
    first = start()
    until(lambda: "next" in first.log)
    first.stop()
    assert first.runs == 0  # the hour had not come
    new_vip.query("update schedule_slots set due_at = datetime(due_at, '-5 hours') || '.000000'")
    again = start("again")
    until(lambda: again.runs == 1)
    assert "4 missed since" in again.log
    assert new_vip.query("select run, missed from scheduled_runs") == [(1, 4)]


def test_check_says_when_nothing_has_run_for_a_time(new_vip: Project) -> None:
    new_vip.configure(audiences=[VIP], schedule={"every": "1h"})
    first = new_vip.run("check")
    assert first.code == 0
    assert "once `audience-sync schedule` runs" in first.stdout
    new_vip.sync()
    values = "'every 1h', datetime('now', '{}') || '.000000', null, 0, null, datetime('now')"
    known = f"insert into schedule_slots values ({values})"
    new_vip.query(known.format("-10 seconds"))
    assert new_vip.run("check").code == 0
    new_vip.query("delete from schedule_slots")
    new_vip.query(known.format("-5 hours"))
    late = new_vip.run("check")
    assert late.code == 3
    assert "nothing has run for" in late.stdout


def test_another_config_counts_after_sighup_and_a_broken_one_never(
    new_vip: Project, start: Start, receiver: Receiver
) -> None:
    notify = {"to": [receiver.url.replace("http://", "json://")]}
    receiver.will_answer(Reply())
    new_vip.configure(audiences=[VIP], schedule={"every": "1h"}, notify=notify)
    scheduler = start()
    until(lambda: "next" in scheduler.log)
    for _ in range(2):
        new_vip.configure(audiences=[VIP], schedule={"every": "often"}, notify=notify)
        scheduler.process.send_signal(signal.SIGHUP)
        until(lambda: "The scheduler keeps the previous config." in scheduler.log)
    assert "schedule.every" in scheduler.log
    new_vip.configure(audiences=[VIP], schedule=OFTEN, notify=notify)
    scheduler.process.send_signal(signal.SIGHUP)
    until(lambda: scheduler.runs >= 1)
    assert scheduler.stop() < 10
    sent = [json.loads(request.body)["message"] for request in receiver.requests]
    assert sent[0].startswith(
        "FAILED config: config.yaml was reloaded and has 1 problem. The scheduler keeps the previous config."
    )
    assert sent[1:] == ["RECOVERED config (was: failed)"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_second_signal_does_not_make_it_later(
    new_vip: Project, start: Start, receiver: Receiver, number: int
) -> None:
    receiver.will_answer(SILENCE)
    new_vip.configure(audiences=[VIP], schedule=OFTEN, destinations={"seg": segment(receiver, timeout="60s")})
    scheduler = start()
    until(lambda: receiver.requests)
    scheduler.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert scheduler.stop(number) < 10


SLOW = "select cast(sum(a.range * b.range) as varchar) as user_id from range(300000) a, range(3000000) b"


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0])
def test_a_query_does_not_keep_it_from_stopping(new_vip: Project, start: Start, seconds: float) -> None:
    new_vip.configure(audiences=[{"name": "Slow", "source": "shop", "query": SLOW}], schedule=OFTEN)
    scheduler = start()
    until(lambda: "due at" in scheduler.log)
    time.sleep(seconds)
    assert scheduler.stop() < 10
    assert "could not be carried out" not in scheduler.log
    assert new_vip.query("select count(*) from schedule_slots where run_id is not null and ended_at is not null") == [
        (0,)
    ]


def test_a_run_by_hand_is_stopped_in_a_query_too(new_vip: Project) -> None:
    new_vip.configure(audiences=[{"name": "Slow", "source": "shop", "query": SLOW}])
    process = new_vip.start("sync")
    until(lambda: new_vip.store.exists())
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130


@pytest.mark.parametrize("where", ["> /dev/full", ">&-", ">&- 2>&-", "| head -1 > first"])
def test_goes_on_where_nobody_hears_of_its_runs(new_vip: Project, where: str) -> None:
    new_vip.configure(audiences=[VIP], schedule=OFTEN)
    command = f"{' '.join(new_vip.command('schedule'))} {where}"
    shell = subprocess.Popen(["sh", "-c", command], cwd=new_vip.folder, env=new_vip.environment, start_new_session=True)
    until(lambda: new_vip.store.exists() and len(_ended(new_vip)) >= 3)
    os.killpg(shell.pid, signal.SIGTERM)
    shell.wait(20)
    assert set(_ended(new_vip)[:3]) == {"succeeded"}


def _ended(project: Project) -> list[str]:
    with suppress(sqlite3.OperationalError):  # it is only being made
        return [status for (status,) in project.query("select status from sync_runs where seconds is not null")]
    return []


def test_a_hangup_before_it_is_ready_does_not_end_it(new_vip: Project, start: Start) -> None:
    new_vip.configure(audiences=[VIP], schedule=OFTEN)
    scheduler = start(afresh=True)
    time.sleep(0.3)  # Python itself has begun
    while "next" not in scheduler.log:
        scheduler.process.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    until(lambda: scheduler.runs >= 1)
    assert scheduler.stop() < 10


def test_a_request_without_an_answer_does_not_keep_it_from_stopping(
    new_vip: Project, start: Start, receiver: Receiver
) -> None:
    receiver.will_answer(SILENCE)
    new_vip.configure(audiences=[VIP], schedule=OFTEN, destinations={"seg": segment(receiver, timeout="60s")})
    scheduler = start()
    until(lambda: receiver.requests)
    assert scheduler.stop() < 10
    assert "Stopped at once" in scheduler.log
    receiver.will_answer(Reply(body=b'{"success": true}'))
    again = start("again")
    until(lambda: again.runs >= 1)
    ((first,), *others) = new_vip.query("select status from sync_runs order by run")
    assert first == "interrupted"
    assert ("succeeded",) in others


def test_goes_on_after_a_run_that_could_not_be_carried_out(new_vip: Project, start: Start) -> None:
    new_vip.configure(audiences=[VIP], schedule=OFTEN)
    scheduler = start()
    until(lambda: scheduler.runs >= 1)
    away = new_vip.store.rename(new_vip.folder / "away.db")
    new_vip.store.mkdir()
    until(lambda: "could not be carried out" in scheduler.log)
    new_vip.store.rmdir()
    away.rename(new_vip.store)
    before = scheduler.runs
    until(lambda: scheduler.runs > before)


class TestTwoSchedulers:
    @pytest.fixture
    def shared(self, new_vip: Project, postgresql: PostgreSQL) -> Project:
        new_vip.environment |= {"STORE": postgresql.create(), "AUDIENCE_SYNC_LEASE_SECONDS": "3"}
        new_vip.configure(audiences=[VIP], schedule=OFTEN, store="${STORE}")
        assert new_vip.run("db", "upgrade").code == 0
        return new_vip

    def test_run_each_time_once_and_one_takes_over_from_the_other(self, shared: Project, start: Start) -> None:
        one, other = start("one"), start("other")
        until(lambda: one.runs + other.runs >= 6)
        one.process.kill()
        one.process.wait()
        before = other.runs
        until(lambda: other.runs >= before + 3)
        other.stop()
        found = shared.run("history", "--limit", "1000", "--json").json
        ended = [each for each in found["runs"] if each["status"] == "succeeded"]
        assert len(ended) - one.runs - other.runs in (0, 1)  # the last one may have been killed before it said so
        times = {each["started_at"][:19] for each in ended}
        assert len(times) >= len(ended) - 1  # a late one may come in the second of the next
        assert len(shared.messages()) == 3

    def test_what_a_dead_one_was_at_is_done_again_by_the_other(
        self, shared: Project, start: Start, receiver: Receiver
    ) -> None:
        receiver.will_answer(SILENCE)
        sent = segment(receiver, timeout="60s")
        shared.configure(audiences=[VIP], schedule={"every": "1h"}, store="${STORE}", destinations={"seg": sent})
        one = start("one")
        until(lambda: "next" in one.log)
        _make_due(shared)
        one.process.send_signal(signal.SIGHUP)
        until(lambda: receiver.requests)
        other = start("other")
        until(lambda: "next" in other.log)
        receiver.will_answer(Reply(body=b'{"success": true}'))
        one.process.kill()
        until(lambda: other.runs == 1)
        assert one.runs == 0


def _make_due(project: Project) -> None:
    """As if the schedule were known for two hours."""
    from audience_sync.store.connection.engine import Store

    store = Store(project.environment["STORE"])
    with store.writing() as connection:
        connection.exec_driver_sql("update schedule_slots set due_at = due_at - interval '2 hours'")
    store.close()
