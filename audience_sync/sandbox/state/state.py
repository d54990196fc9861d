"""Record requests and their calls in the file: one transaction a request, committed before its answer."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from audience_sync.errors import ConfigError, Problem
from audience_sync.sandbox.answers import Plan, choose
from audience_sync.sandbox.changes import Change
from audience_sync.sandbox.receive.body import storable, written
from audience_sync.sandbox.state.batch import UserBatch
from audience_sync.sandbox.state.schema import CONTENT, open_to_write
from audience_sync.sandbox.values import Answer, Call, Outcome, Reading, Request

#: The last calls that are kept in full, unless ``--keep`` names another number.
KEEP = 10_000
#: The last events that are kept, with their properties, for filters and goals.
KEEP_EVENTS = 100_000
#: Seconds of a bucket of counts, and for how long they are kept.
BUCKET, KEEP_COUNTS = 300, 8 * 24 * 3600
#: Message ids that a repeat is recognised by.
KEEP_IDS = 200_000
#: Headers whose value is a secret.
SECRET_HEADERS = frozenset({"authorization", "x-outbound-key", "cookie", "webhook-signature", "proxy-authorization"})
MASK = "••••"
#: Characters of an answer that are kept.
_ANSWER = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request that came, with its calls and its answer.

    ``answer`` None: it got none. ``outcome``: what that means for its calls. ``is_kept``: whether usable calls are
    applied. ``at``: seconds since 1970. ``plan``: words of the planned answer, empty without one.
    """

    request: Request
    reading: Reading
    answer: Answer | None
    outcome: Outcome
    is_kept: bool
    at: float
    seconds: float = 0
    plan: str = ""


