"""How does Audience Sync compare? Everything side by side, alternating, and one table at the end.

    python benchmarks/run.py                            everything: an hour
    python benchmarks/run.py --quick                    10,000 users, one round: some minutes
    python benchmarks/run.py --sizes 10k,100k --only base-10k,postgresql-100k
    python benchmarks/run.py --report --out docs/benchmarks.md      what was measured before, into the page

Results are kept in the work folder: a case that is run again replaces what was known of it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.cases import Case, all_cases
from benchmarks.ceiling import ceiling
from benchmarks.environments import CACHE, PROGRAM, python_of
from benchmarks.facts import facts
from benchmarks.results import Results
from benchmarks.rounds import Bench, run_case
from benchmarks.servers import postgresql, receiver
from benchmarks.start_up import start_up
from benchmarks.table import show, write


def _sizes(text: str) -> tuple[int, ...]:
    units = {"k": 1_000, "m": 1_000_000}
    return tuple(int(each.rstrip("km")) * units.get(each[-1], 1) for each in text.lower().split(","))


def _run(cases: list[Case], rounds: int, work: Path, program: Path, results: Results) -> None:
    with ExitStack() as after:
        needs_database = any(case.store == "postgresql" for case in cases)
        database = after.enter_context(postgresql()) if needs_database else None
        for case in cases:
            results.add(run_case(case, rounds, Bench(work, program, database)))


def _ceiling(work: Path) -> dict[str, float]:
    with receiver(python_of("receiver", work), 0) as to:
        return ceiling(to.url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=_sizes, default=(10_000, 100_000, 1_000_000), help="10k,100k,1m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="*", help="cases by name, * for any text; as --list names them")
    parser.add_argument("--quick", action="store_true", help="--sizes 10k --rounds 1")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--report", action="store_true", help="measure nothing: the table of what is known")
    parser.add_argument("--out", type=Path, help="a Markdown page whose part between the markers is replaced")
    parser.add_argument("--work", type=Path, default=CACHE, help="data, environments and results; default: %(default)s")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="the audience-sync that is measured")
    chosen = parser.parse_args()
    sizes, rounds = ((10_000,), 1) if chosen.quick else (chosen.sizes, chosen.rounds)
    cases = [case for case in all_cases(sizes) if any(fnmatch(case.name, each) for each in chosen.only.split(","))]
    if chosen.list:
        print("\n".join(case.name for case in cases))
        return
    work = chosen.work.resolve()
    results = Results(work / ("quick.json" if chosen.quick else "results.json"))
    program = chosen.program.absolute()
    if not chosen.report:
        results.facts = {**facts(program), "ceiling": _ceiling(work)}
        _run(cases, rounds, work, program, results)
        if fnmatch("start-up", chosen.only) or "start-up" in chosen.only:
            results.add(start_up(program, 5, work))
    known = all_cases(sizes)
    show(results, known, max(sizes))
    if chosen.out:
        write(results, known, max(sizes), chosen.out)


if __name__ == "__main__":
    main()
