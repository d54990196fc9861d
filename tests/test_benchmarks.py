"""Each row of the benchmarks' page is a case that can be measured alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
