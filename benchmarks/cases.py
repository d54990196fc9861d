"""List what is measured. A case is measured alone: its contenders, side by side, at each of its steps."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Steps of a sync. ``rewritten``: a file with the same content and a new time, which has to be read.
STEPS = ("first", "unchanged", "rewritten", "1%")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Users or members of the cases."""

    most: int = 50_000_000
    members: int = 10_000_000
    users: int = 1_000_000
    medium: int = 100_000
    small: int = 10_000
    tiny: int = 5_000
    runs: int = 10_000


FULL = Sizes()
#: Everything within five minutes.
QUICK = Sizes(most=200_000, members=100_000, users=20_000, medium=10_000, small=5_000, tiny=5_000, runs=1_000)


@dataclass(frozen=True, kw_only=True)
class Case:
    """``kind``: one of ``data.KINDS`` for syncs, or what ``players.py`` measures in another way.

    ``options``: further options of our destination, as the inside of a YAML mapping. ``memory_limit``: that of our
    config. An ``optional`` case is measured only if it is named.
    """

    name: str
    users: int
    kind: str = "shop"
    format: str = "csv"
    store: str = "sqlite"
    members_table: bool = True
    memory_limit: str = "768MB"
    delay_ms: int = 0
    destination: bool = True
    options: str = ""
    contenders: tuple[str, ...] = ("ours",)
    steps: tuple[str, ...] = ("first", "1%")
    optional: bool = False
    max_rounds: int = 99

    def data(self, work: Path) -> Path:
        """The folder of its data, made by whoever needs it first."""
        folder = work / "data" / f"{self.kind}-{self.users}"
        if not (folder / "expected.json").exists():
            formats = "csv,parquet" if self.kind in ("shop", "people") else "parquet"
            options = ["--kind", self.kind, "--users", str(self.users), "--formats", formats]
            script = Path(__file__).with_name("data.py")
            subprocess.run([sys.executable, str(script), str(folder), *options], check=True)
        return folder


def size_name(users: int) -> str:
    for unit, suffix in ((1_000_000, "m"), (1_000, "k")):
        if users >= unit:
            return f"{users // unit}{suffix}"
    return str(users)


def all_cases(sizes: Sizes) -> list[Case]:
    """In the order in which they are measured."""
    return [*_syncs(sizes), *_delivery(sizes), *_members(sizes), *_memory(sizes), *_others(sizes)]


def _syncs(sizes: Sizes) -> list[Case]:
    """Whole runs of a shop: two audiences, two traits, one destination."""
    all_steps = ("first", "unchanged", "1%")
    cron = ("ours", "cron", "cron-tuned", "cron-default", "limit")
    return [
        Case(name="csv", users=sizes.users, contenders=cron, steps=all_steps),
        Case(name="parquet", users=sizes.users, format="parquet", contenders=("ours", "limit"), steps=all_steps),
        Case(name="csv-medium", users=sizes.medium, contenders=("ours", "cron", "dlt", "drt"), steps=all_steps),
        Case(name="csv-small", users=sizes.small, contenders=("ours", "cron", "dlt", "drt"), steps=all_steps),
        Case(name="csv-tiny", users=sizes.tiny, contenders=("ours", "cron"), steps=all_steps),
    ]


def _delivery(sizes: Sizes) -> list[Case]:
    """Delivery alone, as both report it. Our CPU is that of a first run less that of one without a destination."""
    alone, segment = ("first",), ("ours", "segment", "segment-tuned")
    return [
        Case(name="delivery", users=sizes.users, contenders=segment, steps=alone),
        Case(name="no-destination", users=sizes.users, destination=False, steps=alone),
        Case(name="delivery-50ms", users=sizes.medium, delay_ms=50, contenders=segment, steps=alone),
    ]


def _members(sizes: Sizes) -> list[Case]:
    """Diff and commit: one audience as Parquet, or 200 with a tenth of the users each, and no destination."""
    cases = [
        Case(
            name=f"{prefix}-{store}{'-table' if table else ''}",
            users=users,
            kind="members",
            format="parquet",
            store=store,
            members_table=table,
            destination=False,
            contenders=("ours", "limit"),
        )
        for prefix, users in (("members", sizes.users), ("large", sizes.members))
        for store in ("sqlite", "postgresql")
        for table in (False, True)
    ]
    many = Case(
        name="many",
        users=sizes.users,
        kind="many",
        format="parquet",
        members_table=False,
        destination=False,
        contenders=("ours", "limit"),
    )
    return [*cases, many]


def _memory(sizes: Sizes) -> list[Case]:
    large: dict[str, Any] = {"kind": "members", "format": "parquet", "destination": False, "max_rounds": 1}
    return [
        Case(name="large-512mb", users=sizes.members, memory_limit="512MB", **large),
        Case(name="calls-512mb", users=sizes.users, memory_limit="512MB", max_rounds=1),
        Case(name="huge", users=sizes.most, optional=True, **large),
        Case(name="huge-512mb", users=sizes.most, memory_limit="512MB", optional=True, **large),
    ]


def _others(sizes: Sizes) -> list[Case]:
    return [
        Case(name="listings", users=sizes.members, kind="listings", contenders=("ours", "copy"), steps=("now", "past")),
        Case(
            name="start-up",
            users=sizes.runs,
            kind="start-up",
            steps=("empty Python", "--help", "history"),
            max_rounds=1,
        ),
        Case(name="install", users=0, kind="install", contenders=("ours", "drt"), steps=("install",), max_rounds=1),
        *(
            Case(
                name=name,
                users=users,
                kind="warehouse",
                contenders=("ours", "ours-here"),
                steps=("first", "0.1%", "1%"),
            )
            for name, users in (("warehouse", sizes.users), ("large-warehouse", sizes.members))
        ),
        *(
            Case(
                name=name,
                users=users,
                kind="warehouse-traits",
                contenders=("ours", "ours-here"),
                steps=("first", "1%"),
                optional=users > sizes.users,
            )
            for name, users in (("warehouse-traits", sizes.users), ("large-warehouse-traits", sizes.members))
        ),
    ]
