"""Record requests and their calls in the file: one transaction a request, committed before its answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audience_sync.sandbox.answers import Arrival
from audience_sync.sandbox.json_text import written
from audience_sync.sandbox.keys import masked
from audience_sync.sandbox.state.batch import UserBatch
from audience_sync.sandbox.state.changes import Change
from audience_sync.sandbox.state.counts import BUCKET, count, prune_counts
from audience_sync.sandbox.state.file import CONTENT, lock_file, open_to_write
from audience_sync.sandbox.state.plans import Plans
from audience_sync.sandbox.values import Call, Outcome

#: The last calls that are kept in full, unless ``--keep`` names another number; and their characters at most.
KEEP, KEEP_CHARACTERS = 10_000, 500_000_000
#: The last events that are kept, with their properties, for filters and goals.
KEEP_EVENTS = 100_000
#: Message ids that a repeat is recognised by.
KEEP_IDS = 200_000
#: Characters of an answer that are kept.
_ANSWER = 2_000
_Row = Mapping[str, Any]


class State:
    """The file of one sandbox. Safe to use from several threads."""

    def __init__(self, path: Path, *, keep: int = KEEP) -> None:
        self.path, self.keep = path.resolve(), keep  # the folder may be moved or removed meanwhile
        self._own = lock_file(self.path)
        try:
            self._db = open_to_write(self.path)
        except BaseException:
            os.close(self._own)
            raise
        self._lock = threading.Lock()
        self.plans = Plans(self._db, self._lock)
        self._load()

    def _load(self) -> None:
        self._call = self._last_call = self._number("select max(call) from calls")
        self._request = self._number("select max(request) from requests")
        self._events = self._number("select count(*) from events")
        self._characters = self._number("select sum(length(message)) from calls")  # and all that came since
        self._bucket = 0
        rows = self._db.execute(
            "select destination, message_id from calls where message_id <> '' and outcome in (?, ?, ?)",
            (Outcome.ACCEPTED, Outcome.CUT_OFF, Outcome.REPEAT),
        )
        self._ids, self._older_ids = {hash(row) for row in rows}, set[int]()

    @property
    def last_call(self) -> int:
        """The number of the last call that is stored; pages ask for those after it."""
        return self._last_call

    def close(self) -> None:
        with self._lock:
            self._db.close()
            os.close(self._own)

    def clear(self) -> None:
        """Forget every call, user, event and count. Planned answers stay."""
        with self._lock, self._transaction():
            for table in CONTENT:
                self._db.execute(f"delete from {table}")
            self._events, self._characters, self._ids, self._older_ids = 0, 0, set(), set()

    def record(self, arrival: Arrival) -> None:
        """Store a request with its calls, and apply them to their users."""
        with self._lock, self._transaction():
            self._request += 1
            batch = UserBatch(self._db, arrival.reading.destination, arrival.at)
            calls = arrival.reading.calls or (_no_call(arrival),)
            rows = [self._row(call, index, arrival, batch) for index, call in enumerate(calls)]
            batch.store()
            self._events += batch.events
            self._store("calls", rows[-self.keep :])
            self._store("requests", [self._request_row(arrival)])
            count(self._db, arrival, rows, batch.new_users)
            self._prune(arrival.at)

    def _row(self, call: Call, index: int, arrival: Arrival, batch: UserBatch) -> _Row:
        """Apply one call, and return its row of ``calls``."""
        self._call += 1
        reading, message_id, outcome = arrival.reading, call.message_id, arrival.outcome
        changes = list[Change]()
        if arrival.is_applied:
            message_id = message_id or (f"{reading.request_id}:{index}" if reading.request_id else "")
            key = hash((reading.destination, message_id))
            if not (call.is_usable and reading.is_usable):
                outcome = Outcome.DROPPED
            elif message_id and (key in self._ids or key in self._older_ids):
                outcome = Outcome.REPEAT
            else:
                self._ids.add(key)
                changes = batch.apply(call, self._call)
        self._characters += len(call.message)
        return {
            "call": self._call,
            "request": self._request,
            "at": arrival.at,
            "destination": reading.destination,
            "service": reading.service.value,
            "type": call.type,
            "user_id": call.user_id,
            "event": call.event,
            "outcome": outcome.value,
            "status": arrival.sent.status if arrival.sent else None,
            "message_id": message_id,
            "message": call.message,
            "changes": _json(changes),
            "problems": _json(call.problems),
        }

    def _request_row(self, arrival: Arrival) -> _Row:
        request, reading, sent = arrival.request, arrival.reading, arrival.sent
        return {
            "request": self._request,
            "at": arrival.at,
            "destination": reading.destination,
            "service": reading.service.value,
            "method": request.method,
            "path": request.path,
            "headers": written(masked(request.headers)),
            "bytes": len(request.body),
            "calls": len(reading.calls),
            "status": sent.status if sent else None,
            "answer": sent.body[:_ANSWER].decode("utf-8", "replace") if sent else "",
            "answer_headers": written(dict(sent.headers)) if sent else "{}",
            "seconds": arrival.seconds,
            "problems": _json(reading.problems),
            "plan": arrival.plan.words() if arrival.plan else "",
        }

    def _store(self, table: str, rows: list[_Row]) -> None:
        names = ", ".join(f":{name}" for name in rows[0])  # in the order of the columns
        self._db.executemany(f"insert into {table} values ({names})", rows)

    def _prune(self, at: float) -> None:
        """Remove the oldest calls, events and counts."""
        self._db.execute("delete from calls where call <= ?", [self._call - self.keep])
        if self._characters > KEEP_CHARACTERS:
            sums = "select call, sum(length(message)) over (order by call desc) as characters from calls"
            self._db.execute(
                f"delete from calls where call <= (select max(call) from ({sums}) where characters > ?)",
                [KEEP_CHARACTERS // 2],
            )
            self._characters = self._number("select sum(length(message)) from calls")
        self._db.execute("delete from requests where request < (select request from calls order by call limit 1)")
        if self._events > KEEP_EVENTS * 11 // 10:
            self._db.execute(
                "delete from events where call in (select call from events order by call limit ?)",
                [self._events - KEEP_EVENTS],
            )
            self._events = KEEP_EVENTS
        if len(self._ids) > KEEP_IDS // 2:
            self._ids, self._older_ids = set(), self._ids
        bucket = int(at // BUCKET)
        if bucket != self._bucket:
            prune_counts(self._db, bucket)
            self._bucket = bucket

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
            self._last_call = self._call
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            self._load()
            raise

    def _number(self, statement: str) -> int:
        (found,) = self._db.execute(statement).fetchone()
        return found or 0


def _json(values: Sequence[tuple[Any, ...]]) -> str:
    return written(list(map(tuple, values))) if values else "[]"


def _no_call(arrival: Arrival) -> Call:
    """The line of a request that has no readable call."""
    return Call("request", "", "", problems=arrival.reading.problems)
