"""Measure Audience Sync, peers and limits side by side, and write the table of ratios.

    python benchmarks/run.py                            every case: about forty minutes on two cores
    python benchmarks/run.py --quick                    small sizes, one round: within five minutes
    python benchmarks/run.py --only first-csv,delivery  rows or cases by name (* for any text); --list names them
    python benchmarks/run.py --continue                 what has not been measured of this commit
    python benchmarks/run.py --report --out docs/benchmarks.md      what was measured before, into the page

Results stay in the work folder, one file a case, written after every round.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import install, listings, start_up, warehouse
from benchmarks.cases import FULL, QUICK, Case, all_cases
from benchmarks.ceiling import ceiling
from benchmarks.environments import CACHE, PROGRAM, python_of, write_bytecode
from benchmarks.facts import QUIET, busy_processors, facts
from benchmarks.page import show, write
from benchmarks.results import Results
from benchmarks.rounds import Bench, play_syncs
from benchmarks.rows import Row, all_rows
from benchmarks.servers import PostgreSQL, postgresql, receiver

#: Rounds without which a ratio is doubtful.
ENOUGH = 3
#: How cases are played that are no syncs, by their kind.
PLAYERS = {
    "install": install.play,
    "listings": listings.play,
    "start-up": start_up.play,
    **dict.fromkeys(warehouse.SNAPSHOTS, warehouse.play),
}


def choose(cases: list[Case], rows: list[Row], names: str) -> list[Case]:
    """The cases that are named, and those of the rows that are named. Raises ValueError for a name of neither."""
    patterns = names.split(",")
    known = {*(case.name for case in cases), *(row.name for row in rows)}
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in known):
            raise ValueError(f"no row or case has the name {pattern!r}; --list names them")
    wanted = {case for row in rows for case in row.cases if any(fnmatch(row.name, each) for each in patterns)}
    return [case for case in cases if case.name in wanted or any(fnmatch(case.name, each) for each in patterns)]


def measure_cases(cases: list[Case], rounds: int, bench: Bench, results: Results, about: dict[str, Any]) -> None:
    for case in cases:
        number, wanted = results.rounds(case.name), min(rounds, case.max_rounds)
        if not number:
            busy = busy_processors()
            if busy >= QUIET:
                print(f"{case.name}: other processes keep {busy:.1f} processors busy", file=sys.stderr)
            results.start(case.name, {**about, "busy": busy, "enough": min(ENOUGH, case.max_rounds)})
        started = time.monotonic()
        for each in range(number, wanted):
            results.add_round(case.name, PLAYERS.get(case.kind, play_syncs)(case, bench, each))
        if number < wanted:
            print(f"{case.name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


@contextmanager
def database_of(cases: list[Case]) -> Iterator[PostgreSQL | None]:
    if not any(case.store == "postgresql" or case.kind in warehouse.SNAPSHOTS for case in cases):
        yield None
        return
    with postgresql() as database:
        yield database


def receiver_facts(work: Path) -> dict[str, float]:
    with receiver(python_of("receiver", work), 0) as to:
        return ceiling(to.url)


def list_names(cases: list[Case], rows: list[Row]) -> None:
    for row in rows:
        print(f"{row.name:34} {row.what}, against {row.against}; case {', '.join(row.cases)}")
    for case in cases:
        print(f"{case.name:34} case{', only if it is named' if case.optional else ''}")


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers are stopped, and folders removed
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows or cases, separated by commas; * for any text")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round, with results of their own")
    parser.add_argument("--continue", action="store_true", dest="is_continued", help="leave out what this commit has")
    parser.add_argument("--list", action="store_true", help="name the rows and the cases")
    parser.add_argument("--report", action="store_true", help="measure nothing: show what was measured")
    parser.add_argument("--out", type=Path, help="a Markdown page whose part between the markers is replaced")
    parser.add_argument("--work", type=Path, default=CACHE, help="data, environments, results; default: %(default)s")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="the audience-sync that is measured")
    chosen = parser.parse_args()
    sizes, rounds = (QUICK, 1) if chosen.quick else (FULL, chosen.rounds)
    all_known, rows = all_cases(sizes), all_rows(sizes)
    if chosen.list:
        list_names(all_known, rows)
        return
    try:
        cases = (
            choose(all_known, rows, chosen.only) if chosen.only else [case for case in all_known if not case.optional]
        )
    except ValueError as error:
        parser.error(str(error))
    work, program = chosen.work.resolve(), chosen.program.absolute()
    results = Results(work / "results" / ("quick" if chosen.quick else "full"))
    if not chosen.report:
        about = facts(program)
        print(f"load average at the start: {about['load']:.2f}; cores: {os.cpu_count()}", file=sys.stderr)
        write_bytecode(program)
        about |= receiver_facts(work)
        for case in cases:
            if not (chosen.is_continued and results.facts(case.name).get("commit") == about["commit"]):
                results.forget(case.name)
        with database_of(cases) as database:
            measure_cases(cases, rounds, Bench(work, program, database), results, about)
    show(results, cases if chosen.only else all_known, rows)
    if chosen.quick:
        print("The ratios to reach are for the full sizes; this was --quick.", file=sys.stderr)
    if chosen.out:
        write(chosen.out, results, all_known, rows)


if __name__ == "__main__":
    main()
