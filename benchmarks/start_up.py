"""What does it cost to start? CPU of ``--help``, and of ``history`` on 10,000 runs, beside an empty Python process."""

from __future__ import annotations

import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.measure import Measured, measure
from benchmarks.rounds import Result

RUNS = 10_000
CONFIG = """
store: sqlite:///store.db
sources: {exports: {files: .}}
audiences: [{name: Members, source: exports, file: members.csv}]
destinations: {log: {type: file, path: calls.jsonl}}
"""


def start_up(program: Path, rounds: int, work: Path) -> list[Result]:
    commands = {
        "empty Python": [str(program.with_name("python")), "-c", "pass"],
        "--help": [str(program), "--help"],
        "history": [str(program), "history"],
    }
    runs: dict[str, list[Measured]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="start-up-", dir=work) as folder:
        home = Path(folder)
        (home / "config.yaml").write_text(CONFIG)
        (home / "members.csv").write_text("user_id\nada\n")
        subprocess.run([program, "sync"], cwd=home, check=True, capture_output=True)
        _multiply_runs(home / "store.db")
        for _ in range(rounds + 1):  # the first one of each fills caches and isn't counted
            for name, command in commands.items():
                runs[name].append(measure(command, home))
    return [Result("start-up", name, "start", tuple(measured[1:])) for name, measured in runs.items()]


def _multiply_runs(file: Path) -> None:
    """Write the first run's rows again and again, as runs of their own."""
    with closing(sqlite3.connect(file)) as store, store:
        for table, number in (("runs", "id"), ("run_audiences", "run_id"), ("run_destinations", "run_id")):
            names = [row[1] for row in store.execute(f"pragma table_info({table})")]
            columns = ", ".join(f'"{name}"' for name in names)
            values = ", ".join("n" if name == number else f'"{name}"' for name in names)
            store.execute(
                f"with recursive numbers(n) as (select 2 union all select n + 1 from numbers where n < {RUNS}) "
                f"insert into {table} ({columns}) select {values} from numbers, {table} where {number} = 1"
            )
