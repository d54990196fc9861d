"""Compare two installations of Audience Sync: the same runs, side by side, as ratios of new to old.

    python benchmarks/compare.py OLD/bin/audience-sync NEW/bin/audience-sync
    python benchmarks/compare.py OLD NEW --users 1000000 --rounds 3 --stores sqlite,postgresql

Both run every step one after the other, each in a folder of its own, and take turns to be first. Data, receiver and
server are those of ``run.py``. A lost value stops the benchmark.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import STEPS, Case
from benchmarks.environments import CACHE, python_of
from benchmarks.measure import Measured, Summary
from benchmarks.rounds import NOTHING, Bench, place_of, run_step
from benchmarks.servers import Receiver, postgresql, receiver
from benchmarks.table import markdown

HEADS = ("store", "step", "wall s, old", "new", "ratio", "CPU s, old", "new", "ratio", "peak MB, old", "new")


def compare(case: Case, benches: Sequence[Bench], rounds: int, to: Receiver) -> dict[str, list[list[Measured]]]:
    """Per step, the measurements of the old and of the new program."""
    measured: dict[str, list[list[Measured]]] = {step: [[], []] for step in case.steps}
    expected = json.loads((case.data(benches[0].work) / "told.json").read_text())
    for number in range(rounds):
        with ExitStack() as after:
            places = [after.enter_context(place_of("ours", case, to.url, bench)) for bench in benches]
            for step in case.steps:
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    run = run_step("ours", places[which], step, to, expected.get(step, NOTHING), benches[which])
                    if run.lost:
                        raise RuntimeError(f"{benches[which].program} lost {run.lost:,} values in step {step}")
                    measured[step][which].append(run)
                    print(f"{case.name}, round {number + 1}, {step}, {('old', 'new')[which]}", file=sys.stderr)
    return measured


def rows(store: str, measured: dict[str, list[list[Measured]]]) -> list[tuple[str, ...]]:
    return [(store, step, *_cells(old, new)) for step, (old, new) in measured.items()]


def _cells(old: Sequence[Measured], new: Sequence[Measured]) -> tuple[str, ...]:
    cells: list[str] = []
    for amount in ("wall", "cpu"):
        before, now = (Summary.of([getattr(run, amount) for run in runs]).median for runs in (old, new))
        cells += [f"{before:.2f}", f"{now:.2f}", f"{now / before:.2f}"]
    return (*cells, *(f"{max(run.memory for run in runs) / 1e6:,.0f}" for runs in (old, new)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", default="sqlite,postgresql")
    parser.add_argument("--work", type=Path, default=CACHE, help="data and environments; default: %(default)s")
    chosen = parser.parse_args()
    work, body = chosen.work.resolve(), []
    print(f"load at the start: {os.getloadavg()[0]:.2f}", file=sys.stderr)
    with ExitStack() as after:
        database = after.enter_context(postgresql()) if "postgresql" in chosen.stores else None
        to = after.enter_context(receiver(python_of("receiver", work), 0))
        for store in chosen.stores.split(","):
            case = Case(f"compare-{store}", chosen.users, store=store, steps=STEPS)
            benches = [Bench(work, program.absolute(), database) for program in (chosen.old, chosen.new)]
            body += rows(store, compare(case, benches, chosen.rounds, to))
    print(markdown(HEADS, body, names=2))


if __name__ == "__main__":
    main()
