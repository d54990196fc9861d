"""A run survives its database going away for a while, in the middle. For a minute:

AUDIENCE_SYNC_AWAY=60 pytest tests/crash/test_database_restarts.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cli.conftest import ACCEPTED, Project, Result, calls, received, segment, until
from conftest import PostgreSQL, a_server
from destinations.receiver import Receiver, Reply
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

USERS = [f"user-{number:03d}" for number in range(120)]
#: Seconds without a database; a lease of this run's is shorter, and nobody else is there to take it.
AWAY = int(os.environ.get("AUDIENCE_SYNC_AWAY", "6"))


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """One of its own: others' tests need theirs."""
    with a_server() as started:
        yield started


@pytest.fixture(scope="module")
def databases(server: Any) -> PostgreSQL:
    return PostgreSQL(server.get_uri())


@pytest.fixture
def project(tmp_path: Any, databases: PostgreSQL, receiver: Receiver) -> Project:
    project = Project(tmp_path)
    project.environment |= {"STORE": databases.create(), "AUDIENCE_SYNC_LEASE_SECONDS": "4"}
    project.configure(
        store="${STORE}",
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"seg": segment(receiver, batch_size=1, concurrency=2)},
    )
    project.write_members("vip.csv", *USERS)
    assert project.run("db", "upgrade").code == 0
    return project


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.will_answer(ACCEPTED)
        yield running


def sync(project: Project) -> Result:
    """A run that may take as long as the database is away."""
    command = project.command("sync", "--json")
    done = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, timeout=AWAY + 60)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_the_run_waits_and_goes_on(project: Project, receiver: Receiver, server: Any, how: int) -> None:
    """SIGINT ends every connection, SIGQUIT at once and without a word."""
    ended: list[Result] = []
    run = threading.Thread(target=lambda: ended.append(sync(project)))
    run.start()
    until(lambda: len(receiver.requests) > 20)
    process = server.get_postmaster_info().process
    process.send_signal(how)
    process.wait(30)
    time.sleep(AWAY)
    server.ensure_postgres_running()
    run.join(AWAY + 60)
    assert ended[0].code == 0, ended[0].stderr
    assert ended[0].destination("seg")["delivered"] == len(USERS)
    assert calls(receiver)[0][1] == {"vip": True}
    assert {message["userId"] for message in received(receiver)} == set(USERS)
    ids = [message["messageId"] for message in received(receiver)]
    assert len(ids) == len(set(ids)), "something was sent again"
    assert project.run_afresh("sync", "--json").destination("seg")["delivered"] == 0
    found = project.run_afresh("history", "--json").json["runs"]
    assert [each["status"] for each in found] == ["succeeded", "succeeded"]


def test_connections_may_be_cut_at_any_moment(project: Project, receiver: Receiver) -> None:
    """What was begun on one is done again on another, unless it was kept."""
    receiver.will_answer(Reply(body=b'{"success": true}', seconds_between_bytes=0.0005))
    ended: list[Result] = []
    run = threading.Thread(target=lambda: ended.append(sync(project)))
    run.start()
    until(lambda: bool(receiver.requests))
    engine = create_engine(project.environment["STORE"], isolation_level="AUTOCOMMIT", poolclass=NullPool)
    others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    cut = 0
    while run.is_alive():
        with engine.connect() as connection:
            cut += len(connection.exec_driver_sql(f"select pg_terminate_backend(pid) {others}").all())
        run.join(0.15)
    assert cut > 3
    assert ended[0].code == 0, ended[0].stderr
    assert {message["userId"] for message in received(receiver)} == set(USERS)
    ids = [message["messageId"] for message in received(receiver)]
    assert len(ids) == len(set(ids)), "something was sent again"
    assert project.run_afresh("sync", "--json").destination("seg")["delivered"] == 0
    with engine.connect() as connection:
        requests = connection.exec_driver_sql(
            "select count(*), count(distinct through_user) from delivery_requests"
        ).one()
    assert tuple(requests) == (len(USERS), len(USERS)), "an answer was noted twice"


def test_one_that_was_never_there_is_said_at_once(project: Project, server: Any) -> None:
    process = server.get_postmaster_info().process
    process.send_signal(signal.SIGINT)
    process.wait(30)
    began = time.monotonic()
    ended = project.run_afresh("sync")
    assert ended.code == 3
    assert time.monotonic() - began < 30
    server.ensure_postgres_running()
