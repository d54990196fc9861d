"""Count calls and problems in steps of five minutes, and what each destination has received."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from audience_sync.sandbox.answers import Arrival
from audience_sync.sandbox.json_text import storable

#: Seconds of a bucket of counts, and for how long they are kept.
BUCKET, KEEP_COUNTS = 300, 8 * 24 * 3600


def count(db: sqlite3.Connection, arrival: Arrival, rows: Sequence[Mapping[str, Any]], new_users: int) -> None:
    """Count the calls of one request. ``rows``: of the table ``calls``."""
    destination, bucket = arrival.reading.destination, int(arrival.at // BUCKET)
    calls = Counter((row["type"], row["event"], row["outcome"]) for row in rows)
    db.executemany(
        "insert into counts values (?, ?, ?, ?, ?, ?)"
        " on conflict (bucket, destination, type, event, outcome) do update set calls = calls + excluded.calls",
        [(bucket, destination, *kind, number) for kind, number in calls.items()],
    )
    problems = [*arrival.reading.problems, *(each for call in arrival.reading.calls for each in call.problems)]
    texts = {each.code: storable(each.text) for each in problems}
    db.executemany(
        "insert into problem_counts values (?, ?, ?, ?, ?) on conflict (bucket, destination, code)"
        " do update set calls = calls + excluded.calls, text = excluded.text",
        [
            (bucket, destination, code, texts[code], number)
            for code, number in Counter(each.code for each in problems).items()
        ],
    )
    db.execute(
        "insert into destinations values (?, ?, 1, ?, ?, ?, ?) on conflict (destination) do update set"
        " requests = requests + 1, calls = calls + excluded.calls, last_at = excluded.last_at,"
        " users = users + excluded.users",
        (destination, arrival.reading.service.value, len(rows), arrival.at, arrival.at, new_users),
    )


def prune_counts(db: sqlite3.Connection, bucket: int) -> None:
    """Remove counts that are too old. ``bucket``: the present one."""
    for table in ("counts", "problem_counts"):
        db.execute(f"delete from {table} where bucket < ?", [bucket - KEEP_COUNTS // BUCKET])