class State:
    """The file of one sandbox. Safe to use from several threads."""

    def __init__(self, path: Path, *, keep: int = KEEP) -> None:
        self.path, self.keep = path.absolute(), keep  # the folder may be moved or removed meanwhile
        self._own = _lock(path)
        self._db = open_to_write(path)
        self._lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        self._call = self._number("select max(call) from calls")
        self._request = self._number("select max(request) from requests")
        self._events = self._number("select count(*) from events")
        self._bucket = 0
        kept = (Outcome.ACCEPTED, Outcome.NO_ANSWER, Outcome.REPEAT)
        rows = self._db.execute(
            f"select destination, message_id from calls where message_id <> '' and outcome in {tuple(map(str, kept))}"
        )
        self._ids, self._older_ids = {hash(row) for row in rows}, set[int]()
        rows = self._db.execute("select destination, plan from plans")
        self.plans = {name: Plan(**json.loads(plan)) for name, plan in rows}

    @property
    def last_call(self) -> int:
        """The number of the last call; pages ask for those after it."""
        return self._call

    def close(self) -> None:
        with self._lock:
            self._db.close()
            os.close(self._own)

    def plan_for(self, reading: Reading, random: Any) -> Plan | None:
        """Return the plan for this request, and count it: a plan ends after its requests."""
        with self._lock:
            plan = choose(self.plans, reading, random)
            if plan is not None and plan.requests is not None:
                self._store_plan(replace(plan, requests=plan.requests - 1))
            return plan

    def set_plan(self, plan: Plan) -> None:
        """Answer by this plan from now on; ``200`` ends the present one of its destination, or all of them."""
        with self._lock:
            if plan.answer == "200":
                for name in [plan.destination] if plan.destination else list(self.plans):
                    self.plans.pop(name, None)
                    self._db.execute("delete from plans where destination = ?", [name])
            else:
                self._store_plan(plan)

    def _store_plan(self, plan: Plan) -> None:
        if plan.requests == 0:
            self.plans.pop(plan.destination, None)
            self._db.execute("delete from plans where destination = ?", [plan.destination])
        else:
            self.plans[plan.destination] = plan
            self._db.execute("insert or replace into plans values (?, ?)", [plan.destination, json.dumps(asdict(plan))])

    def clear(self) -> None:
        """Forget every call, user, event and count. Planned answers stay."""
        with self._lock, self._transaction():
            for table in CONTENT:
                self._db.execute(f"delete from {table}")
            self._events, self._ids, self._older_ids = 0, set(), set()

    def record(self, arrival: Arrival) -> None:
        """Store a request with its calls, and apply them to their users."""
        with self._lock, self._transaction():
            self._request += 1
            calls = arrival.reading.calls or (_no_call(arrival.reading),)
            batch = UserBatch(self._db, arrival.reading.destination, arrival.at)
            rows = self._apply(calls, arrival, batch)
            batch.store()
            self._store_calls(rows)
            self._store_request(arrival, len(arrival.reading.calls))
            self._count(rows, arrival, batch.new_users)
            self._prune(arrival.at)

    def _apply(self, calls: Sequence[Call], arrival: Arrival, batch: UserBatch) -> list[tuple[Any, ...]]:
        reading, status = arrival.reading, arrival.answer.status if arrival.answer else None
        is_wrong = any(each.is_fatal for each in reading.problems)
        rows = []
        for index, call in enumerate(calls):
            self._call += 1
            outcome, changes = arrival.outcome, list[Change]()
            if arrival.is_kept:
                message_id = call.message_id or (f"{reading.request_id}:{index}" if reading.request_id else "")
                key = hash((reading.destination, message_id))
                if is_wrong or not call.is_usable:
                    outcome = Outcome.DROPPED
                elif message_id and (key in self._ids or key in self._older_ids):
                    outcome = Outcome.REPEAT
                else:
                    self._ids.add(key)
                    changes = batch.apply(call, self._call)
            else:
                message_id = call.message_id
            rows.append(
                (
                    self._call,
                    self._request,
                    arrival.at,
                    reading.destination,
                    reading.service.value,
                    call.type,
                    call.user_id,
                    call.event,
                    outcome.value,
                    status,
                    message_id,
                    call.message,
                    written(list(map(tuple, changes))) if changes else "[]",
                    written(list(map(tuple, call.problems))) if call.problems else "[]",
                )
            )
        if len(self._ids) > KEEP_IDS // 2:
            self._ids, self._older_ids = set(), self._ids
        self._events += batch.events
        return rows

    def _store_calls(self, rows: Sequence[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * 14)
        self._db.executemany(f"insert into calls values ({marks})", rows[-self.keep :])

    def _store_request(self, arrival: Arrival, calls: int) -> None:
        request, reading, answer = arrival.request, arrival.reading, arrival.answer
        headers = {name: MASK if name in SECRET_HEADERS else value for name, value in request.headers.items()}
        self._db.execute(
            f"insert into requests values ({', '.join('?' * 15)})",
            (
                self._request,
                arrival.at,
                reading.destination,
                reading.service.value,
                request.method,
                request.path,
                written(headers),
                len(request.body),
                calls,
                answer.status if answer else None,
                answer.body[:_ANSWER].decode("utf-8", "replace") if answer else "",
                written(dict(answer.headers)) if answer else "{}",
                arrival.seconds,
                written(list(map(tuple, reading.problems))) if reading.problems else "[]",
                arrival.plan,
            ),
        )

    def _count(self, rows: Sequence[tuple[Any, ...]], arrival: Arrival, new_users: int) -> None:
        destination, bucket = arrival.reading.destination, int(arrival.at // BUCKET)
        counted = Counter((row[5], row[7], row[8]) for row in rows)
        self._db.executemany(
            "insert into counts values (?, ?, ?, ?, ?, ?)"
            " on conflict (bucket, destination, type, event, outcome) do update set calls = calls + excluded.calls",
            [(bucket, destination, *kind, calls) for kind, calls in counted.items()],
        )
        problems = Counter[str]()
        texts: dict[str, str] = {}
        for each in arrival.reading.problems:
            problems[each.code] += 1
            texts[each.code] = each.text
        for call in arrival.reading.calls:
            for each in call.problems:
                problems[each.code] += 1
                texts[each.code] = each.text
        self._db.executemany(
            "insert into problem_counts values (?, ?, ?, ?, ?) on conflict (bucket, destination, code)"
            " do update set calls = calls + excluded.calls, text = excluded.text",
            [(bucket, destination, code, storable(texts[code]), calls) for code, calls in problems.items()],
        )
        self._db.execute(
            "insert into destinations values (?, ?, 1, ?, ?, ?, ?) on conflict (destination) do update set"
            " requests = requests + 1, calls = calls + excluded.calls, last_at = excluded.last_at,"
            " users = users + excluded.users",
            (destination, arrival.reading.service.value, len(rows), arrival.at, arrival.at, new_users),
        )

    def _prune(self, at: float) -> None:
        if self._call > self.keep:
            self._db.execute("delete from calls where call <= ?", [self._call - self.keep])
            self._db.execute("delete from requests where request < (select min(request) from calls)")
        if self._events > KEEP_EVENTS * 11 // 10:
            surplus = self._events - KEEP_EVENTS
            self._db.execute(
                "delete from events where call in (select call from events order by call limit ?)", [surplus]
            )
            self._events = KEEP_EVENTS
        bucket = int(at // BUCKET)
        if bucket != self._bucket:
            oldest = int((at - KEEP_COUNTS) // BUCKET)
            for table in ("counts", "problem_counts"):
                self._db.execute(f"delete from {table} where bucket < ?", [oldest])
            self._bucket = bucket

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            self._load()
            raise

    def _number(self, statement: str) -> int:
        (found,) = self._db.execute(statement).fetchone()
        return found or 0


def _no_call(reading: Reading) -> Call:
    """The line of a request that has no readable call."""
    return Call("request", "", "", problems=reading.problems)


def _lock(path: Path) -> int:
    """Keep another sandbox from using the same file. Returns the descriptor of the lock."""
    try:
        found = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        text = f"{path} can't be used as the sandbox's file: {error.strerror}. Nothing is received"
        raise ConfigError([Problem("--file", text)]) from None
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(found)
        text = (
            f"another sandbox uses {path}. Nothing is received.\n    Use that one, or choose another file: --file NAME"
        )
        raise ConfigError([Problem("--file", text)]) from None
    return found


def settings_of(plans: Mapping[str, Plan]) -> list[dict[str, Any]]:
    """Return the planned answers as values of JSON."""
    return [asdict(plan) | {"words": plan.words()} for plan in plans.values()]
