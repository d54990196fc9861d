"""After a kill at a named instant the next run continues, loses nothing, and every repeat is recognisable."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import pytest
from cli.conftest import Project, received, until
from conftest import NewUrl
from forks import Started
from old_stores import load_schema_0022

from audience_sync.store.connection.engine import Store

from .interception import HoldingReceiver, configure, count_rows, nothing_commits, nothing_is_written

EVERYONE = ["ada", "bob", "cyd"]


def kill(process: Started) -> None:
    process.kill()
    assert process.wait(60) == -9


def believed(receiver: HoldingReceiver) -> dict[str, dict[str, Any]]:
    """What the receiver believes; a repeat carries the id and the content it had."""
    bodies: dict[str, dict[str, Any]] = {}
    users: dict[str, dict[str, Any]] = {}
    for message in received(receiver):
        assert bodies.setdefault(message["messageId"], message) == message
        users.setdefault(message["userId"], {}).update(message["traits"])
    return users


def ids(receiver: HoldingReceiver) -> list[str]:
    return [message["messageId"] for message in received(receiver)]


@pytest.mark.parametrize("command", [["sync"], ["seed", "vip"], ["resync"]], ids=lambda words: words[0])
def test_inside_a_batch(project: Project, receiver: HoldingReceiver, command: list[str]) -> None:
    configure(project, receiver.url, initial="manual" if command[0] == "seed" else "all")
    process = project.start(*command)
    until(lambda: len(receiver.requests) == 1)
    kill(process)
    receiver.release.set()
    assert project.run(*command).code == 0
    assert project.sync().code == 0
    assert believed(receiver) == {user: {"vip": True} for user in EVERYONE}
    repeats = 0 if command[0] == "resync" else 1  # a resync is a change of the run that wants it
    assert len(ids(receiver)) - len(set(ids(receiver))) == repeats


def test_between_an_answer_and_the_position(project: Project, receiver: HoldingReceiver, url: str) -> None:
    configure(project, receiver.url)
    said = project.folder / "said.txt"
    process = project.start("sync", stderr=said)
    until(lambda: len(receiver.requests) == 1)
    with nothing_is_written(url, said) as someone_waits:
        receiver.release.set()
        until(someone_waits)
        kill(process)
    assert project.sync().code == 0
    assert believed(receiver) == {user: {"vip": True} for user in EVERYONE}
    assert [message["userId"] for message in received(receiver)] == ["ada", *EVERYONE]
    assert len(set(ids(receiver))) == 3


def test_between_the_commit_and_the_first_request(project: Project, receiver: HoldingReceiver, url: str) -> None:
    receiver.release.set()
    with socket.socket() as deaf:  # takes connections and never reads
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        configure(project, f"http://127.0.0.1:{deaf.getsockname()[1]}")
        process = project.start("sync")
        until(lambda: count_rows(url, "members") == 3)
        kill(process)
    configure(project, receiver.url)
    assert project.sync().code == 0
    assert [(each["userId"], each["traits"]) for each in received(receiver)] == [(u, {"vip": True}) for u in EVERYONE]


def test_before_the_commit(project: Project, receiver: HoldingReceiver, url: str) -> None:
    """While it loads, compares or writes: the store is held just when the run wants to write."""
    receiver.release.set()
    configure(project, receiver.url)
    with nothing_commits(url) as someone_waits:
        process = project.start("sync")
        until(someone_waits)
        kill(process)
    assert receiver.requests == []
    assert project.sync().code == 0
    assert believed(receiver) == {user: {"vip": True} for user in EVERYONE}
    assert len(ids(receiver)) == 3


def test_while_a_source_is_read(
    project: Project, receiver: HoldingReceiver, url: str, database: str, new_url: NewUrl
) -> None:
    receiver.release.set()
    configure(project, receiver.url)
    config = (project.folder / "config.yaml").read_text("utf-8")
    source = Store(new_url(database))
    with source.writing() as connection:
        connection.exec_driver_sql("create table vip (user_id text)")
        connection.exec_driver_sql("insert into vip values ('ada'), ('bob'), ('cyd')")
    project.environment["SOURCE"] = source.url.render_as_string(hide_password=False)
    read = config.replace("files: .", "database: ${SOURCE}").replace("file: vip.csv", "query: select user_id from vip")
    project.write("config.yaml", read)
    locks = {"sqlite": "begin exclusive", "postgresql": "lock table vip in access exclusive mode"}
    with closing(source.engine.raw_connection()) as connection:
        connection.cursor().execute(locks[database])
        process = project.start("sync")
        until(lambda: count_rows(url, "runs") == 1)
        kill(process)
        connection.rollback()
    source.close()
    assert receiver.requests == []
    assert project.sync().code == 0
    assert believed(receiver) == {user: {"vip": True} for user in EVERYONE}


def test_during_a_migration(project: Project, receiver: HoldingReceiver, database: str, new_url: NewUrl) -> None:
    """The migration starts again, and what was pending is sent once."""
    old = new_url(database)
    load_schema_0022(old)
    receiver.release.set()
    configure(project, receiver.url)
    project.write("config.yaml", (project.folder / "config.yaml").read_text("utf-8").replace("segment:", "late:"))
    project.write_members("vip.csv", "bob", "cyd", "dan", "fay", "gus", "hal")
    project.environment["STORE"] = old
    with nothing_commits(old) as someone_waits:
        process = project.start("db", "upgrade")
        until(someone_waits)
        kill(process)
    assert count_rows(old, "feeds") == 6
    assert project.sync("--upgrade").code == 0
    assert project.sync().code == 0
    assert [(each["userId"], each["messageId"]) for each in received(receiver)] == [
        ("hal", "89287344378dca13c5969b6eb950468e")
    ]


def test_during_a_copy(project: Project, receiver: HoldingReceiver, url: str, database: str, new_url: NewUrl) -> None:
    receiver.release.set()
    configure(project, receiver.url)
    assert project.sync().code == 0
    target = new_url(database)
    project.environment["STORE"] = target
    assert project.run("db", "upgrade").code == 0
    project.environment["STORE"] = url
    with nothing_commits(target) as someone_waits:
        process = project.start("db", "copy", target)
        until(someone_waits)
        kill(process)
    assert count_rows(target, "runs") == 0
    project.write_members("vip.csv", "ada", "bob", "dan")
    assert project.sync().code == 0
    assert project.run("db", "copy", target).code == 0
    project.environment["STORE"] = target
    sent = len(received(receiver))
    assert project.sync().code == 0
    assert len(received(receiver)) == sent == 5
    expected = {"ada": True, "bob": True, "cyd": False, "dan": True}
    assert believed(receiver) == {user: {"vip": sent} for user, sent in expected.items()}
