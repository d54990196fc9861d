"""Compare two installations of Audience Sync: the same runs, side by side, as ratios of new to old.

    python benchmarks/compare.py OLD/bin/audience-sync NEW/bin/audience-sync
    python benchmarks/compare.py OLD NEW --users 1000000 --rounds 3 --stores sqlite,postgresql
    python benchmarks/compare.py OLD NEW --mappings --out docs/benchmarks.md

Both run every step one after the other, each in a folder of its own, and take turns to be first. Data, receiver and
server are those of ``run.py``. A lost value stops the benchmark. With ``--mappings`` the new one has the mappings of
MAPPINGS, one after another, and the old one has none.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import STEPS, Case
from benchmarks.environments import CACHE, python_of, write_bytecode
from benchmarks.measure import Measured, Summary
from benchmarks.page import markdown, replace_between
from benchmarks.rounds import NOTHING, Bench, place_of, run_step
from benchmarks.servers import Receiver, postgresql, receiver

HEADS = ("step", "wall s, old", "new", "ratio", "CPU s, old", "new", "ratio", "peak MB, old", "new")
NAMES = "traits: [score, city, email], rename: {score: total_score}, on_null: skip"
#: The options of the old and of the new program. Those of ``personas`` send a message for each property, so that they
#: have a fifth of the users.
MAPPINGS: Mapping[str, tuple[str, str]] = {
    "no mapping": ("", ""),
    "traits, rename, on_null": ("", NAMES),
    "the same and identifiers": ("", f"{NAMES}, identifiers: [email]"),
    "the same and a hash": ("", f"{NAMES}, identifiers: [email], hash: [email]"),
    "identifiers, not sent as a trait": ("", "traits: [score, city], identifiers: [email]"),
    "personas and identifiers": ("envelope: personas", "envelope: personas, identifiers: [email]"),
}


def compare(
    cases: Sequence[Case], benches: Sequence[Bench], rounds: int, to: Receiver
) -> dict[str, list[list[Measured]]]:
    """Per step, the measurements of the old and of the new program, each in its own case."""
    measured: dict[str, list[list[Measured]]] = {step: [[], []] for step in cases[0].steps}
    expected = json.loads((cases[0].data(benches[0].work) / "expected.json").read_text())
    for number in range(rounds):
        with ExitStack() as after:
            both = zip(cases, benches, strict=True)
            places = [after.enter_context(place_of("ours", case, to.url, bench)) for case, bench in both]
            for step in cases[0].steps:
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    run = run_step("ours", places[which], step, to, expected.get(step, NOTHING))
                    if run.lost:
                        raise RuntimeError(f"{benches[which].program} lost {run.lost:,} values in step {step}")
                    measured[step][which].append(run)
                    print(f"{cases[0].name}, round {number + 1}, {step}, {('old', 'new')[which]}", file=sys.stderr)
    return measured


def pairs(stores: Sequence[str], users: int, *, mappings: bool) -> Iterator[tuple[str, Case, Case]]:
    """Yield a name for the table, the case of the old program and the case of the new one."""
    for store in stores:
        case = Case(name=f"compare-{store}", users=users, store=store, steps=STEPS)
        if not mappings:
            yield store, case, case
            continue
        for number, (name, (old, new)) in enumerate(MAPPINGS.items()):
            some = users // 5 if "personas" in name else users
            people = replace(case, name=f"mapping-{number}-{store}", kind="people", users=some, steps=("first", "1%"))
            yield f"{name} ({some:,} users)", replace(people, options=old), replace(people, options=new)


def rows(name: str, measured: dict[str, list[list[Measured]]]) -> list[tuple[str, ...]]:
    return [(name, step, *_cells(old, new)) for step, (old, new) in measured.items()]


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
    parser.add_argument("--stores", default="sqlite,postgresql", help="with --mappings: sqlite only, unless named")
    parser.add_argument("--mappings", action="store_true", help="the new one with mappings and identifiers")
    parser.add_argument("--only", default="", help="with --mappings: those whose name has this text")
    parser.add_argument("--out", type=Path, help="with --mappings: a page whose part between the markers is replaced")
    parser.add_argument("--work", type=Path, default=CACHE, help="data and environments; default: %(default)s")
    chosen = parser.parse_args()
    work, body, stores = chosen.work.resolve(), [], chosen.stores.split(",")
    if chosen.mappings and chosen.stores == parser.get_default("stores"):
        stores = ["sqlite"]
    print(f"load at the start: {os.getloadavg()[0]:.2f}", file=sys.stderr)
    for program in (chosen.old, chosen.new):
        write_bytecode(program.absolute())
    with ExitStack() as after:
        database = after.enter_context(postgresql()) if "postgresql" in stores else None
        to = after.enter_context(receiver(python_of("receiver", work), 0))
        benches = [Bench(work, program.absolute(), database) for program in (chosen.old, chosen.new)]
        for name, old, new in pairs(stores, chosen.users, mappings=chosen.mappings):
            if chosen.only in name:
                body += rows(name, compare((old, new), benches, chosen.rounds, to))
    table = markdown(("mapping" if chosen.mappings else "store", *HEADS), body, names=2)
    print(table)
    if chosen.out:
        replace_between(chosen.out, "mappings", [table])


if __name__ == "__main__":
    main()
