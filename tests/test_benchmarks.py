"""Each row of the benchmarks' page is a case that can be measured alone, and its verdict follows from all rounds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import FULL
from benchmarks.measure import Measured
from benchmarks.page import row_cells
from benchmarks.results import Results
from benchmarks.rows import all_rows

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_has_a_line_for_each_row_that_can_be_measured() -> None:
    command = [sys.executable, "benchmarks/run.py", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = [line.split()[0] for line in listed.splitlines() if ", against " in line]

    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    shown = page.partition("## The ratios")[2].partition("## Every case")[0]

    assert len(rows) > 20
    assert re.findall(r"^\| `([\w-]+)` \|", shown, re.MULTILINE) == rows


def test_a_name_of_no_row_and_no_case_is_refused() -> None:
    command = [sys.executable, "benchmarks/run.py", "--report", "--only", "first-cvs"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert answer.returncode == 2
    assert "no row or case has the name 'first-cvs'" in answer.stderr


def line_of(name: str, results: Results) -> dict[str, str]:
    """What the page says of a row."""
    rows = [row for row in all_rows(FULL) if row.name == name]
    [(_, _, _, _, now, reach, _, reached, rounds, load)] = row_cells(results, rows)
    return {"now": now, "reach": reach, "reached": reached, "rounds": rounds, "load": load}


def measured(
    folder: Path, case: str, *rounds: dict[str, Measured], step: str, busy: float = 0.1, enough: int = 1
) -> Results:
    results = Results(folder)
    results.start(case, {"busy": busy, "enough": enough})
    for each in rounds:
        results.add_round(case, [(who, step, run) for who, run in each.items()])
    return Results(folder)


def test_a_ratio_is_that_of_the_medians_with_the_range_of_the_rounds(tmp_path: Path) -> None:
    rounds = [{"ours": Measured(wall=ours, cpu=2), "limit": Measured(wall=1, cpu=1)} for ours in (2.25, 2.5, 3.0)]
    results = measured(tmp_path, "parquet", *rounds, step="1%")

    assert line_of("changes-parquet", results) == {
        "now": "2.50x (2.25 to 3.00), CPU 2.00x",
        "reach": "≤ 2.5x",
        "reached": "yes",
        "rounds": "3",
        "load": "0.10",
    }


@pytest.mark.parametrize(
    ("ours", "reached"),
    [
        (Measured(wall=1, cpu=1, lost=0), "yes"),
        (Measured(wall=2, cpu=1, lost=0), "**no**"),
        (Measured(wall=1, cpu=2, lost=0), "**no**"),
        (Measured(wall=1, cpu=1, lost=1), "**no**"),
    ],
    ids=["all reached", "too slow", "too much CPU", "one user lost"],
)
def test_a_row_is_reached_if_all_its_figures_are(tmp_path: Path, ours: Measured, reached: str) -> None:
    results = measured(tmp_path, "csv", {"ours": ours, "cron": Measured(wall=3, cpu=2.5)}, step="1%")

    assert line_of("changes-csv", results)["reached"] == reached


def test_a_row_that_was_measured_in_part_is_not_reached(tmp_path: Path) -> None:
    run = {"ours": Measured(answer={"delivery": 1}), "segment": Measured(answer={"delivery": 40})}
    results = measured(tmp_path, "delivery", run, step="first")

    assert line_of("delivery", results) == {
        "now": "40.00x",
        "reach": "≥ 30x, CPU ≤ 2 s a million",
        "reached": "",
        "rounds": "1",
        "load": "0.10",
    }


def test_a_busy_machine_makes_a_verdict_doubtful(tmp_path: Path) -> None:
    run = {"ours": Measured(wall=1, cpu=1), "limit": Measured(wall=1, cpu=1)}
    results = measured(tmp_path, "parquet", run, step="1%", busy=1.62)

    line = line_of("changes-parquet", results)

    assert (line["load"], line["reached"]) == ("**1.6**", "yes?")


def test_two_rounds_of_three_make_a_verdict_doubtful(tmp_path: Path) -> None:
    run = {"ours": Measured(wall=3, cpu=1), "limit": Measured(wall=1, cpu=1)}
    results = measured(tmp_path, "parquet", run, run, step="1%", enough=3)

    line = line_of("changes-parquet", results)

    assert (line["rounds"], line["reached"]) == ("2", "**no**?")
