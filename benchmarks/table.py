"""How are results shown? As one table, on a terminal or in a page between two markers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case
from benchmarks.contenders import CONTENDERS
from benchmarks.goals import Goal, goals, over
from benchmarks.measure import Summary
from benchmarks.results import Results

HEADS = ("case", "step", "who", "seconds", "±", "CPU s", "peak MB", "calls", "lost", "times ours", "inside s")
GOALS = ("what", "against", "to reach", "measured", "inside", "reached")


def rows(results: Results, cases: Iterable[Case]) -> list[tuple[str, ...]]:
    """Contenders of one step stand together; ``times ours`` is their time over ours."""
    return [
        row
        for case in cases
        for step in case.steps
        for who in case.contenders
        if (row := _row(results, case.name, step, who))
    ]


def _row(results: Results, case: str, step: str, who: str) -> tuple[str, ...] | None:
    runs = results.runs(case, who, step)
    if not runs:
        return None
    wall = Summary.of([run.wall for run in runs])
    ratio = over(wall.median, results.median(case, "ours", step))
    inside = results.median(case, who, step, "seconds")
    calls, lost = (results.median(case, who, step, of) for of in ("calls", "lost"))
    return (
        case,
        step,
        CONTENDERS[who].title,
        f"{wall.median:.2f}",
        f"{wall.spread:.2f}" if len(runs) > 1 else "",
        f"{results.median(case, who, step, 'cpu'):.2f}",
        f"{(results.median(case, who, step, 'memory') or 0) / 1e6:,.0f}",
        "" if calls is None else f"{calls:,.0f}",
        "" if lost is None else f"{lost:,.0f}",
        "" if who == "ours" or ratio is None else f"{ratio:.2f}",
        "" if inside is None else f"{inside:.2f}",
    )


def goal_rows(found: Iterable[Goal]) -> list[tuple[str, ...]]:
    return [
        (
            goal.what,
            goal.against,
            f"{'≥' if goal.at_least else '≤'} {_amount(goal.target, goal.unit)}",
            "-" if goal.measured is None else _amount(goal.measured, goal.unit),
            "" if goal.inside is None else _amount(goal.inside, goal.unit),
            {True: "yes", False: "**no**", None: ""}[goal.reached],
        )
        for goal in found
    ]


def _amount(value: float, unit: str) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") + unit if unit == "x" else f"{value:,.1f} {unit}".replace(".0 ", " ")


def show(results: Results, cases: Sequence[Case], users: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else 150)
    for heads, body in ((HEADS, rows(results, cases)), (GOALS, goal_rows(goals(results, users)))):
        table = Table(*heads)
        for head in table.columns[3:]:
            head.justify = "right"
        previous: tuple[str, ...] = ()
        for row in body:
            if heads is HEADS and previous != row[:2]:
                table.add_section()
            previous = row[:2]
            table.add_row(*(cell.replace("**", "") for cell in row))
        console.print(table)
    console.print("; ".join(known_facts(results)))


def write(results: Results, cases: Sequence[Case], users: int, page: Path) -> None:
    parts = [
        "\n".join(f"- {fact}" for fact in known_facts(results)),
        "## The ratios",
        markdown(GOALS, goal_rows(goals(results, users)), names=2),
        "## Everything",
        markdown(HEADS, rows(results, cases), names=3),
    ]
    replace_measured(page, parts)


def replace_measured(page: Path, parts: Iterable[str]) -> None:
    """Replace what stands between the page's markers; the prose around it stays."""
    replace_between(page, "measured", parts)


def replace_between(page: Path, name: str, parts: Iterable[str]) -> None:
    """Replace what stands between the page's markers of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n\n" + "\n\n".join(parts) + f"\n\n{end}{after}")


def known_facts(results: Results) -> list[str]:
    known = [f"{name}: {value}" for name, value in results.facts.items() if isinstance(value, str)]
    taken = results.facts.get("ceiling")
    if taken:
        known.append(
            f"receiver: takes {taken['batches'] / 1e6:.1f} million calls a second in batches of 2,500 and "
            f"{taken['single']:,.0f} one by one, over 4 connections (the loader is Python, too)"
        )
    return known


def markdown(heads: Sequence[str], body: Iterable[Sequence[str]], *, names: int) -> str:
    """``names``: how many columns from the left hold words; the others hold numbers."""
    lines = [heads, ["---"] * names + ["--:"] * (len(heads) - names), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
