"""The table: each row has cases, ratios to reach, and what was measured before the work on speed (2026-11-29)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.cases import Sizes, size_name
from benchmarks.results import Results


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a row. ``value`` is None if it was not measured, ``reach`` if nothing has to be reached.

    ``text`` has the number in its place, such as ``CPU {}x``. ``low`` and ``high`` are of single rounds.
    """

    value: float | None
    text: str
    digits: int = 2
    reach: float | None = None
    at_least: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def is_reached(self) -> bool | None:
        if self.value is None or self.reach is None:
            return None
        return self.value >= self.reach if self.at_least else self.value <= self.reach

    @property
    def now(self) -> str:
        if self.value is None:
            return ""
        low, high = ("" if each is None else self._number(each) for each in (self.low, self.high))
        return self.text.format(self._number(self.value)) + (f" ({low} to {high})" if low != high else "")

    @property
    def target(self) -> str:
        if self.reach is None:
            return ""
        sign = "" if self.reach == 0 else "≥ " if self.at_least else "≤ "
        return self.text.format(f"{sign}{self.reach:,g}")

    def _number(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


@dataclass(frozen=True)
class Measure:
    """Computes a figure of a row from the results of these cases."""

    cases: tuple[str, ...]
    figure: Callable[[Results], Figure]


@dataclass(frozen=True, kw_only=True)
class Row:
    """``before`` and ``stretch`` are shown as they stand here. ``inside``: the start of the processes is left out."""

    name: str
    what: str
    against: str
    before: str
    measures: Sequence[Measure]
    stretch: str = ""
    inside: bool = False
    cases: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", tuple(dict.fromkeys(case for each in self.measures for case in each.cases)))


def times_faster(case: str, step: str, who: str, reach: float | None = None, of: str = "wall") -> Measure:
    """How many times our time, or other amount, theirs is."""
    return _ratio(case, step, (who, "ours"), reach, at_least=True, of=of)


def times_limit(case: str, step: str, reach: float | None = None, of: str = "wall", who: str = "limit") -> Measure:
    """How many times the limit's time, or other amount, ours is."""
    return _ratio(case, step, ("ours", who), reach, at_least=False, of=of)


def _ratio(
    case: str, step: str, above_below: tuple[str, str], reach: float | None, *, at_least: bool, of: str
) -> Measure:
    text = "CPU {}x" if of == "cpu" else "{}x"
    if any(who.endswith("-tuned") for who in above_below):
        text += " against batches of 1,000"

    def figure(results: Results) -> Figure:
        above, below = (results.values(case, who, step, of) for who in above_below)
        if not above or not below:
            return Figure(value=None, text=text, reach=reach, at_least=at_least)
        rounds = [one / other for one, other in zip(above, below, strict=False) if other]
        value = statistics.median(above) / statistics.median(below)
        return Figure(value=value, text=text, reach=reach, at_least=at_least, low=min(rounds), high=max(rounds))

    return Measure((case,), figure)


def lost(case: str, step: str) -> Measure:
    def figure(results: Results) -> Figure:
        values = results.values(case, "ours", step, "lost")
        return Figure(value=max(values, default=None), text="{} lost", digits=0, reach=0)

    return Measure((case,), figure)


def peak(cases: Sequence[str], steps: Sequence[str], reach: float | None, label: str = "") -> Measure:
    """The most memory of any of these runs, in MB."""

    def figure(results: Results) -> Figure:
        values = [each for case in cases for step in steps for each in results.values(case, "ours", step, "memory")]
        most = max(values) / 1e6 if values else None
        return Figure(value=most, text="{} MB" + label, digits=0, reach=reach)

    return Measure(tuple(cases), figure)


def amount(
    of: tuple[str, str, str, str], text: str, digits: int, reach: float | None = None, scale: float = 1
) -> Measure:
    """``of``: case, contender, step, and what of it. ``scale``: its unit in that of ``text``."""

    def figure(results: Results) -> Figure:
        values = [value * scale for value in results.values(*of)]
        if not values:
            return Figure(value=None, text=text, reach=reach)
        median, low, high = statistics.median(values), min(values), max(values)
        return Figure(value=median, text=text, digits=digits, reach=reach, low=low, high=high)

    return Measure((of[0],), figure)


def difference(
    first: tuple[str, str], second: tuple[str, str], text: str, digits: int, *, reach: float, scale: float
) -> Measure:
    """CPU of our step of a case less that of another, each named by case and step."""

    def figure(results: Results) -> Figure:
        more, less = (results.median(case, "ours", step, "cpu") for case, step in (first, second))
        value = None if more is None or less is None else (more - less) * scale
        return Figure(value=value, text=text, digits=digits, reach=reach)

    return Measure(tuple(dict.fromkeys((first[0], second[0]))), figure)


def all_rows(sizes: Sizes) -> list[Row]:
    return [*_runs(sizes), *_delivery(sizes), *_commits(sizes), *_others(sizes)]


def _runs(sizes: Sizes) -> list[Row]:
    users, medium, small, tiny = map(size_name, (sizes.users, sizes.medium, sizes.small, sizes.tiny))
    return [
        Row(
            name="changes-csv",
            what=f"1% run, {users} users, CSV",
            against="cron script, queue raised",
            before="1.9x, CPU 1.3x",
            stretch="4x",
            measures=[
                times_faster("csv", "1%", "cron", 3),
                times_faster("csv", "1%", "cron", 2.5, of="cpu"),
                lost("csv", "1%"),
                times_faster("csv", "1%", "cron-tuned"),
            ],
        ),
        Row(
            name="changes-csv-limit",
            what=f"1% run, {users} users, CSV",
            against="limit",
            before="4.7x",
            stretch="2.5x",
            measures=[times_limit("csv", "1%", 3), times_limit("csv", "1%", of="cpu")],
        ),
        Row(
            name="changes-parquet",
            what=f"1% run, {users} users, Parquet",
            against="limit",
            before="3.4x",
            stretch="2x",
            measures=[times_limit("parquet", "1%", 2.5), times_limit("parquet", "1%", of="cpu")],
        ),
        Row(
            name="first-csv",
            what=f"first run, {users} users, CSV",
            against="cron script, queue raised",
            before="6.8x, CPU 5x",
            stretch="15x",
            measures=[
                times_faster("csv", "first", "cron", 10),
                times_faster("csv", "first", "cron", 8, of="cpu"),
                lost("csv", "first"),
                times_faster("csv", "first", "cron-tuned"),
            ],
        ),
        *(
            Row(
                name=f"small-{name}",
                what=f"{step} run, {small} users, CSV",
                against="drt-core, in batches",
                before=before,
                stretch="1.5x",
                measures=[
                    times_faster("csv-small", step, "drt", 1),
                    times_faster("csv-small", step, "drt", of="cpu"),
                ],
            )
            for name, step, before in (("first", "first", "0.72x"), ("changes", "1%", "0.96x"))
        ),
        Row(
            name="medium-first",
            what=f"first run, {medium} users, CSV",
            against="dlt",
            before="1.2x",
            stretch="2x",
            measures=[
                times_faster("csv-medium", "first", "dlt", 1.5),
                times_faster("csv-medium", "first", "dlt", of="cpu"),
            ],
        ),
        Row(
            name="unchanged",
            what=f"nothing changed, {tiny} users, CSV",
            against="cron script, queue raised",
            before="1.4x, CPU 0.75x",
            stretch="CPU 3x",
            measures=[
                times_faster("csv-tiny", "unchanged", "cron"),
                times_faster("csv-tiny", "unchanged", "cron", 1.5, of="cpu"),
            ],
        ),
    ]


def _delivery(sizes: Sizes) -> list[Row]:
    per_million = 1_000_000 / sizes.users
    return [
        Row(
            name="delivery",
            what=f"delivery of {size_name(sizes.users)} calls, durable",
            against="Segment's client, queue raised",
            before="13.5x",
            stretch="35x",
            inside=True,
            measures=[
                times_faster("delivery", "first", "segment", 30, of="delivery"),
                times_faster("delivery", "first", "segment-tuned", of="delivery"),
                difference(
                    ("delivery", "first"),
                    ("no-destination", "first"),
                    "CPU {} s a million",
                    1,
                    reach=2,
                    scale=per_million,
                ),
            ],
        ),
        Row(
            name="delivery-50ms",
            what=f"delivery of {size_name(sizes.medium)} calls, answers after 50 ms",
            against="Segment's client, queue raised",
            before="55x",
            inside=True,
            measures=[
                times_faster("delivery-50ms", "first", "segment", 60, of="delivery"),
                times_faster("delivery-50ms", "first", "segment-tuned", of="delivery"),
            ],
        ),
    ]


#: Case, what its store is called, ratio before and ratios to reach: 1% run, first load.
_COMMITS: Sequence[tuple[str, str, tuple[str, float, str] | None, tuple[str, float, str] | None]] = (
    ("members-sqlite", "SQLite", ("3.2x", 2.5, "1.7x"), None),
    ("members-postgresql", "PostgreSQL", ("4.3x", 3, "2.5x"), None),
    ("members-sqlite-table", "SQLite with members table", ("3.6x", 3, ""), None),
    ("members-postgresql-table", "PostgreSQL with members table", ("4.9x", 4, ""), None),
    ("large-sqlite", "SQLite", ("2.2x", 1.8, "1.5x"), ("3.5x", 2.5, "2x")),
    ("large-postgresql", "PostgreSQL", ("3.8x", 2.5, "2x"), None),
    ("large-sqlite-table", "SQLite with members table", None, ("10.3x", 7, "5x")),
    ("large-postgresql-table", "PostgreSQL with members table", None, ("32x", 15, "10x")),
)


def _commits(sizes: Sizes) -> list[Row]:
    rows = [
        Row(
            name=f"{case}-{step.replace('1%', 'changes')}",
            what=f"{title}, {size_name(sizes.members if case.startswith('large') else sizes.users)} members, {store}",
            against="limit",
            before=goal[0],
            stretch=goal[2],
            measures=[times_limit(case, step, goal[1]), times_limit(case, step, of="cpu")],
        )
        for case, store, *goals in _COMMITS
        for step, title, goal in zip(("1%", "first"), ("1% diff and commit", "first load"), goals, strict=True)
        if goal is not None
    ]
    many = Row(
        name="many-changes",
        what=f"200 audiences over {size_name(sizes.users)} users, 1%",
        against="limit",
        before="3.3x",
        stretch="2x",
        measures=[times_limit("many", "1%", 2.5), times_limit("many", "1%", of="cpu")],
    )
    return [*rows, many]


def _others(sizes: Sizes) -> list[Row]:
    members, most, users = size_name(sizes.members), size_name(sizes.most), size_name(sizes.users)
    large = ("large-sqlite", "large-sqlite-table", "large-postgresql", "large-postgresql-table")
    steps = ("first", "1%")
    listings = [
        Row(
            name=f"listing-{step}",
            what=f"`{command}`, {members} members",
            against="DuckDB's COPY",
            before="15 to 45 s of CPU",
            stretch="1.3x",
            measures=[
                times_limit("listings", step, 2, who="copy"),
                times_limit("listings", step, of="cpu", who="copy"),
                amount(("listings", "ours", step, "cpu"), "{} s of CPU", 1),
            ],
        )
        for step, command in (("now", "members KEY"), ("past", "members KEY --at TIME"))
    ]
    memory = [
        Row(
            name=f"memory-{name}",
            what=f"peak memory, {what}",
            against="-",
            before=before,
            stretch="512 MB",
            measures=[peak(cases, steps, 768), peak(small, steps, None, " with `memory_limit: 512MB`")],
        )
        for name, what, before, cases, small in (
            ("large", f"{members} members", "662 to 736 MB", large, ("large-512mb",)),
            ("huge", f"{most} members", "710 MB", ("huge",), ("huge-512mb",)),
            ("calls", f"{users} calls", "675 MB", ("csv",), ("calls-512mb",)),
        )
    ]
    start = [
        Row(
            name=f"start-{name}",
            what=what,
            against="empty Python",
            before=before,
            stretch=stretch,
            measures=[
                difference(
                    ("start-up", step), ("start-up", "empty Python"), "CPU {} ms more", 0, reach=reach, scale=1000
                )
            ],
        )
        for name, step, what, before, reach, stretch in (
            ("help", "--help", "`--help`", "46 ms", 100, ""),
            ("history", "history", f"`history` on {sizes.runs:,} runs", "403 ms", 300, "200 ms"),
        )
    ]
    return [
        *listings,
        *memory,
        *start,
        Row(
            name="install",
            what="installation without extras",
            against="drt-core with DuckDB",
            before="38 packages, 346 MB",
            measures=[
                amount(("install", "ours", "install", "megabytes"), "{} MB", 0, 250),
                amount(("install", "ours", "install", "packages"), "{} packages", 0),
                amount(("install", "drt", "install", "megabytes"), "drt-core {} MB", 0),
                amount(("install", "drt", "install", "packages"), "{} packages", 0),
            ],
        ),
        *_warehouses(sizes),
    ]


def _warehouses(sizes: Sizes) -> list[Row]:
    steps = (("first", "first run", None), ("0.1%", "0.1% changed", 1_000), ("1%", "1% changed", 100))
    members = [
        _warehouse(case, step, f"{size_name(users)} members, {what}", changing and users // changing)
        for case, users in (("warehouse", sizes.users), ("large-warehouse", sizes.members))
        for step, what, changing in steps
    ]
    users = f"two traits of {size_name(sizes.users)} users"
    traits = [
        _warehouse("warehouse-traits", step, f"{users}, {what}", changing and sizes.users // changing)
        for step, what, changing in steps
        if step != "0.1%"
    ]
    return [*members, *traits]


def _warehouse(case: str, step: str, what: str, changes: int | None) -> Row:
    """``changes``: their number, if few are fetched: at most 100 bytes a change and 1 MB."""
    most = 1 + 100e-6 * changes if changes else None
    ours, theirs = (case, "ours", step), (case, "ours-here", step)
    return Row(
        name=f"{case}-{_NAMES[step]}",
        what=f"source in PostgreSQL, {what}",
        against="everything fetched",
        before=_WAREHOUSE_BEFORE.get((case, step), ""),
        measures=[
            amount((*ours, "fetched"), "{} MB fetched", 2, reach=most, scale=1e-6),
            amount((*ours, "cpu"), "CPU {} s", 1, reach=1.5 if changes else None),
            peak((case,), (step,), 200 if changes else None, " of memory"),
            amount((*ours, "server"), "the server's CPU {} s", 1),
            amount((*theirs, "fetched"), "everything fetched: {} MB", 0, scale=1e-6),
            amount((*theirs, "cpu"), "CPU {} s", 1),
            amount((*theirs, "server"), "the server's CPU {} s", 1),
        ],
    )


#: Steps in names of rows.
_NAMES = {"first": "first", "0.1%": "few", "1%": "changes"}
_WAREHOUSE_BEFORE = {("large-warehouse", "0.1%"): "470 MB, 15.5 s of CPU"}
