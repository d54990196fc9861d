"""Measure a first backfill in slices of users: temporary files, memory and time by the size of a slice.

    python benchmarks/slices.py                                     # three million users, one slice and six
    python benchmarks/slices.py --users 300000 --slices 1 3

Every size must send the same messages, in the same order, to two destinations.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import duckdb

CONFIG = """
store: sqlite:///store.db
sources: {data: {files: .}}
audiences: [{name: VIP, source: data, file: vip.parquet}]
computed_traits: [{source: data, file: traits.parquet, traits: [plan, revenue]}]
destinations:
%s
members_table: false
trait_values_table: false
memory_limit: 512MB
"""
DESTINATIONS = "  %s: {type: file, path: %s.jsonl}\n"
#: Runs a command with another size of a slice.
RUN = """
import sys
from audience_sync.sync.deliver import pending
pending.SLICE_USERS, sys.argv[1:] = int(sys.argv[1]), sys.argv[2:]
from audience_sync.cli import main
main()
"""


class PeakSize:
    """The largest size of all files in a folder, sampled in a thread (bytes)."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ended, self.bytes = folder, Event(), 0
        self._thread = Thread(target=self._sample)

    def _sample(self) -> None:
        while not self._ended.wait(0.02):
            self.bytes = max(self.bytes, sum(_disk_bytes(path) for path in self._folder.rglob("*")))

    def __enter__(self) -> PeakSize:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def _disk_bytes(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:  # removed meanwhile
        return 0


def write_data(folder: Path, users: int, *, are_sorted: bool) -> None:
    """An audience of all users, and two traits of nine in ten of them."""
    ids = "'user-' || lpad(i::varchar, 10, '0')" if are_sorted else "md5(i::varchar)"
    rows = f"select {ids} as user_id, i from range({users}) t(i)"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select user_id from ({rows})) to '{folder}/vip.parquet'")
        traits = f"select user_id, 'plan ' || i % 7 as plan, i / 3 as revenue from ({rows}) where i % 10 > 0"
        connection.execute(f"copy ({traits}) to '{folder}/traits.parquet'")


def configure(folder: Path, *destinations: str) -> None:
    (folder / "config.yaml").write_text(CONFIG % "".join(DESTINATIONS % (name, name) for name in destinations))


def sync(folder: Path, slice_users: int) -> tuple[float, float, int, int]:
    """Sync in slices of so many users. Returns seconds, seconds of CPU, peak memory, and peak of temporary files."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary), "AUDIENCE_SYNC_CONFIG": str(folder / "config.yaml")}
    command = [sys.executable, "-c", RUN, str(slice_users), "sync", "--json"]
    started, out = time.monotonic(), folder / "answer.json"
    with PeakSize(temporary) as peak, out.open("w") as answer:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=answer, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, out.read_text()
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, peak.bytes


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def measure(work: Path, users: int, counts: list[int], *, are_sorted: bool) -> None:
    """The first run records a baseline at one destination; each measured run backfills two others in a copy of it."""
    base = work / "base"
    base.mkdir()
    write_data(base, users, are_sorted=are_sorted)
    configure(base, "first")
    sync(base, users)
    (base / "first.jsonl").unlink()
    sent = dict[int, list[str]]()
    for count in counts:
        folder = shutil.copytree(base, work / f"slices-{count}")
        configure(folder, "first", "crm", "ads")
        wall, cpu, memory, scratch = sync(folder, 10 * users if count == 1 else users // count)
        with closing(sqlite3.connect(folder / "store.db")) as store:
            (requests,) = store.execute("select count(*) from delivery_requests where run_id = 2").fetchone()
        sent[count] = [digest(folder / f"{name}.jsonl") for name in ("crm", "ads")]
        kind, megabytes = "sorted" if are_sorted else "random", f"{memory / 1e6:,.0f} | {scratch / 1e6:,.0f}"
        print(f"| {kind} | {count} | {wall:.1f} | {cpu:.1f} | {megabytes} | {requests:,} |", flush=True)
        shutil.rmtree(folder)
    assert len({tuple(each) for each in sent.values()}) == 1, "other messages"
    shutil.rmtree(base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=3_000_000)
    parser.add_argument("--slices", type=int, nargs="+", default=[1, 6])
    parser.add_argument("--work", type=Path, help="a folder for everything; default: a temporary one")
    chosen = parser.parse_args()
    print("| ids | slices | s | CPU s | peak MB | temporary files, MB | requests |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for are_sorted in (True, False):
        with tempfile.TemporaryDirectory(dir=chosen.work) as work:
            measure(Path(work), chosen.users, chosen.slices, are_sorted=are_sorted)


if __name__ == "__main__":
    main()
