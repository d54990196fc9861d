"""A source that never ends fails its own entry only, in time."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
from sqlalchemy import make_url

from .conftest import Project

ENDLESS = "with recursive e(i) as (select 1 union all select i + 1 from e) select i as user_id from e where i < 0"
ENDLESS_FILES = "select range as user_id from range(1000000000000) where hash(range) = 1"
#: Rows come, one a second, and never end.
DRIP = "select pg_sleep(0.5)::text || i as user_id from generate_series(1, 100000) i"
MESSAGE = "source 'slow' took longer than 1s and was stopped. Nothing of it was used."


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A server on loopback that accepts connections and never answers: its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


class Relay:
    """Passes on what a server answers, and after ``most`` bytes stays connected and silent."""

    def __init__(self, target: str, most: int) -> None:
        self._target, self._most = target, most
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._opened: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, upstream = self._server.accept()[0], socket.socket(socket.AF_UNIX)
                self._opened += [client, upstream]
                upstream.connect(self._target)
                for one, other, most in ((client, upstream, None), (upstream, client, self._most)):
                    self._threads.append(threading.Thread(target=self._pass, args=(one, other, most)))
                    self._threads[-1].start()

    def _pass(self, one: socket.socket, other: socket.socket, most: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := one.recv(4096):
                passed += len(data)
                if most is None or passed <= most:
                    other.sendall(data)

    def close(self) -> None:
        for each in (self._server, *self._opened):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._server, *self._opened):
            each.close()


def _fails_alone(vip: Project, source: dict[str, str], **entry: str) -> None:
    vip.configure(
        sources={"shop": {"files": "."}, "slow": {**source, "timeout": "1s"}},
        audiences=[
            {"name": "Slow", "source": "slow", **entry},
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
        ],
    )
    result = vip.sync()
    assert result.code == 3
    assert result.audience("slow")["status"] == "failed"
    assert result.audience("slow")["error"].startswith(MESSAGE)
    assert vip.sent() == [("ada", {"vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]


def test_a_query_of_sqlite_is_stopped(vip: Project) -> None:
    _fails_alone(vip, {"database": "sqlite://"}, query=ENDLESS)


def test_a_query_over_files_is_stopped(vip: Project) -> None:
    _fails_alone(vip, {"files": "."}, query=ENDLESS_FILES)


def test_a_file_that_can_not_even_be_opened_in_time_is_left(vip: Project) -> None:
    os.mkfifo(vip.folder / "pipe.csv")  # as a network drive that is away: nothing ends the wait
    _fails_alone(vip, {"files": "."}, query="select user_id from read_csv('pipe.csv')")


def test_a_probe_is_stopped(vip: Project) -> None:
    _fails_alone(vip, {"database": "sqlite://"}, query="select 1 as user_id", probe=ENDLESS)


@pytest.mark.parametrize("query", ["select pg_sleep(3600)::text as user_id", DRIP], ids=["silence", "drip"])
def test_a_query_of_postgresql_is_cancelled(query: str, vip: Project, new_url: Callable[..., str]) -> None:
    _fails_alone(vip, {"database": new_url("postgresql")}, query=query)


def test_a_server_that_never_answers_is_left(vip: Project, silent_server: int) -> None:
    _fails_alone(vip, {"database": f"postgresql://ada@127.0.0.1:{silent_server}/db"}, query="select 1 as user_id")


def test_a_server_that_stops_answering_in_the_middle_of_an_answer_is_left(
    vip: Project, new_url: Callable[..., str]
) -> None:
    url = make_url(new_url("postgresql"))
    with closing(Relay(f"{url.query['host']}/.s.PGSQL.5432", most=100_000)) as relay:
        _fails_alone(
            vip,
            {"database": f"postgresql://{url.username}@127.0.0.1:{relay.port}/{url.database}?sslmode=disable"},
            query="select 'u' || i as user_id from generate_series(1, 1000000) i",
        )
