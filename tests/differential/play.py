"""Play the days of a project with one version, and observe what each command did."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from forks import Forks

from .masks import mask_call, mask_output, mask_table, mask_times, to_milliseconds
from .project import RUN, Project
from .receiver import Receiver
from .store import EMPTY, StoreContent, Table, read_store


@dataclass(frozen=True)
class Observation:
    """What a command did. ``calls``: by destination, in the order in which it accepted them.

    ``views``, ``tables`` and ``snapshots``: the whole store after the command, at this ``revision`` of its schema.
    """

    command: str
    exit_code: int
    stdout: str
    stderr: str
    calls: Mapping[str, list[str]]
    views: Mapping[str, Table]
    tables: Mapping[str, Table]
    snapshots: list[str]
    revision: str


class Version:
    """A version of the program: the Python of the environment that has it, and maybe a planted bug. A context."""

    def __init__(self, python: Path | str = sys.executable, bug: str | None = None) -> None:
        self._bug = bug
        self._forks = Forks(str(Path(python).absolute()))

    def __enter__(self) -> Version:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.close()

    def run(self, command: list[str], folder: Path, number: int) -> tuple[int, str, str]:
        """Exit code, stdout and stderr. ``number``: of the command in the play; it decides what is random."""
        environment = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "TZ": "UTC", "LANG": "C.UTF-8"}
        prepare = ("differential.repeatable:prepare", number, self._bug)
        code, out, err = self._forks.run(tuple(command), folder=folder, environment=environment, prepare=prepare)
        return code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def play(version: Version, seed: int, days: int, folder: Path) -> Generator[Observation, None, None]:
    """Play the days in ``folder``, which is made."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    project, number, store = Project(seed), 0, EMPTY
    with ExitStack() as stack:
        receiver = Receiver()
        stack.callback(receiver.close)
        for day in range(1, days + 1):
            fault = project.next_day()
            for pattern in project.commands():
                command = [_number_of_run(word, store) for word in pattern]
                project.write(folder, f"http://127.0.0.1:{receiver.port}")
                receiver.begin(fault)
                written = _lines(folder / "calls.jsonl")
                code, out, err = version.run(command, folder, number)
                store = read_store(folder / "audience_sync.db")
                starts = _run_starts(store)
                calls = {**receiver.calls, "log": map(json.loads, _lines(folder / "calls.jsonl")[len(written) :])}
                yield Observation(
                    command=f"day {day}, crm {fault}: {' '.join(command)}",
                    exit_code=code,
                    stdout=mask_output(out, folder=str(folder), port=receiver.port),
                    stderr=mask_output(err, folder=str(folder), port=receiver.port),
                    calls={name: [mask_call(call, starts) for call in each] for name, each in sorted(calls.items())},
                    views={name: mask_table(view, starts) for name, view in store.views.items()},
                    tables={name: mask_table(table, starts) for name, table in store.tables.items()},
                    snapshots=[mask_times(each, starts) for each in store.snapshots],
                    revision=store.revision,
                )
                number += 1


def _number_of_run(word: str, store: StoreContent) -> str:
    if not word.startswith(RUN):
        return word
    newest = max(_run_starts(store).values(), default=0)
    return str(max(newest - int(word.removeprefix(RUN).removeprefix("-") or 0), 1))


def _run_starts(store: StoreContent) -> dict[str, int]:
    runs = store.views["sync_runs"].dicts() if store.views else []
    return {to_milliseconds(row["started_at"]): row["run"] for row in runs}


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []
