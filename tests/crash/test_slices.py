"""A backfill in slices of users may be killed within a slice and between two: the next run goes on from there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import ACCEPTED, Project, received, until
from conftest import PostgreSQL
from destinations.receiver import Reply

from audience_sync.store.connection.engine import Store
from audience_sync.store.tables.views import view_prefix

from .in_slices import TESTS, command
from .interception import STUCK, HoldingReceiver, configure
from .soak import soak

EVERYONE = ["ada", "bob", "cyd", "dan", "eve"]


class SlicedProject(Project):
    """Its commands make slices of two users, and kill themselves before the slice ``killed_before``."""

    killed_before = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment["PYTHONPATH"] = str(TESTS)

    def command(self, *arguments: str) -> list[str]:
        return command(2, *arguments, killed_before=self.killed_before)

    def run_until_killed(self, *arguments: str, before: int) -> None:
        self.killed_before = before
        with self.begun(*arguments) as process:
            assert process.wait(STUCK) == -9
        self.killed_before = 0

    def begun(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command in a process of its own, without waiting for its end."""
        command, nothing = self.command(*arguments), subprocess.DEVNULL
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=nothing, stderr=nothing)


class HoldsLater(HoldingReceiver):
    """Answers this number of requests, and then holds the answer to the next."""

    def __init__(self, answered: int) -> None:
        super().__init__()
        self.left = answered

    def next_reply(self) -> Reply:
        if self.left:
            self.left -= 1
            return ACCEPTED
        return super().next_reply()


@pytest.fixture
def project(tmp_path: Path, url: str) -> SlicedProject:
    folder = tmp_path / "project"
    folder.mkdir()
    project = SlicedProject(folder)
    project.environment["STORE"] = url
    project.write_members("vip.csv", *EVERYONE)
    return project


@pytest.fixture
def receiver() -> Iterator[HoldsLater]:
    with HoldsLater(answered=2) as running:
        yield running
        running.release.set()


def users(receiver: HoldingReceiver) -> list[str]:
    return [message["userId"] for message in received(receiver)]


@pytest.mark.parametrize("arguments", [["sync"], ["seed", "vip"], ["resync"]], ids=lambda words: words[0])
def test_between_two_slices(project: SlicedProject, receiver: HoldsLater, arguments: list[str]) -> None:
    receiver.release.set()
    configure(project, receiver.url, initial="manual" if arguments[0] == "seed" else "all")

    project.run_until_killed(*arguments, before=2)

    assert users(receiver) == ["ada", "bob"]
    assert project.run_afresh(*arguments).code == 0
    again = ["ada", "bob"] if arguments[0] == "resync" else []  # it sends everything with ids of its own
    assert users(receiver) == ["ada", "bob", *again, "cyd", "dan", "eve"]
    assert len({message["messageId"] for message in received(receiver)}) == len(users(receiver))
    assert project.run_afresh("sync").code == 0
    assert len(users(receiver)) == 5 + len(again)


def test_after_a_kill_between_two_slices_explain_and_the_view_know_what_was_sent(
    project: SlicedProject, receiver: HoldsLater, url: str
) -> None:
    receiver.release.set()
    configure(project, receiver.url)

    project.run_until_killed("sync", before=3)

    assert {user: values(project, user) for user in EVERYONE} == {
        "ada": (True, None),
        "bob": (True, None),
        "cyd": (True, None),
        "dan": (True, None),
        "eve": (None, True),
    }
    store = Store(url)
    with store.reading() as connection:
        query = f"select calls from {view_prefix(connection)}pending_calls"
        assert connection.exec_driver_sql(query).scalar_one() == 1
    store.close()


def values(project: Project, user: str) -> tuple[Any, Any]:
    """The value of the audience that `explain` says was sent to a user, and the one that is pending."""
    [[found]] = [each["properties"] for each in project.run("explain", user, "--json").json["destinations"]]
    return found["sent"] and found["sent"]["value"], found["due"] and found["due"]["value"]


def test_within_a_slice(project: SlicedProject, receiver: HoldsLater) -> None:
    """The request whose answer was lost comes again with the same id."""
    configure(project, receiver.url)
    with project.begun("sync") as process:
        until(lambda: len(receiver.requests) == 3)
        process.kill()
        assert process.wait(STUCK) == -9
    receiver.release.set()

    assert project.run_afresh("sync").code == 0

    assert users(receiver) == ["ada", "bob", "cyd", "cyd", "dan", "eve"]
    assert len({message["messageId"] for message in received(receiver)}) == 5


def test_a_run_without_slices_goes_on_from_one_with_slices(project: SlicedProject, receiver: HoldsLater) -> None:
    receiver.release.set()
    configure(project, receiver.url)

    project.run_until_killed("sync", before=2)

    assert project.run("sync").code == 0  # the ordinary command
    assert users(receiver) == EVERYONE


def test_a_run_in_slices_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    assert soak(tmp_path / "project", kills=5, seed=20261130, users=300, slice_users=40) == []


def test_nor_does_it_on_postgresql(tmp_path: Path, postgresql: PostgreSQL) -> None:
    assert (
        soak(tmp_path / "project", kills=5, seed=20261130, users=300, slice_users=40, new_store=postgresql.create) == []
    )
