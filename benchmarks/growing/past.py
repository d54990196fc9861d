"""Write years of history into a store: runs as if they had been. A thousand users leave
the audience in one run and are back in the next.

    python benchmarks/growing/past.py STORE --runs 10000 --changes 1000
"""

from __future__ import annotations

import argparse
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

#: Runs are a quarter of an hour apart and end where the present begins.
STARTED = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-{minutes} minutes')"
#: Of the members some may change; all of ten million would not fit into memory.
SHARE = 10


def write_past(file: Path, runs: int, changes: int) -> None:
    """Until there are so many runs. A run changes so many users, and sends each of them a call in one request."""
    with closing(sqlite3.connect(file)) as store, store:
        store.execute("pragma cache_size = -2000000")
        (done,) = store.execute("select max(id) from runs").fetchone()
        every = f"select user_id from members where property_id = 1 and abs(random()) % {SHARE} = 0"
        users = [user for (user,) in store.execute(every)]
        users = users or [user for (user,) in store.execute("select user_id from members where property_id = 1")]
        for run in range(done + 1, runs + 1):
            _write_run(store, run, runs, changes)
        log = "insert into changes (run_id, user_id, property_id, value) values (?, ?, 1, ?)"
        store.executemany(log, _changes(users, done + 1, runs, changes))
        store.execute("update delivery_cursors set position = ?", (runs,))
        store.execute("analyze")


def _write_run(store: sqlite3.Connection, run: int, runs: int, changes: int) -> None:
    values = "id, command, status, started_at, committed_at, finished_at, seconds, holder, version"
    moment = STARTED.format(minutes=(runs - run) * 15)
    store.execute(
        f"insert into runs ({values}) values (?, 'sync', 'succeeded', {moment}, {moment}, {moment}, 1, '', '')", (run,)
    )
    store.execute(
        "insert into run_audiences select ?, audience_key, 'synced', members_before, members_after, ?, ?, 0, null "
        "from run_audiences where run_id = 1",
        (run, changes * (run % 2), changes * (1 - run % 2)),
    )
    store.execute(
        "insert into run_destinations (run_id, destination_id, calls, delivered, refused, pending, retries, requests, "
        "seconds) select ?, id, ?, ?, 0, 0, 0, 1, 1 from delivery_destinations",
        (run, changes, changes),
    )
    store.execute(
        "insert into delivery_requests (destination_id, run_id, after_user, through_user, calls, refused, attempts, "
        f"http_status, answered_at, position, attempted_run) select id, ?, '', 'z', ?, 0, 1, 200, {moment}, ?, ? "
        "from delivery_destinations",
        (run, changes, run - 1, run),
    )


def _changes(users: list[str], first: int, last: int, changes: int) -> Iterator[tuple[int, str, str]]:
    """Even runs take users out, odd ones take the same in again."""
    chance = random.Random(first)
    chosen: list[str] = []
    for run in range(first, last + 1):
        if run % 2 == 0 or not chosen:
            chosen = sorted(chance.sample(users, min(changes, len(users))))
        value = "false" if run % 2 == 0 else "true"
        yield from ((run, user, value) for user in chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--changes", type=int, required=True)
    chosen = parser.parse_args()
    write_past(chosen.store, chosen.runs, chosen.changes)


if __name__ == "__main__":
    main()
