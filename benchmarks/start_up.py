"""Measure what a start costs: CPU of ``--help``, and of ``history`` on many runs, next to an empty Python process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.results import Run
from benchmarks.rounds import Bench, home_of, measure, measure_ours

#: One round has so many of each, as each is short.
REPEATS = 5
CONFIG = """
store: sqlite:///store.db
sources: {exports: {files: .}}
audiences: [{name: Members, source: exports, file: members.csv}]
destinations: {log: {type: file, path: calls.jsonl}}
"""


def play(case: Case, bench: Bench, number: int) -> Iterator[Run]:
    python = str(bench.program.with_name("python"))
    with home_of(case.name, bench) as home:
        (home / "config.yaml").write_text(CONFIG)
        (home / "members.csv").write_text("user_id\nada\n")
        measure_ours(bench, home, "sync")
        _multiply_runs(home / "store.db", case.users)
        for repeat in range(REPEATS + 1):
            for step in case.steps:
                command = [python, "-c", "pass"] if step == "empty Python" else [str(bench.program), step]
                measured = measure(command, home)
                if repeat:  # the first of each fills caches
                    yield "ours", step, measured


def _multiply_runs(file: Path, runs: int) -> None:
    """Write the first run's rows again and again, as runs of their own."""
    with closing(sqlite3.connect(file)) as store, store:
        for table, number in (("runs", "id"), ("run_audiences", "run_id"), ("run_destinations", "run_id")):
            names = [row[1] for row in store.execute(f"pragma table_info({table})")]
            columns = ", ".join(f'"{name}"' for name in names)
            values = ", ".join("n" if name == number else f'"{name}"' for name in names)
            store.execute(
                f"with recursive numbers(n) as (select 2 union all select n + 1 from numbers where n < {runs}) "
                f"insert into {table} ({columns}) select {values} from numbers, {table} where {number} = 1"
            )
