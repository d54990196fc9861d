"""What is measured? A base case at each size, and one variation of it at a time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

#: ``rewritten``: the file is another one with the same content, so that it has to be read to know.
STEPS = ("first", "unchanged", "rewritten", "1%")


@dataclass(frozen=True)
class Case:
    """``kind`` is one of ``data.KINDS``; ``steps`` of ours, the others do without ``rewritten``.

    ``options``: further options of our destination, as the inside of a YAML mapping.
    """

    name: str
    users: int
    kind: str = "shop"
    ids: str = "uuid"
    format: str = "csv"
    store: str = "sqlite"
    members_table: bool = True
    delay_ms: int = 0
    destination: bool = True
    options: str = ""
    contenders: tuple[str, ...] = ("ours",)
    steps: tuple[str, ...] = STEPS
    max_rounds: int = 99

    def data(self, work: Path) -> Path:
        """The folder of its data, generated when it is asked for first."""
        folder = work / "data" / f"{self.kind}-{self.users}-{self.ids}"
        if not (folder / "expected.json").exists():
            formats = "csv,parquet" if self.kind in ("shop", "people") else "parquet"
            options = ["--kind", self.kind, "--users", str(self.users), "--ids", self.ids, "--formats", formats]
            script = Path(__file__).with_name("data.py")
            subprocess.run([sys.executable, str(script), str(folder), *options], check=True)
        return folder


def size_name(users: int) -> str:
    for unit, suffix in ((1_000_000, "m"), (1_000, "k")):
        if users >= unit:
            return f"{users // unit}{suffix}"
    return str(users)


def all_cases(sizes: tuple[int, ...]) -> list[Case]:
    cases = [_base(users) for users in sizes]
    return cases + _small() + _variations(max(sizes)) + _delivery(max(sizes)) + _members(max(sizes)) + _many(max(sizes))


def _base(users: int) -> Case:
    contenders = ["ours", "cron", "cron-default"]
    if users <= 100_000:
        contenders += ["dlt", "drt-batches"]
    if users <= 10_000:
        contenders += ["drt"]
    return Case(f"base-{size_name(users)}", users, contenders=(*contenders, "duckdb"))


def _small() -> list[Case]:
    return [Case("base-5k", 5_000, contenders=("ours", "cron"), steps=("first", "unchanged"))]


def _variations(users: int) -> list[Case]:
    base = Case("", users)
    size = size_name(users)
    return [
        replace(base, name=f"parquet-{size}", format="parquet"),
        replace(base, name=f"short-ids-{size}", ids="short"),
        replace(base, name=f"no-members-table-{size}", members_table=False),
        replace(base, name=f"postgresql-{size}", store="postgresql"),
        replace(base, name=f"postgresql-no-members-table-{size}", store="postgresql", members_table=False),
        replace(base, name=f"20ms-{size}", delay_ms=20),
        replace(base, name=f"50ms-{size}", delay_ms=50),
    ]


def _delivery(users: int) -> list[Case]:
    """Delivery alone: ours as it says itself, its CPU that of a first run less that of one without a destination."""
    size = size_name(users)
    few = min(users, 100_000)
    delivery = Case(f"delivery-{size}", users, contenders=("ours", "segment"), steps=("first",))
    return [
        delivery,
        replace(delivery, name=f"no-destination-{size}", destination=False, contenders=("ours",)),
        replace(delivery, name=f"delivery-{size_name(few)}-50ms", users=few, delay_ms=50),
    ]


def _members(users: int) -> list[Case]:
    """Diff and commit: one audience of so many members as Parquet, and nowhere to send it."""
    cases = []
    for members in (users, users * 10):
        for store in ("sqlite", "postgresql"):
            for table in (False, True):
                name = f"members-{size_name(members)}-{store}{'-table' if table else ''}"
                case = Case(name, members, "members", format="parquet", store=store, members_table=table)
                rounds = 99 if members < 10_000_000 else 2
                cases.append(replace(case, destination=False, contenders=("ours", "duckdb"), max_rounds=rounds))
    return cases


def _many(users: int) -> list[Case]:
    """200 audiences from one source, each with a tenth of the users; as rows twenty times the users."""
    case = Case(f"200-audiences-{size_name(users)}", users, "many", format="parquet", members_table=False)
    return [replace(case, destination=False, contenders=("ours", "duckdb"), max_rounds=2)]
