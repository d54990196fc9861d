"""Measure `members KEY`, now and at a past time, against DuckDB's COPY of the same rows in the same order to CSV."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.contenders import SCRIPTS, Place, configure
from benchmarks.environments import python_of
from benchmarks.results import Run
from benchmarks.rounds import Bench, home_of, measure, measure_ours


def play(case: Case, bench: Bench, number: int) -> Iterator[Run]:
    """COPY reads Parquet files that are sorted already, as the store's are."""
    members = replace(case, kind="members", format="parquet", destination=False)
    data = members.data(bench.work)
    with home_of(case.name, bench) as home:
        (home / "today").mkdir()
        configure(Place(home, members, "", "sqlite:///store.db", bench.work, bench.program))
        past = _sync_both_days(bench, home, data)
        copy = [str(python_of("duckdb", bench.work)), str(SCRIPTS / "copy_members.py")]
        measure([*copy, "--prepare", str(data)], home)
        for step, day, options in (("now", "day1", ()), ("past", "day0", ("--at", past))):
            yield "ours", step, measure_ours(bench, home, "members", "members", *options, stdout="ours.csv")
            yield "copy", step, measure([*copy, f"{day}.parquet", "copy.csv"], home)
            _compare(home / "ours.csv", home / "copy.csv")


def _sync_both_days(bench: Bench, home: Path, data: Path) -> str:
    """Returns a time between the two runs."""
    past = datetime.now(UTC)
    for day in ("day0", "day1"):
        time.sleep(2)  # times have seconds, and a file that was just written would be read again
        shutil.copyfile(data / day / "members.parquet", home / "today" / "members.parquet")
        measure_ours(bench, home, "sync")
        if day == "day0":
            past = datetime.now(UTC)
    return past.strftime("%Y-%m-%dT%H:%M:%SZ")


def _compare(ours: Path, theirs: Path) -> None:
    """Raises RuntimeError if the lists have not as many bytes: times have one length."""
    if ours.stat().st_size != theirs.stat().st_size:
        raise RuntimeError(f"{ours} has {ours.stat().st_size:,} bytes, {theirs} {theirs.stat().st_size:,}")
