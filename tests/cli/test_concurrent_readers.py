"""Reading the store never disturbs a run, with any tool and for any time."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest
from destinations.receiver import Receiver

from .conftest import Project, calls, segment, until

#: What the report's process does: it is in the middle of reading until its stdin ends.
REPORT = """
import sqlite3, sys
with open(sys.argv[2], "w") as report:
    reading = sqlite3.connect(sys.argv[1])
    reading.execute("begin")
    for row in reading.execute("select * from membership_changes union all select * from membership_changes"):
        report.write(str(row))
        break
    print("reading", flush=True)
    sys.stdin.read()
    report.write(str(reading.execute("select count(*) from audience_members").fetchone()))
"""


@contextmanager
def by_python(project: Project) -> Iterator[None]:
    """A cursor in this process that was never read to its end."""
    with closing(sqlite3.connect(project.store, isolation_level=None)) as connection:
        connection.execute("begin")
        connection.execute("select * from audience_members").fetchone()
        yield


@contextmanager
def by_the_shell(project: Project) -> Iterator[None]:
    """SQLite's own program, in the middle of a transaction."""
    program = shutil.which("sqlite3")
    if program is None:
        pytest.skip("there is no sqlite3 program here")
    with talking([program, "-batch", str(project.store)]) as shell:
        ask(shell, "begin; select count(*) > 0 from audience_members;\n", "1")
        yield
        ask(shell, "select 'still here'; commit;\n", "still here")


@contextmanager
def by_a_report(project: Project) -> Iterator[None]:
    """Another process that writes a report of what it reads."""
    report = project.folder / "report.txt"
    with talking([sys.executable, "-c", REPORT, str(project.store), str(report)]) as process:
        ask(process, "", "reading")
        yield


@contextmanager
def talking(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield process
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def ask(process: subprocess.Popen[str], words: str, answer: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(words)
    process.stdin.flush()
    assert process.stdout.readline().strip() == answer


Reader = Callable[[Project], AbstractContextManager[None]]
READERS: list[Reader] = [by_python, by_the_shell, by_a_report]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_run_goes_on_beside_a_long_read_without_waiting(vip: Project, reader: Reader, receiver: Receiver) -> None:
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": segment(receiver)},
    )
    assert vip.sync().code == 0
    with reader(vip):
        for day, users in enumerate((["ada", "bob", "dan"], ["ada", "eve"]), 2):
            vip.write_members("vip.csv", *users)
            beside = vip.sync("--accept", "vip")
            assert (beside.code, beside.json["run"], beside.stderr) == (0, day, "")
            assert vip.run("history").stderr == ""
        assert vip.query("select count(*) from audience_members") == [(2,)]
    assert calls(receiver) == [
        ("ada", {"vip": True}),
        ("bob", {"vip": True}),
        ("bob", {"vip": False}),
        ("cyd", {"vip": True}),
        ("cyd", {"vip": False}),
        ("dan", {"vip": True}),
        ("dan", {"vip": False}),
        ("eve", {"vip": True}),
    ]


def test_what_was_read_stays_as_it_was_for_the_reader(vip: Project) -> None:
    vip.sync()
    with closing(sqlite3.connect(vip.store, isolation_level=None)) as reader:
        reader.execute("begin")
        assert reader.execute("select count(*) from audience_members").fetchone() == (3,)
        vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
        assert vip.sync().code == 0
        assert reader.execute("select count(*) from audience_members").fetchone() == (3,)
        reader.execute("commit")
        assert reader.execute("select count(*) from audience_members").fetchone() == (4,)


def test_nothing_is_left_beside_the_store_when_nobody_has_it_open(vip: Project) -> None:
    vip.sync()
    with by_python(vip):
        vip.write_members("vip.csv", "ada", "bob")
        vip.sync()
        assert (vip.folder / "audience_sync.db-wal").exists()
    assert sorted(each.name for each in vip.folder.glob("audience_sync.db*")) == ["audience_sync.db"]
    assert vip.query("select count(*) from audience_members") == [(2,)]


class TestAStoreOfAnEarlierVersion:
    """It has a rollback journal, which can only be left while nobody reads."""

    def test_gets_a_write_ahead_log_by_its_next_run(self, vip: Project) -> None:
        vip.query("pragma journal_mode = delete")
        vip.sync()
        assert vip.query("pragma journal_mode") == [("wal",)]

    def test_that_is_read_is_waited_for_and_the_run_says_so_within_two_seconds(self, vip: Project) -> None:
        vip.query("pragma journal_mode = delete")
        said = vip.folder / "said.txt"
        with closing(sqlite3.connect(vip.store, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select * from sync_runs").fetchall()
            began = time.monotonic()
            run = vip.start("sync", stderr=said)
            until(lambda: "Waiting for the store: another program is reading it." in said.read_text())
            waited = time.monotonic() - began
            reader.execute("commit")
            assert run.wait(60) == 0
        assert waited < 2 + 4  # the start of the process, on a busy machine
        assert said.read_text().count("Waiting for the store") == 1
        assert len(vip.sent()) == 3
        assert vip.sync().code == 0
        assert vip.query("pragma journal_mode") == [("wal",)]


def test_a_command_waits_for_another_that_writes_and_says_so(vip: Project) -> None:
    vip.sync()
    with closing(sqlite3.connect(vip.store, isolation_level=None)) as writer:
        writer.execute("begin immediate")
        said = vip.folder / "said.txt"
        run = vip.start("suppress", "ada", stderr=said)
        until(lambda: "Waiting for the store: another program is writing to it." in said.read_text())
        assert vip.run("history").code == 0
        writer.execute("rollback")
        assert run.wait(60) == 0


def test_erased_users_are_gone_from_the_log_too(vip: Project) -> None:
    vip.write_members("vip.csv", "ada", "erase-me-please")
    vip.sync()
    assert vip.run("erase", "erase-me-please").code == 0
    left = b"".join(each.read_bytes() for each in vip.folder.glob("audience_sync.db*"))
    assert b"erase-me-please" not in left
    assert vip.query("pragma journal_mode") == [("wal",)]


def test_a_backup_is_taken_beside_a_reader_and_opens_by_itself(vip: Project) -> None:
    vip.sync()
    with by_python(vip):
        vip.write_members("vip.csv", "ada", "bob")
        vip.sync()
        assert vip.run("db", "backup", "copy.db").code == 0
    with closing(sqlite3.connect(vip.folder / "copy.db")) as copy:
        assert copy.execute("select count(*) from audience_members").fetchone() == (2,)
    assert vip.run("db", "check").code == 0


def test_check_says_how_the_journal_is_kept(vip: Project) -> None:
    vip.sync()
    assert f"SQLite {sqlite3.sqlite_version} (write-ahead log)" in " ".join(vip.run("check").stdout.split())
