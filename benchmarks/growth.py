"""Measure how the cost grows with members, changes, audiences, and runs in the past.

    python benchmarks/growth.py                                   # everything; half an hour, 10 GB of disk
    python benchmarks/growth.py --only runs --rounds 1
    python benchmarks/growth.py --small                           # a hundredth of everything, to see that it works
    python benchmarks/growth.py --report --out docs/growth.md     # what was measured, into this page

CPU of whole processes, as `benchmarks/run.py` measures it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.environments import CACHE, PROGRAM, python_of, write_bytecode
from benchmarks.facts import facts
from benchmarks.growing.axes import axes, measure_axis
from benchmarks.growing.page import draw, page
from benchmarks.page import replace_between
from benchmarks.results import Results
from benchmarks.servers import receiver


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="members, changes, audiences, runs; several with commas")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="a hundredth of everything")
    parser.add_argument("--report", action="store_true", help="measure nothing: show what is known")
    parser.add_argument("--out", type=Path, help="a page whose part between the markers is replaced; plots beside it")
    parser.add_argument("--work", type=Path, default=CACHE, help="data and results; default: %(default)s")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="the audience-sync that is measured")
    chosen = parser.parse_args()
    work, program, known = chosen.work.resolve(), chosen.program.absolute(), axes(chosen.small)
    results = Results(work / "results" / ("growth-small" if chosen.small else "growth"))
    if not chosen.report:
        write_bytecode(program)
        about = {name: value for name, value in facts(program).items() if name != "peers"}
        with receiver(python_of("receiver", work), 0) as to:
            for name in chosen.only.split(",") if chosen.only else known:
                results.start(name, about)
                for size, step, runs in measure_axis(known[name], program, to.url, work, chosen.rounds):
                    print(f"{name} {size}: {step}", file=sys.stderr)
                    results.add_round(name, [(size, step, run) for run in runs])
    print("\n\n".join(page(results, known, "growth")))
    if chosen.out:
        replace_between(chosen.out, "measured", page(results, known, "growth"))
        draw(results, known, chosen.out.parent / "growth", work)


if __name__ == "__main__":
    main()
