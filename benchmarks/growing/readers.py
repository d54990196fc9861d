"""Run a million users alone, and next to a dashboard that four readers keep busy, on one SQLite store.

    python benchmarks/growing/readers.py --rounds 5
    python benchmarks/growing/readers.py --rounds 5 --pause 1
    python benchmarks/growing/readers.py --users 1000000 --folder /tmp

Each round makes a first run and a run with one percent of changes, alone and beside the dashboard, in turn. Whether
pages lock a run shows in its CPU time and its waits; that they take the processor from it shows in its wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.growing.pages import served

READERS = 4
COUNT = "select audience_key, count(*) from audience_members group by 1"
PATHS = ("/", "/audiences", "/audiences/everyone", "/runs", "/runs/1", "/destinations", f"/query?sql={quote(COUNT)}")
USERS = "select 'C-' || (10000000 + i) as user_id from range({first}, {last}) t(i)"


def prepare(folder: Path, users: int) -> None:
    """A project whose only audience has so many users; the second snapshot has one percent of others."""
    with duckdb.connect() as connection:
        for name, first in (("before", 0), ("after", users // 200)):
            query = USERS.format(first=first, last=first + users)
            connection.execute(f"copy ({query}) to '{folder / name}.parquet' (format parquet)")
    config = {
        "store": "sqlite:///store.db",
        "sources": {"shop": {"files": "."}},
        "audiences": [{"name": "Everyone", "source": "shop", "file": "now.parquet"}],
        "destinations": {"log": {"type": "file", "path": "calls.jsonl"}},
    }
    (folder / "config.yaml").write_text(json.dumps(config))


def run(folder: Path, snapshot: str) -> tuple[float, float, str]:
    """Seconds of wall and of CPU of a run, and what it printed on stderr."""
    (folder / "now.parquet").unlink(missing_ok=True)
    (folder / "now.parquet").hardlink_to(folder / f"{snapshot}.parquet")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "audience_sync", "sync"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


@contextmanager
def readers(folder: Path, pause: float) -> Iterator[list[float]]:
    """Four readers who open one page after the other, with seconds of a pause between; the seconds of each page."""
    seconds, stop = list[float](), threading.Event()

    def read(address: str, first: int) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)  # readers have machines of their own
        number = first
        while not stop.is_set():
            started = time.perf_counter()
            try:
                with urllib.request.urlopen(address + PATHS[number % len(PATHS)], timeout=60) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                if error.code not in (404, 503):  # no audience yet, or too slow next to a run
                    raise
            seconds.append(time.perf_counter() - started)
            number += 1
            stop.wait(pause)

    with served(folder) as (_, address):
        threads = [threading.Thread(target=read, args=(address, each)) for each in range(READERS)]
        for each in threads:
            each.start()
        try:
            yield seconds
        finally:
            stop.set()
            for each in threads:
                each.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds of each reader between two pages")
    parser.add_argument("--folder", type=Path, help="where the store is written; default: a temporary folder")
    chosen = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    pages, waits = list[float](), 0
    for number in range(chosen.rounds):
        for who in ("alone", "beside")[:: 1 if number % 2 else -1]:
            with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
                folder = Path(name)
                prepare(folder, chosen.users)
                if who == "alone":
                    measured = [run(folder, "before"), run(folder, "after")]
                else:
                    with readers(folder, chosen.pause) as seconds:
                        measured = [run(folder, "before"), run(folder, "after")]
                    pages += seconds
                for step, (wall, cpu, printed) in zip(("first run", "1% changed"), measured, strict=True):
                    found.setdefault((step, who), []).append((wall, cpu))
                    waits += "Waiting" in printed
    print("| run | alone, wall s | CPU s | beside a busy dashboard, wall s | CPU s |\n| --- | --: | --: | --: | --: |")
    for step in ("first run", "1% changed"):
        medians = [
            statistics.median(each[kind] for each in found[step, who]) for who in ("alone", "beside") for kind in (0, 1)
        ]
        print(f"| {step} | {' | '.join(f'{each:.2f}' for each in medians)} |")
    slowest, median = max(pages), statistics.median(pages)
    print(f"{len(pages):,} pages meanwhile: median {median:.2f} s, slowest {slowest:.2f} s; runs that waited: {waits}")


if __name__ == "__main__":
    main()
