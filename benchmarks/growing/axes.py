"""List along what the cost grows: members, changes, audiences, runs of the past; and measure one of them at a time."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Measured, measure

SCRIPTS = Path(__file__).parent
#: A first run that sends nothing, and then the changes, to a receiver.
CONFIG = """
store: sqlite:///store.db
sources: {{exports: {{files: .}}}}
audiences: [{{names_from: audience, source: exports, file: today.parquet, initial: none}}]
destinations: {{segment: {{type: segment, write_key: key, url: "{url}"}}}}
guard: {{max_removed: 100%, max_added: 100%}}
"""


#: The size, as a text, the step, and its runs.
SizedRuns = tuple[str, str, tuple[Measured, ...]]


@dataclass(frozen=True)
class Point:
    """A store of so many audiences, each of so many members, so many of which change in a run."""

    audiences: int = 1
    members: int = 1_000_000
    changes: int = 10_000


@dataclass(frozen=True)
class Axis:
    """``unit`` is what ``points`` are numbered by: the x of the plot. ``steps`` are what is measured at each."""

    name: str
    title: str
    unit: str
    points: dict[int, Point]
    steps: Sequence[str]


RUN_STEPS = ("first run", "run with changes", "run over the same content")
PAST_STEPS = ("run with changes", "history", "history of an audience", "show", "explain", "members at a past time")
#: The plain table of members and 1,000 changes a run: 10,000 runs are 10 million rows of `changes`.
PAST_CHANGES = 1_000


def axes(small: bool = False) -> dict[str, Axis]:
    """``small``: a hundredth of everything, to see whether it works."""
    part = 100 if small else 1
    members = {size // part: Point(members=size // part, changes=10_000 // part) for size in _MEMBERS}
    changes = {size // part: Point(members=1_000_000 // part, changes=size // part) for size in _CHANGES}
    audiences = {size: Point(size, 20_000 // part, 200 // part) for size in _AUDIENCES}
    past = {runs: Point(members=10_000_000 // part, changes=100_000 // part) for runs in _RUNS[: 3 if small else 4]}
    all_axes = (
        Axis("members", "One audience, 10,000 changes a run", "members", members, RUN_STEPS),
        Axis("changes", "One audience of a million members", "changes in a run", changes, RUN_STEPS[1:2]),
        Axis("audiences", "Audiences of 20,000 members, one percent changes", "audiences", audiences, RUN_STEPS),
        Axis("runs", "Ten million members, 1,000 changes in each past run", "runs in the past", past, PAST_STEPS),
    )
    return {axis.name: axis for axis in all_axes}


_MEMBERS = (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)
_CHANGES = (100, 1_000, 10_000, 100_000, 1_000_000)
_AUDIENCES = (1, 10, 50, 100, 200)
_RUNS = (10, 100, 1_000, 10_000)


def measure_axis(axis: Axis, program: Path, url: str, work: Path, rounds: int) -> Iterator[SizedRuns]:
    if axis.name == "runs":
        yield from _measure_past(axis, program, url, work, rounds)
        return
    for size, point in axis.points.items():
        with _home(point, program, url, work) as home:
            yield (str(size), "first run", (home.sync("a"),))
            measured = tuple(home.sync(name) for _ in range(rounds) for name in ("b", "a"))
            yield (str(size), "run with changes", measured)
            same = tuple(home.sync("a") for _ in range(rounds))
            yield (str(size), "run over the same content", same)


def _measure_past(axis: Axis, program: Path, url: str, work: Path, rounds: int) -> Iterator[SizedRuns]:
    """One store, whose past becomes longer and longer."""
    sizes = list(axis.points)
    with _home(axis.points[sizes[0]], program, url, work) as home:
        home.sync("a")
        for size in sizes:
            home.write_past(size)
            measured = tuple(home.sync(name) for _ in range(rounds) for name in ("b", "a"))
            yield (str(size), "run with changes", measured)
            for step, command in home.questions(size).items():
                yield (str(size), step, tuple(home.ask(*command) for _ in range(rounds)))


@dataclass(frozen=True)
class Home:
    folder: Path
    data: Path
    program: Path

    def sync(self, snapshot: str) -> Measured:
        shutil.copyfile(self.data / f"{snapshot}.parquet", self.folder / "today.parquet")
        return self.ask("sync", "--json")

    def ask(self, *command: str) -> Measured:
        return measure([str(self.program), *command], self.folder)

    def write_past(self, runs: int) -> None:
        script = [sys.executable, str(SCRIPTS / "past.py"), str(self.folder / "store.db")]
        subprocess.run([*script, "--runs", str(runs), "--changes", str(PAST_CHANGES)], check=True)

    def questions(self, runs: int) -> dict[str, list[str]]:
        """Of a user who has changed in the last run but one, and a run in the middle."""
        with closing(sqlite3.connect(self.folder / "store.db")) as store:
            last = "select user_id from changes where run_id = ? order by user_id limit 1"
            (user,) = store.execute(last, (runs,)).fetchone()
            (key,) = store.execute("select key from properties limit 1").fetchone()
            recent = "select strftime('%Y-%m-%dT%H:%M:%S', started_at) from runs where id = ?"
            (time,) = store.execute(recent, (max(1, runs - 10),)).fetchone()
        return {
            "history": ["history"],
            "history of an audience": ["history", key],
            "show": ["show", str(runs // 2)],
            "explain": ["explain", user],
            "members at a past time": ["members", key, "--at", f"{time}Z"],
        }


@contextmanager
def _home(point: Point, program: Path, url: str, work: Path) -> Iterator[Home]:
    data = work / "data" / f"growing-{point.audiences}-{point.members}-{point.changes}"
    if not (data / "b.parquet").exists():
        sizes = {"audiences": point.audiences, "members": point.members, "changes": point.changes}
        options = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
        subprocess.run([sys.executable, str(SCRIPTS / "data.py"), str(data), *options], check=True)
    (work / "homes").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="growing-", dir=work / "homes") as folder:
        home = Home(Path(folder), data, program)
        (home.folder / "config.yaml").write_text(CONFIG.format(url=url))
        yield home
