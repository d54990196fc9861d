"""Run each command in a process, without the time for its imports.

A process that has imported the program forks a child for each command.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import select
import shlex
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from pydantic import BaseModel

#: Seconds after which a command counts as stuck and is killed.
STUCK = int(os.environ.get("AUDIENCE_SYNC_STUCK", "60"))
NOT_BEGUN = 70
#: Modules of others that the program imports late.
LATE = ("alembic.command", "duckdb", "psycopg", "requests", "rich.progress", "rich.table")
#: The bytes of the longest request of a script.
REQUEST_BYTES = 1_000_000
HERE = Path(__file__).parent


class Started:
    """A command at work in a process of its own, with the methods of ``subprocess.Popen``."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(connection.recv(100))
        self.returncode: int | None = None

    def wait(self, timeout: float = STUCK) -> int:
        if self.returncode is None:
            self._connection.settimeout(timeout)
            self.returncode = int(self._connection.recv(100))
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        with suppress(BlockingIOError):
            return self.wait(timeout=0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """The process that forks. ``python``: the interpreter of the environment whose program it runs."""

    def __init__(self, python: str = sys.executable) -> None:
        self._folder = TemporaryDirectory()
        self._out, self._err, self._address = (Path(self._folder.name) / name for name in ("out", "err", "address"))
        self._in_turn = Lock()
        self._server = subprocess.Popen(
            [python, "-m", "forks", self._address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )

    def run(
        self,
        arguments: tuple[str, ...],
        *,
        folder: Path,
        environment: Mapping[str, str],
        prepare: tuple[Any, ...] | None = None,
        stdin: str = os.devnull,
        out: str | Path | None = None,
        err: str | Path | None = None,
    ) -> tuple[int, bytes, bytes]:
        """The exit code (minus the signal for a killed command), and the bytes of stdout and stderr.

        ``prepare``: a function, as `module:name`, and its arguments; it is called in the child before the command.
        ``stdin``: a file or a terminal. ``out``, ``err``: one that gets stdout or stderr, or both of them in turn.
        """
        files = [stdin, str(out or self._out), str(err or self._err)]
        request = [arguments, str(folder), dict(environment), prepare, files]
        with self._in_turn:
            code = self._ask(json.dumps(request).encode())
            written, errors = self._out.read_bytes(), self._err.read_bytes()
        assert code != -signal.SIGALRM, f"{arguments} was stuck: {written!r} {errors!r}"
        assert code != NOT_BEGUN, f"{arguments} could not be begun: {errors!r}"
        return code, written, errors

    def _ask(self, request: bytes) -> int:
        """The exit code of the command that a request asks for."""
        for each in (self._out, self._err):
            each.write_bytes(b"")
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(request + b"\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the process that forks is gone"
        return int(answer)

    def start(
        self,
        arguments: tuple[str, ...],
        *,
        folder: Path,
        environment: Mapping[str, str],
        out: str | Path = os.devnull,
        err: str | Path = os.devnull,
    ) -> Started:
        """Start a command without waiting for its end."""
        self._wait_for_server()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(str(self._address))
        request = json.dumps([arguments, str(folder), dict(environment), None]).encode()
        with open(os.devnull) as nothing, open(out, "w") as answer, open(err, "w") as errors:
            socket.send_fds(connection, [request], [each.fileno() for each in (nothing, answer, errors)])
        return Started(connection)

    def _wait_for_server(self) -> None:
        """Wait until it listens."""
        while not self._address.exists():
            assert self._server.poll() is None, "the process that forks is gone"
            select.select([], [], [], 0.05)

    def install(self, folder: Path) -> None:
        """Write the command `audience-sync` into a folder, for the scripts of a shell. It passes a SIGTERM on."""
        self._wait_for_server()
        words = [sys.executable, "-S", "-E", str(HERE / "fork_client.py"), str(self._address)]
        script = folder / "audience-sync"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
        script.chmod(0o755)

    def close(self) -> None:
        self._server.terminate()
        self._server.communicate(timeout=STUCK)
        self._folder.cleanup()


@cache
def forks() -> Forks:
    """The process for all tests of this worker."""
    opened = Forks()
    atexit.register(opened.close)
    return opened


def serve(address: str) -> None:
    """Run the commands that stdin asks for, one after another, and those that connections ask for, beside them."""
    import audience_sync

    for module in pkgutil.walk_packages(audience_sync.__path__, "audience_sync."):
        # No command uses the integrations, whose orchestrators are in environments of their own.
        if not module.name.endswith("__main__") and ".integrations." not in module.name:
            importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    _build_validators(BaseModel)
    importlib.import_module("audience_sync.destinations.registry").destination_types()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"{address}.part")
    listening.listen()
    os.rename(f"{address}.part", address)  # whoever sees it can connect
    while True:
        asking, _, _ = select.select([sys.stdin, listening], [], [])
        if listening in asking:
            _run_beside(listening)
        if sys.stdin in asking:
            line = sys.stdin.readline()
            if not line:
                return
            print(_run_in_turn(*json.loads(line)), flush=True)


def _build_validators(model: type[BaseModel]) -> None:
    """Build those of all sections of the config, as each child would at their first use."""
    for each in model.__subclasses__():
        if each.__module__.startswith("audience_sync"):
            each.model_rebuild()
        _build_validators(each)


def _run_in_turn(
    arguments: list[str], folder: str, environment: dict[str, str], prepare: list[Any] | None, paths: list[str]
) -> int:
    stdin, out, err = paths
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY
    files = [os.open(stdin, os.O_RDONLY | os.O_NOCTTY), os.open(out, writing)]
    files.append(files[1] if err == out else os.open(err, writing))
    try:
        return _end_of(_fork(arguments, folder, environment, files, STUCK, prepare))
    finally:
        for each in set(files):
            os.close(each)


def _run_beside(listening: socket.socket) -> None:
    """Run a command with the files that come with its request. The answers are its process, and then its exit code."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:  # what ran before
            pass
    connection, _ = listening.accept()
    if os.fork():
        connection.close()
        return
    request, files, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 3)
    arguments, folder, environment, seconds = json.loads(request)
    child = _fork(arguments, folder, environment, files, seconds)
    connection.send(str(child).encode())
    code = _end_of(child)
    with suppress(OSError):  # nobody waits for it
        connection.send(str(code).encode())
    os._exit(0)


def _end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _fork(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    files: list[int],
    seconds: int | None,
    prepare: list[Any] | None = None,
) -> int:
    """Run the command in a child with these files as stdin, stdout and stderr, for at most so many seconds."""
    child = os.fork()
    if child:
        return child
    code = NOT_BEGUN
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        for each in set(files):
            os.close(each)
        # Each is open until the process ends. Those of the process that forks know its files.
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background disables it
        signal.alarm(seconds or 0)
        sys.argv = ["audience-sync", *arguments]
        if prepare:
            module, _, name = prepare[0].partition(":")
            getattr(importlib.import_module(module), name)(*prepare[1:])
        from audience_sync.cli import main

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):  # nobody reads it any longer
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
