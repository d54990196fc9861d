"""Of two real processes at one store only one writes and sends, whatever happened to the other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Project, Result, received, until
from conftest import NewUrl

from .interception import HoldingReceiver, a_project, can_write, configure, contents


@pytest.fixture
def first(project: Project, receiver: HoldingReceiver) -> Iterator[subprocess.Popen[bytes]]:
    """A run that waits for its first answer."""
    configure(project, receiver.url)
    project.environment["AUDIENCE_SYNC_LEASE_SECONDS"] = "4"
    with (project.folder / "said.txt").open("wb") as said:
        command = project.command(
            "sync",
        )
        process = subprocess.Popen(command, cwd=project.folder, env=project.environment, stdout=said, stderr=said)
    until(lambda: len(receiver.requests) == 1)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("command", [["sync"], ["seed", "vip"], ["retry"]], ids=lambda words: words[0])
def test_a_second_run_hears_who_is_at_work_since_when(
    project: Project, receiver: HoldingReceiver, first: subprocess.Popen[bytes], command: list[str]
) -> None:
    refused = project.run(*command)
    assert refused.code == 5
    assert f"Another run is in progress (process {first.pid} on {socket.gethostname()}, since 20" in refused.stderr
    receiver.release.set()
    assert first.wait(60) == 0
    assert len(received(receiver)) == 3


def test_nothing_is_copied_while_a_run_is_at_work(
    project: Project, receiver: HoldingReceiver, first: subprocess.Popen[bytes], database: str, new_url: NewUrl
) -> None:
    refused = project.run("db", "copy", new_url(database))
    assert (refused.code, f"process {first.pid} on" in refused.stderr) == (5, True)


def stop_between_transactions(process: subprocess.Popen[bytes], url: str) -> None:
    """SIGSTOP, but not while the lease is being renewed: that would hold the database's own lock."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        if not can_write(url):
            process.send_signal(signal.SIGCONT)
            return False
        return True

    until(stopped)


def test_a_stopped_process_that_was_replaced_neither_writes_nor_sends_when_it_wakes_up(
    project: Project, receiver: HoldingReceiver, first: subprocess.Popen[bytes], url: str
) -> None:
    stop_between_transactions(first, url)
    project.write_members("vip.csv", "ada", "bob", "dan")
    results: list[Result] = []

    def replaced() -> bool:
        results.append(project.sync())
        return results[-1].code != 5

    until(replaced)
    assert results[-1].code == 0, results[-1].stderr
    assert first.poll() is None
    before, sent = contents(url), len(receiver.requests)
    receiver.release.set()
    first.send_signal(signal.SIGCONT)
    assert first.wait(60) == 3
    said = (project.folder / "said.txt").read_text("utf-8")
    assert "this run lost its lock because it did not renew it in time" in said
    assert len(receiver.requests) == sent
    assert contents(url) == before
    belief = {message["userId"]: message["traits"]["vip"] for message in received(receiver)}
    # The first run may have sent to cyd: nobody knows of an answer that never came.
    assert belief == {"ada": True, "bob": True, "cyd": False, "dan": True}


def test_two_processes_that_upgrade_one_store_at_once_both_end_well(
    tmp_path: Path, database: str, new_url: NewUrl
) -> None:
    project = a_project(tmp_path, new_url(database))
    configure(project, "http://127.0.0.1:9")
    upgrades = [project.start("db", "upgrade") for _ in range(2)]
    assert [each.wait() for each in upgrades] == [0, 0]
    assert project.run("db", "current").code == 0
