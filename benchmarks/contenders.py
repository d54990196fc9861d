"""Say how each contender is run: how it lays out its folder, and the command of a step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import STEPS, Case
from benchmarks.environments import python_of
from benchmarks.peers import drt_project

SCRIPTS = Path(__file__).with_name("peers")
#: The steps that others play.
PEERS, CHANGES = ("first", "unchanged", "1%"), ("first", "1%")


@dataclass(frozen=True)
class Place:
    """Where a contender runs: ``today`` and ``yesterday`` are in its home; ``url`` is the receiver's."""

    home: Path
    case: Case
    url: str
    store: str
    work: Path
    program: Path

    @property
    def day0(self) -> Path:
        return self.case.data(self.work) / "day0"

    @property
    def day1(self) -> Path:
        return self.case.data(self.work) / "day1"

    @property
    def yesterday(self) -> list[str]:
        """As an argument: nothing before the first run."""
        return ["yesterday"] if (self.home / "yesterday").exists() else []


def _nothing(place: Place) -> None:
    """Needs no preparation."""


@dataclass(frozen=True)
class Contender:
    """``max_rounds``: what takes minutes and is in no ratio runs less often. ``sends``: whether calls are expected."""

    title: str
    command: Callable[[Place], list[str]]
    prepare: Callable[[Place], None] = _nothing
    environment: Callable[[Place], dict[str, str]] = lambda place: {}
    sends: bool = True
    steps: tuple[str, ...] = STEPS
    max_rounds: int = 99


CONFIG = """
store: {store}
memory_limit: {memory_limit}
members_table: {members_table}
sources: {{exports: {{files: today}}}}
audiences: {audiences}
computed_traits: {traits}
destinations: {destinations}
guard: {{max_removed: 100%, max_added: 100%}}
"""


def configure(place: Place) -> None:
    form = place.case.format
    audiences, traits = {
        "shop": (
            f"[{{name: Newsletter, source: exports, file: newsletter.{form}}}, "
            f"{{name: Buyers, source: exports, file: buyers.{form}}}]",
            f"[{{source: exports, file: traits.{form}, traits: [score, city]}}]",
        ),
        "people": (
            f"[{{name: Newsletter, source: exports, file: newsletter.{form}}}, "
            f"{{name: Buyers, source: exports, file: buyers.{form}}}]",
            f"[{{source: exports, file: traits.{form}, traits: [score, city, email]}}]",
        ),
        "members": (f"[{{name: Members, source: exports, file: members.{form}}}]", "[]"),
        "many": (f"[{{names_from: audience, source: exports, file: audiences.{form}}}]", "[]"),
    }[place.case.kind]
    options = f'type: segment, write_key: key, url: "{place.url}", {place.case.options}'
    segment = f"{{segment: {{{options}}}}}" if place.case.destination else "{}"
    config = CONFIG.format(
        store=place.store,
        memory_limit=place.case.memory_limit,
        members_table=str(place.case.members_table).lower(),
        audiences=audiences,
        traits=traits,
        destinations=segment,
    )
    (place.home / "config.yaml").write_text(config)
    if place.case.store == "postgresql":  # an SQLite store is made by the first run
        subprocess.run([place.program, "db", "upgrade"], cwd=place.home, check=True, capture_output=True)


def _ours(place: Place) -> list[str]:
    return [str(place.program), "sync", "--json"]


def _cron(*options: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        script = [str(python_of("cron", place.work)), str(SCRIPTS / "cron.py")]
        return [*script, place.url, "today", *place.yesterday, *options]

    return command


def _segment_client(*options: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        script = [str(python_of("cron", place.work)), str(SCRIPTS / "segment_client.py")]
        return [*script, place.url, str(place.day0), *options]

    return command


def _dlt(place: Place) -> list[str]:
    return [str(python_of("dlt", place.work)), str(SCRIPTS / "dlt_scd2.py"), place.url, "today"]


def _dlt_environment(place: Place) -> dict[str, str]:
    return {"DLT_DATA_DIR": str(place.home / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"}


def _drt(place: Place) -> list[str]:
    return [str(python_of("drt", place.work).with_name("drt")), "run"]


def _drt_prepare(place: Place) -> None:
    view = drt_project.write(place.home, place.url)
    create = "import duckdb, sys; duckdb.connect('warehouse.duckdb').execute(sys.argv[1])"
    subprocess.run([python_of("drt", place.work), "-c", create, view], cwd=place.home, check=True)


def _limit(place: Place) -> list[str]:
    script = [str(python_of("duckdb", place.work)), str(SCRIPTS / "limit.py")]
    return [*script, place.case.kind, str(place.day0), str(place.day1)]


def _at_home(place: Place) -> dict[str, str]:
    return {"HOME": str(place.home)}


#: Segment's client sends batches of 100 calls by default. Larger ones need a fifth less CPU; more threads need more.
TUNED = ("--upload-size", "1000")

CONTENDERS: dict[str, Contender] = {
    "ours": Contender("Audience Sync", _ours, configure),
    "ours-here": Contender("Audience Sync, everything fetched", _ours, configure),
    "cron": Contender("cron script, queue raised", _cron("--queue", "2000000"), steps=PEERS),
    "cron-tuned": Contender(
        "cron script, queue raised, batches of 1,000", _cron("--queue", "2000000", *TUNED), steps=CHANGES
    ),
    "cron-default": Contender("cron script, as it comes", _cron(), steps=CHANGES, max_rounds=1),
    "dlt": Contender("dlt scd2 + destination", _dlt, environment=_dlt_environment, steps=PEERS),
    "drt": Contender("drt-core, in batches", _drt, _drt_prepare, _at_home, steps=PEERS),
    "segment": Contender("Segment's client alone, queue raised", _segment_client()),
    "segment-tuned": Contender("Segment's client alone, batches of 1,000", _segment_client(*TUNED)),
    "limit": Contender("DuckDB, one join (the limit)", _limit, sends=False, steps=CHANGES),
}
#: Of contenders and commands that are no syncs.
TITLES = {**{name: each.title for name, each in CONTENDERS.items()}, "copy": "DuckDB's COPY"}
