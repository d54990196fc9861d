"""Which ratios are to be reached, and what was measured? Whole processes, unless it says ``inside``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cases import size_name
from benchmarks.results import Results

UUID_BYTES = 36


@dataclass(frozen=True)
class Goal:
    """``measured`` is None where a case wasn't run; ``inside`` leaves the start of the processes out."""

    what: str
    against: str
    target: float
    measured: float | None
    unit: str = "x"
    at_least: bool = False
    inside: float | None = None

    @property
    def reached(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.target if self.at_least else self.measured <= self.target


def over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def goals(results: Results, users: int) -> list[Goal]:
    return [*_runs(results, users), *_commits(results, users), *_delivery(results, users), *_others(results, users)]


def _runs(results: Results, users: int) -> Iterator[Goal]:
    size = size_name(users)
    for step, target in (("1%", 10.0), ("first", 15.0)):
        ratio = over(results.median(f"base-{size}", "cron", step), results.median(f"base-{size}", "ours", step))
        yield Goal(f"{step} run, {size} users: times faster", "cron script", target, ratio, at_least=True)
    small = over(results.median("base-5k", "ours", "unchanged"), results.median("base-5k", "cron", "unchanged"))
    yield Goal("unchanged run, 5k users", "cron script", 1.0, small)


def _commits(results: Results, users: int) -> Iterator[Goal]:
    for members in (users, users * 10):
        for name, target in (("sqlite", 1.7), ("sqlite-table", 3.0), ("postgresql", 2.5), ("postgresql-table", 8.0)):
            yield _commit(results, members, name, "1%", target)
    yield _commit(results, users * 10, "sqlite", "first", 2.0)
    yield _commit(results, users * 10, "sqlite-table", "first", 8.0)
    yield _commit(results, users * 10, "sqlite", "rewritten", 2.0)
    yield _commit(results, users * 10, "sqlite", "unchanged", 2.0)
    many = f"200-audiences-{size_name(users)}"
    ratios = [over(results.median(many, "ours", "1%", of), results.median(many, "duckdb", "1%", of)) for of in WALLS]
    yield Goal(f"200 audiences over {size_name(users)} users, 1%", "DuckDB", 3.0, ratios[0], inside=ratios[1])


WALLS = ("wall", "seconds")


def _commit(results: Results, members: int, store: str, step: str, target: float) -> Goal:
    case = f"members-{size_name(members)}-{store}"
    ratios = [over(results.median(case, "ours", step, of), results.median(case, "duckdb", step, of)) for of in WALLS]
    label = {"1%": "1% diff and commit", "first": "first load", "rewritten": "same content, other file"}.get(step, step)
    title = store.replace("sqlite", "SQLite").replace("postgresql", "PostgreSQL").replace("-table", " + members table")
    return Goal(f"{label}, {size_name(members)} members, {title}", "DuckDB", target, ratios[0], inside=ratios[1])


def _delivery(results: Results, users: int) -> Iterator[Goal]:
    size, few = size_name(users), size_name(min(users, 100_000))
    for case, target, delay in ((f"delivery-{size}", 30.0, "at once"), (f"delivery-{few}-50ms", 50.0, "after 50 ms")):
        ours, theirs = (results.median(case, who, "first", "delivery") for who in ("ours", "segment"))
        title = f"delivery, answers {delay}: times faster"
        yield Goal(title, "Segment's client", target, over(theirs, ours), at_least=True)
    with_it = results.median(f"delivery-{size}", "ours", "first", "cpu")
    without = results.median(f"no-destination-{size}", "ours", "first", "cpu")
    million = None if with_it is None or without is None else (with_it - without) * 1_000_000 / users
    yield Goal("delivery, CPU for a million calls", "-", 4.0, million, "s")


def _others(results: Results, users: int) -> Iterator[Goal]:
    size = size_name(users * 10)
    for store in ("sqlite", "sqlite-table", "postgresql"):
        peaks = [results.median(f"members-{size}-{store}", "ours", step, "memory") for step in ("first", "1%")]
        known = [peak / 1_000_000 for peak in peaks if peak is not None]
        yield Goal(f"peak memory, {size} members, {store}", "-", 768, max(known, default=None), "MB")
    for store in ("sqlite", "sqlite-table"):
        stored = results.median(f"members-{size}-{store}", "ours", "first", "store_bytes")
        yield Goal(f"bytes in the store, {size} members, {store}", "ids", 2.5, over(stored, users * 10 * UUID_BYTES))
    empty = results.median("start-up", "empty Python", "start", "cpu")
    for name, target in (("--help", 150), ("history", 400)):
        used = results.median("start-up", name, "start", "cpu")
        above = None if used is None or empty is None else (used - empty) * 1_000
        yield Goal(f"CPU of {name}, above an empty Python", "-", target, above, "ms")
