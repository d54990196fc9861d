"""Run each command in a process, without the time for its imports.

A process that has imported the program forks a child for each command.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel

#: Seconds after which a command counts as stuck and is killed.
STUCK = 60
NOT_BEGUN = 70
#: Modules of others that the program imports late.
LATE = ("alembic.command", "duckdb", "psycopg", "requests", "rich.progress", "rich.table")


class Forks:
    """The process that forks. ``python``: the interpreter of the environment whose program it runs."""

    def __init__(self, python: str = sys.executable) -> None:
        here = Path(__file__).parent
        self._folder = TemporaryDirectory()
        self._out, self._err = (Path(self._folder.name) / name for name in ("out", "err"))
        self._server = subprocess.Popen(
            [python, "-m", "forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(here)},
        )

    def run(
        self,
        arguments: tuple[str, ...],
        *,
        folder: Path,
        environment: Mapping[str, str],
        prepare: tuple[Any, ...] | None = None,
        terminal: str | None = None,
    ) -> tuple[int, bytes, bytes]:
        """The exit code (minus the signal for a killed command), and the bytes of stdout and stderr.

        ``prepare``: a function, as `module:name`, and its arguments; it is called in the child before the command.
        ``terminal``: the name of a terminal that gets stdout.
        """
        self._out.write_bytes(b"")
        request = [arguments, str(folder), dict(environment), prepare, terminal or str(self._out), str(self._err)]
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the process that forks is gone"
        code, out, err = int(answer), self._out.read_bytes(), self._err.read_bytes()
        assert code != -signal.SIGALRM, f"{arguments} was stuck: {out!r} {err!r}"
        assert code != NOT_BEGUN, f"{arguments} could not be begun: {err!r}"
        return code, out, err

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


def serve() -> None:
    import audience_sync

    for module in pkgutil.walk_packages(audience_sync.__path__, "audience_sync."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    _build_validators(BaseModel)
    gc.collect()
    gc.freeze()  # a child looks at nothing of this, and shares its memory
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _carry_out(*request)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _build_validators(model: type[BaseModel]) -> None:
    """Build those of all sections of the config, as each child would at their first use."""
    for each in model.__subclasses__():
        if each.__module__.startswith("audience_sync"):
            each.model_rebuild()
        _build_validators(each)


def _carry_out(
    arguments: list[str], folder: str, environment: dict[str, str], prepare: list[Any] | None, out: str, err: str
) -> None:
    """Run the command in the child, and end it."""
    code = NOT_BEGUN
    try:
        for number, path, mode in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            opened = os.open(path, mode | (os.O_CREAT | os.O_TRUNC if number else 0))
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # until the process ends
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        signal.alarm(STUCK)
        sys.argv = ["audience-sync", *arguments]
        if prepare:
            module, _, name = prepare[0].partition(":")
            getattr(importlib.import_module(module), name)(*prepare[1:])
        from audience_sync.cli import main

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
