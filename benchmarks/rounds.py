"""Play one round of a case: all contenders run one after the other, at each step, each in a fresh folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.contenders import CONTENDERS, Place
from benchmarks.environments import python_of
from benchmarks.measure import Measured, measure
from benchmarks.results import Run
from benchmarks.servers import PostgreSQL, Receiver, receiver

NOTHING: dict[str, Any] = {"users": 0, "true": {}, "values": 0}


@dataclass(frozen=True)
class Bench:
    """What all cases share: the work folder, our program, and a server where one is needed."""

    work: Path
    program: Path
    database: PostgreSQL | None


def play_syncs(case: Case, bench: Bench, number: int) -> Iterator[Run]:
    """The round with this number, from 0. A contender that has had its share of rounds is left out."""
    names = [name for name in case.contenders if number < CONTENDERS[name].max_rounds]
    answers = json.loads((case.data(bench.work) / "expected.json").read_text())
    with receiver(python_of("receiver", bench.work), case.delay_ms) as to, ExitStack() as after:
        places = {name: after.enter_context(place_of(name, case, to.url, bench)) for name in names}
        for step in case.steps:
            for name in names:
                if step in CONTENDERS[name].steps:
                    print(f"{case.name}: round {number + 1}, {step}, {name}", file=sys.stderr)
                    yield name, step, run_step(name, places[name], step, to, answers.get(step, NOTHING))


@contextmanager
def home_of(case: str, bench: Bench) -> Iterator[Path]:
    """A fresh folder on the disk of the work folder."""
    (bench.work / "homes").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{case}-", dir=bench.work / "homes") as folder:
        yield Path(folder)


@contextmanager
def place_of(name: str, case: Case, url: str, bench: Bench) -> Iterator[Place]:
    with home_of(f"{case.name}-{name}", bench) as home, ExitStack() as after:
        store = "sqlite:///store.db"
        if name == "ours" and case.store == "postgresql":
            assert bench.database is not None
            store = bench.database.create()
            after.callback(bench.database.drop, store)
        place = Place(home, case, url, store, bench.work, bench.program)
        (home / "today").mkdir()
        _copy(place.day0, home / "today", case.format)
        CONTENDERS[name].prepare(place)
        yield place


def run_step(name: str, place: Place, step: str, to: Receiver, expected: dict[str, Any]) -> Measured:
    contender = CONTENDERS[name]
    if name != "limit":
        _lay_files(place, step)
    to.reset()
    measured = measure(contender.command(place), place.home, contender.environment(place))
    if contender.sends and place.case.destination:
        seen = to.stats()
        measured = replace(measured, calls=seen["calls"], lost=lost(expected, seen))
    return measured


def measure_ours(bench: Bench, home: Path, *arguments: str, stdout: str = "stdout") -> Measured:
    return measure([str(bench.program), *arguments], home, stdout=stdout)


def _lay_files(place: Place, step: str) -> None:
    """Lay ``today``'s files out, and from the second step on ``yesterday``'s. What does not change stays untouched."""
    today, yesterday = place.home / "today", place.home / "yesterday"
    if step != "first" and not yesterday.exists():
        shutil.copytree(place.day0, yesterday, copy_function=os.link)
    if step == "1%":
        _copy(place.day1, today, place.case.format)
    elif step == "rewritten":
        for file in today.iterdir():
            _age(file, minutes=30)


def _copy(source: Path, target: Path, form: str) -> None:
    for file in source.glob(f"*.{form}"):
        shutil.copyfile(file, target / file.name)
        _age(target / file.name, minutes=60)
    subprocess.run(["sync"], check=False)  # writing it to the disk is no part of the next measurement


def _age(file: Path, *, minutes: float) -> None:
    """Nightly files are some time old. A run reads one again that was written a moment ago."""
    then = time.time() - minutes * 60
    os.utime(file, (then, then))


def lost(expected: dict[str, Any], seen: dict[str, Any]) -> int:
    """Users who were sent nothing or, if all were sent something, properties without their value."""
    users = max(0, expected["users"] - seen["users"])
    true = max((count - seen["true"].get(key, 0) for key, count in expected["true"].items()), default=0)
    return int(users or max(0, true, expected["values"] - seen["values"]))
