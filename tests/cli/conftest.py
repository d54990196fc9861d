"""Make a project in a temporary folder, and run the command in a process, as people do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from destinations.receiver import Receiver, Reply
from forks import STUCK, Started, forks

#: One identify call: the user, and the properties that were sent.
Call = tuple[str, dict[str, Any]]

#: Segment's answer to an accepted batch.
ACCEPTED = Reply(body=b'{"success": true}')
#: The request arrives, the answer never does.
SILENCE = Reply(raw=b"", then="hang")
#: Variables that would change what a command does, or (without compiled modules) make it slow.
NOT_INHERITED = {"AUDIENCE_SYNC_CONFIG", "PYTHONDONTWRITEBYTECODE", "STATE_DIRECTORY"}
NEW_PROJECT = {
    "sources": {"shop": {"files": "."}},
    "destinations": {"log": {"type": "file", "path": "calls.jsonl"}},
}


@dataclass(frozen=True)
class Result:
    """The exit code and the output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    def audience(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.json["audiences"] if each["key"] == key)
        return found

    def destination(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.json["destinations"] if each["name"] == name)
        return found


def heed_interrupts() -> None:
    """Let a child process react to Ctrl-C: a shell that starts the tests in the background disables that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Project:
    """A folder with a config, its data, and (once it was synced) its store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "audience_sync.db"
        kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        self.environment: dict[str, str] = kept | {"XDG_STATE_HOME": str(folder / "state")}
        self._read: dict[str, int] = {}

    def configure(self, **parts: Any) -> None:
        """Write a config of these parts; the source `shop` is this folder, the destination `log` a file."""
        self.write("config.yaml", yaml.safe_dump({**NEW_PROJECT, **parts}, sort_keys=False, allow_unicode=True))

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def write_members(self, name: str, *users: str) -> Path:
        """Write a CSV file of user ids."""
        return self.write(name, "\n".join(["user_id", *users, ""]))

    def run(self, *arguments: str) -> Result:
        code, out, err = forks().run(arguments, folder=self.folder, environment=self.environment)
        return Result(code, out.decode(), err.decode())

    def run_afresh(self, *arguments: str) -> Result:
        """Run a command in a process that imports everything itself, so that a test can change its modules."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment, capture_output=True, timeout=STUCK
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str, stderr: Path | None = None) -> Started:
        """Start the command without waiting for its end. Its output is discarded; ``stderr``: a file for stderr."""
        return forks().start(arguments, folder=self.folder, environment=self.environment, err=stderr or os.devnull)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "audience_sync", *arguments]

    def sync(self, *arguments: str) -> Result:
        return self.run("sync", "--json", *arguments)

    def messages(self, file: str = "calls.jsonl") -> list[dict[str, Any]]:
        path = self.folder / file
        lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def sent(self, file: str = "calls.jsonl") -> list[Call]:
        """The identify calls in a `file` destination since the last call of this method, ordered by user."""
        found, before = self.messages(file), self._read.get(file, 0)
        self._read[file] = len(found)
        return sorted(((each["userId"], each["traits"]) for each in found[before:]), key=lambda call: call[0])

    def copy_to(self, folder: Path) -> Project:
        """The same project with its history. ``sent`` has the calls that it sends from now on."""
        copied = Project(shutil.copytree(self.folder, folder / "copy"))
        for file in copied.folder.glob("*.jsonl"):
            copied.sent(file.name)
        return copied

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Query the SQLite store."""
        with closing(sqlite3.connect(self.store)) as connection, connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can write to the SQLite store meanwhile."""
        with closing(sqlite3.connect(self.store, isolation_level=None)) as connection:
            connection.execute("begin immediate")
            yield


def received(receiver: Receiver) -> list[dict[str, Any]]:
    """The identify messages that arrived at a Segment-like receiver, in order of arrival."""
    return [message for request in receiver.requests for message in json.loads(request.body)["batch"]]


def calls(receiver: Receiver) -> list[Call]:
    """The same as identify calls, ordered by user."""
    return sorted(((each["userId"], each["traits"]) for each in received(receiver)), key=lambda call: call[0])


def segment(receiver: Receiver, **options: Any) -> dict[str, Any]:
    return {"type": "segment", "write_key": "a-write-key", "url": receiver.url, **options}


def until(condition: Callable[[], object]) -> None:
    """Wait until another process makes the condition true; fail after STUCK seconds."""
    deadline, pause = time.monotonic() + STUCK, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "nothing came"
        pause.wait(0.01)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty folder."""
    return Project(tmp_path)


def a_vip_project(folder: Path) -> Project:
    """A project with one audience, `vip`, of three members: ada, bob and cyd. There is no store yet."""
    project = Project(folder)
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    project.write_members("vip.csv", "ada", "bob", "cyd")
    return project


@pytest.fixture
def new_vip(tmp_path: Path) -> Project:
    """See ``a_vip_project``."""
    return a_vip_project(tmp_path)


@pytest.fixture
def vip(new_vip: Project, sqlite_schema: Path) -> Project:
    """The same with an empty store, which is copied, because creating one takes a second."""
    shutil.copy(sqlite_schema, new_vip.store)
    return new_vip


@pytest.fixture(scope="module")
def shared_vip(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Project:
    """Another one for each module, whose tests take copies of its history."""
    project = a_vip_project(tmp_path_factory.mktemp("shared"))
    shutil.copy(sqlite_schema, project.store)
    return project


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on loopback that accepts every batch."""
    with Receiver() as running:
        running.will_answer(ACCEPTED)
        yield running


@pytest.fixture
def other_receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.will_answer(ACCEPTED)
        yield running
