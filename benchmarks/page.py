"""Show results: the table of rows and the runs of all cases, on a terminal or in a page between two markers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cases import Case
from benchmarks.contenders import TITLES
from benchmarks.facts import QUIET
from benchmarks.measure import Summary
from benchmarks.results import Results
from benchmarks.rows import Figure, Row

ROW_HEADS = ("name", "what", "against", "before", "now", "reach", "stretch", "reached", "rounds", "load")
RUN_HEADS = ("case", "step", "who", "seconds", "±", "CPU s", "peak MB", "calls", "lost", "inside s", "rounds")


def row_cells(results: Results, rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        figures = [measure.figure(results) for measure in row.measures]
        cases = [case for case in row.cases if results.rounds(case)]
        yield (
            f"`{row.name}`",
            row.what + (" (inside)" if row.inside else ""),
            row.against,
            row.before,
            ", ".join(figure.now for figure in figures if figure.now) or "not measured",
            ", ".join(figure.target for figure in figures if figure.target),
            row.stretch,
            _reached(figures) + ("?" if figures_are_doubtful(results, cases) and _reached(figures) else ""),
            str(min((results.rounds(case) for case in cases), default=0)),
            _load(max((_busy(results, case) for case in cases), default=None)),
        )


def _reached(figures: Sequence[Figure]) -> str:
    answers = {figure.is_reached for figure in figures if figure.reach is not None}
    return "**no**" if False in answers else "" if None in answers or not answers else "yes"


def figures_are_doubtful(results: Results, cases: Iterable[str]) -> bool:
    """Whether the machine was busy, or there are too few rounds."""
    return any(_busy(results, case) >= QUIET or results.rounds(case) < results.facts(case)["enough"] for case in cases)


def _busy(results: Results, case: str) -> float:
    return float(results.facts(case)["busy"])


def _load(busy: float | None) -> str:
    if busy is None:
        return ""
    return f"{busy:.2f}" if busy < QUIET else f"**{busy:.1f}**"


def run_cells(results: Results, cases: Iterable[Case]) -> Iterator[tuple[str, ...]]:
    """The contenders of a step stand together."""
    for case in cases:
        for step in case.steps:
            for who in case.contenders:
                runs = list(results.runs(case.name, who, step))
                if runs and runs[0].wall:  # an installation is weighed, not timed
                    wall = Summary.of([run.wall for run in runs])
                    inside, *seen = (results.median(case.name, who, step, of) for of in ("seconds", "calls", "lost"))
                    yield (
                        case.name,
                        step,
                        TITLES[who],
                        f"{wall.median:.2f}",
                        f"{wall.spread:.2f}" if len(runs) > 1 else "",
                        f"{results.median(case.name, who, step, 'cpu'):.2f}",
                        f"{max(run.memory for run in runs) / 1e6:,.0f}",
                        *("" if count is None else f"{count:,.0f}" for count in seen),
                        "" if inside is None else f"{inside:.2f}",
                        str(len(runs)),
                    )


def show(results: Results, cases: Sequence[Case], rows: Sequence[Row]) -> None:
    """Print only what was measured."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    measured = [row for row in rows if any(results.rounds(case) for case in row.cases)]
    for heads, body in ((RUN_HEADS, run_cells(results, cases)), (ROW_HEADS, row_cells(results, measured))):
        table = Table(*heads)
        for cells in body:
            table.add_row(*(cell.replace("**", "").replace("`", "") for cell in cells))
        console.print(table)
    console.print("; ".join(fact_lines(results, [case.name for case in cases])))


def write(page: Path, results: Results, cases: Sequence[Case], rows: Sequence[Row]) -> None:
    parts = [
        "\n".join(f"- {line}" for line in fact_lines(results, [case.name for case in cases])),
        "## The ratios",
        markdown(ROW_HEADS, row_cells(results, rows), names=8),
        "## Every case",
        markdown(RUN_HEADS, run_cells(results, cases), names=3),
    ]
    replace_between(page, "measured", parts)


def replace_between(page: Path, name: str, parts: Iterable[str]) -> None:
    """Replace what stands between the page's markers of this name. The text around it stays."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n\n" + "\n\n".join(parts) + f"\n\n{end}{after}")


def fact_lines(results: Results, cases: Iterable[str]) -> list[str]:
    """Each fact once. Where cases differ (measured on several days, say) all of its values, in order."""
    found = [results.facts(case) for case in cases if results.rounds(case)]
    names = dict.fromkeys(name for facts in found for name in facts)
    lines = [
        f"{name}: {_values(facts[name] for facts in found if name in facts)}"
        for name in names
        if name not in {*RANGES, "enough"}
    ]
    return [*lines, *(line for name, title in RANGES.items() if (line := _range(name, title, found)))]


def _values(values: Iterable[Any]) -> str:
    return "; ".join(dict.fromkeys(map(str, values)))


#: Facts in numbers that each case has for itself.
RANGES: Mapping[str, str] = {
    "load": "load average when the command started",
    "busy": "processors that others kept busy before a case",
    "batches": "calls a second that the receiver accepts in batches of 2,500, over 4 connections",
    "single": "calls a second that the receiver accepts one by one",
}


def _range(name: str, title: str, found: Sequence[Mapping[str, Any]]) -> str:
    values = [facts[name] for facts in found if name in facts]
    if not values:
        return ""
    texts = [f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" for value in (min(values), max(values))]
    return f"{title}: {' to '.join(dict.fromkeys(texts))}"


def markdown(heads: Sequence[str], body: Iterable[Sequence[str]], *, names: int) -> str:
    """``names``: how many columns from the left hold words; the others hold numbers."""
    lines = [heads, ["---"] * names + ["--:"] * (len(heads) - names), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
