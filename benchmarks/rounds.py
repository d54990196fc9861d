"""How does a case run? Its contenders side by side: in every round, at every step, one after the other."""

from __future__ import annotations

import json
import os
import shutil
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
from benchmarks.servers import PostgreSQL, Receiver, receiver

NOTHING: dict[str, Any] = {"users": 0, "true": {}, "values": 0}


@dataclass(frozen=True)
class Bench:
    """What all cases share: the work folder, our program, and a server where one is needed."""

    work: Path
    program: Path
    database: PostgreSQL | None


@dataclass(frozen=True)
class Result:
    case: str
    contender: str
    step: str
    runs: tuple[Measured, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.case, self.contender, self.step


def run_case(case: Case, rounds: int, bench: Bench) -> list[Result]:
    """Each round starts afresh; whoever has had its share of rounds sits the others out."""
    runs: dict[tuple[str, str], list[Measured]] = {}
    answers = json.loads((case.data(bench.work) / "expected.json").read_text())
    with receiver(python_of("receiver", bench.work), case.delay_ms) as to:
        for number in range(min(rounds, case.max_rounds)):
            names = [name for name in case.contenders if number < CONTENDERS[name].max_rounds]
            with ExitStack() as after:
                places = {name: after.enter_context(place_of(name, case, to.url, bench)) for name in names}
                for step in case.steps:
                    for name in names if step != "rewritten" else [n for n in names if n in ("ours", "duckdb")]:
                        print(f"{case.name}: round {number + 1}, {step}, {name}", file=sys.stderr)
                        expected = answers.get(step, NOTHING)
                        runs.setdefault((name, step), []).append(
                            run_step(name, places[name], step, to, expected, bench)
                        )
    return [Result(case.name, name, step, tuple(measured)) for (name, step), measured in runs.items()]


@contextmanager
def place_of(name: str, case: Case, url: str, bench: Bench) -> Iterator[Place]:
    (bench.work / "homes").mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f"{case.name}-{name}-", dir=bench.work / "homes") as folder,
        ExitStack() as after,
    ):
        store = "sqlite:///store.db"
        if name == "ours" and case.store == "postgresql":
            assert bench.database is not None
            store = bench.database.create()
            after.callback(bench.database.drop, store)
        place = Place(Path(folder), case, url, store, bench.work, bench.program)
        (place.home / "today").mkdir()
        _copy(place.day0, place.home / "today", case.format)
        CONTENDERS[name].prepare(place)
        yield place


def run_step(name: str, place: Place, step: str, to: Receiver, expected: dict[str, Any], bench: Bench) -> Measured:
    contender = CONTENDERS[name]
    if name != "duckdb":
        _lay_files(place, step)
    to.reset()
    measured = measure(contender.command(place), place.home, contender.environment(place))
    if name == "ours":
        database = bench.database if place.case.store == "postgresql" else None
        measured = replace(measured, store_bytes=database.size(place.store) if database else _size(place.home))
    if contender.sends and place.case.destination:
        seen = to.stats()
        measured = replace(measured, calls=seen["calls"], lost=lost(expected, seen))
    return measured


def _lay_files(place: Place, step: str) -> None:
    """``today``'s files, and from the second step on ``yesterday``'s beside them; untouched where nothing changed."""
    today, yesterday = place.home / "today", place.home / "yesterday"
    if step != "first" and not yesterday.exists():
        shutil.copytree(place.day0, yesterday)
    if step == "1%":
        _copy(place.day1, today, place.case.format)
    elif step == "rewritten":
        for file in today.iterdir():
            _age(file, minutes=30)


def _copy(source: Path, target: Path, form: str) -> None:
    for file in source.glob(f"*.{form}"):
        shutil.copyfile(file, target / file.name)
        _age(target / file.name, minutes=60)


def _age(file: Path, *, minutes: float) -> None:
    """Nightly files are some time old; one that was written a moment ago is rightly trusted by nobody."""
    then = time.time() - minutes * 60
    os.utime(file, (then, then))


def _size(home: Path) -> int:
    return sum(file.stat().st_size for file in home.glob("store.db*"))


def lost(expected: dict[str, Any], seen: dict[str, Any]) -> int:
    """Users who were sent nothing or, where everyone was sent something, properties that lack their value."""
    users = max(0, expected["users"] - seen["users"])
    true = max((count - seen["true"].get(key, 0) for key, count in expected["true"].items()), default=0)
    return int(users or max(0, true, expected["values"] - seen["values"]))
