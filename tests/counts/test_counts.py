"""What a run does is counted and not timed: a later change that makes it do more is seen, on any machine.

A number may fall: `nox -s counts` records those of the tree.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import PostgreSQL, a_server
from destinations.receiver import Receiver, Reply

from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import TIME_TO_LIVE_VARIABLE
from audience_sync.store.maintenance.migrate import upgrade

HERE = Path(__file__).parent
RECORDED = HERE / "counts.json"
RECORD = "nox -s counts"
USERS = 1_000
#: Six audiences from two files, two traits, and two services. Each service gets its calls of a run in one request:
#: how many answers are recorded together depends on the time.
CONFIG = """
store: {store}
sources: {{exports: {{files: .}}}}
audiences:
  - {{name: Newsletter, source: exports, file: newsletter.csv}}
  - {{names_from: audience, source: exports, file: audiences.csv}}
computed_traits: [{{source: exports, file: traits.csv, traits: [score, city]}}]
destinations:
  segment: {{type: segment, write_key: key, url: "{url}"}}
  mixpanel: {{type: mixpanel, token: key, url: "{url}"}}
guard: {{max_removed: 100%, max_added: 100%}}
"""
#: The files of an unchanged run are written again with the same rows; those of a repeated run are not.
RUNS = ("first run", "1% run", "unchanged run", "repeated run")
#: Seconds. No run is so slow that it renews its lease in the background, which takes statements.
LEASE_SECONDS = "3600"
Counts = Mapping[str, Mapping[str, int]]


def write_snapshots(folder: Path, *, day: int) -> None:
    """From day 0 to day 1 one user in a hundred enters or leaves the newsletter and gets another city."""
    changed = set(range(0, USERS, 99)) if day else set[int]()
    traits = [f"user-{n:04},{n % 90 + 0.5},City {n % 7 + (n in changed)}" for n in range(USERS)]
    for name, lines in {
        "newsletter.csv": ["user_id", *(f"user-{n:04}" for n in range(USERS) if (n % 2 == 0) != (n in changed))],
        "audiences.csv": ["user_id,audience", *(f"user-{n:04},Group {n % 5}" for n in range(0, USERS, 3))],
        "traits.csv": ["user_id,score,city", *traits],
    }.items():
        file = folder / name
        file.write_text("\n".join(lines) + "\n")
        os.utime(file, (1_700_000_000 + day, 1_700_000_000 + day))


def count_runs(folder: Path, store: str) -> dict[str, dict[str, int]]:
    """What the runs did, each in a process of its own, by their names. ``store``: the URL of an empty store."""
    with Receiver() as receiver:
        receiver.will_answer(Reply(body=b'{"success": true, "code": 200, "status": "OK"}'))
        (folder / "config.yaml").write_text(CONFIG.format(store=store, url=receiver.url))
        days = (0, 1, 1, None)
        return {name: count_run(folder, receiver, day=day) for name, day in zip(RUNS, days, strict=True)}


def count_run(folder: Path, receiver: Receiver, *, day: int | None) -> dict[str, int]:
    receiver.requests.clear()
    if day is not None:
        write_snapshots(folder, day=day)
    counts = folder / "counts.json"
    command = [sys.executable, "-m", "counts.count_command", str(counts), "sync", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), TIME_TO_LIVE_VARIABLE: LEASE_SECONDS}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    bodies = [
        gzip.decompress(each.body) if each.headers.get("content-encoding") == "gzip" else each.body
        for each in receiver.requests
    ]
    totals = json.loads(counts.read_text())
    return {**totals, "requests": len(bodies), "bytes sent": sum(map(len, bodies))}


def differences(recorded: Counts, counted: Counts, *, are_more: bool) -> list[str]:
    return [
        f"{run}: {name}: {counted[run].get(name, 0):,}, recorded are {recorded[run].get(name, 0):,}"
        for run in RUNS
        for name in sorted({*recorded[run], *counted[run]})
        if counted[run].get(name, 0) != recorded[run].get(name, 0)
        and (counted[run].get(name, 0) > recorded[run].get(name, 0)) == are_more
    ]


@pytest.mark.filterwarnings("default:fewer than recorded")
def test_a_run_does_no_more_than_recorded(empty_store: Store, database: str, tmp_path: Path) -> None:
    recorded, counted = json.loads(RECORDED.read_text())[database], count_runs(tmp_path, url_of(empty_store))

    fewer = differences(recorded, counted, are_more=False)
    if fewer:
        warnings.warn("\n".join(["fewer than recorded:", *fewer, f"Record them: {RECORD}"]), stacklevel=1)
    more = differences(recorded, counted, are_more=True)
    assert not more, "\n".join(["A run does more than recorded:", *more, f"If it has to: {RECORD}"])


def url_of(store: Store) -> str:
    """With tables on PostgreSQL: a run makes those of an SQLite store only."""
    if not store.is_sqlite:
        upgrade(store)
    store.close()
    return store.url.render_as_string(hide_password=False)


def main() -> None:
    """Record what the runs of this tree do, on both databases."""
    counted = {}
    with a_server() as server, TemporaryDirectory() as folder:
        urls = {"sqlite": f"sqlite:///{folder}/store.db", "postgresql": PostgreSQL(server.get_uri()).create()}
        for database, url in urls.items():
            counted[database] = count_runs(Path(folder), url_of(Store(url)))
    RECORDED.write_text(json.dumps(counted, indent=2, sort_keys=True) + "\n")
    print(RECORDED.read_text(), end="")


if __name__ == "__main__":
    main()
