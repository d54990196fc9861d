"""A shop's first week: the small store that the examples of docs/database.md are about.

Two audiences, two destinations, one run every morning: 39 creates the audiences, 41 is held, 43 fails.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, insert, text, update

from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import (
    changes,
    decision_log,
    delivery_cursors,
    delivery_destinations,
    delivery_requests,
    held_snapshots,
    members,
    open_refusals,
    properties,
    request_attempts,
    run_audiences,
    run_destinations,
    run_invalid_rows,
    runs,
    stage_log,
    subscriptions,
    user_traits,
)
from audience_sync.store.tables import (
    snapshot_chains as chains_table,
)

#: Ids, as the database gives them out.
BIG, NEW, PLAN = 1, 2, 3
CONNECT, LOG = 1, 2
EMPTY = "audience 'big_spenders' is held: the new snapshot is empty, and the last one had 4 members"
WAITING = "waiting for `audience-sync seed churn_risk`"
DOWN = "the destination is not reached: connection refused"
NO_FILE = "audience 'new_customers': there is no file new_customers.csv"

#: run, day of March 2026, status, seconds, users whose traits changed, error
RUNS = [
    (39, 2, "succeeded", 2.5, 7, None),
    (40, 3, "succeeded", 0.9, 1, None),
    (41, 4, "held", 0.8, 0, None),
    (42, 5, "succeeded", 1.25, 2, None),
    (43, 6, "failed", 1.5, 0, NO_FILE),
]
#: run, audience, status, before, after, entered, left, invalid, error
AUDIENCES = [
    (39, "big_spenders", "created", 0, 4, 4, 0, 0, None),
    (39, "new_customers", "created", 0, 3, 3, 0, 0, None),
    (40, "big_spenders", "synced", 4, 4, 1, 1, 0, None),
    (40, "new_customers", "unchanged", 3, 3, 0, 0, 0, None),
    (41, "big_spenders", "held", 4, 4, 0, 0, 0, EMPTY),
    (41, "new_customers", "synced", 3, 4, 1, 0, 1, None),
    (42, "big_spenders", "synced", 4, 4, 1, 1, 0, None),
    (42, "new_customers", "synced", 4, 3, 0, 1, 2, None),
    (43, "big_spenders", "synced", 4, 5, 2, 1, 0, None),
    (43, "new_customers", "failed", 3, 3, 0, 0, 0, NO_FILE),
    (43, "churn_risk", "waiting", 0, 0, 0, 0, 0, WAITING),
]
CHANGES = [
    (40, BIG, "ben", "false"),
    (40, BIG, "eve", "true"),
    (40, PLAN, "eve", '"gold"', '"silver"'),
    (41, NEW, "gus", "true"),
    (42, BIG, "ben", "true"),
    (42, BIG, "dan", "false"),
    (42, NEW, "ben", "false"),
    (42, PLAN, "ben", '"silver"', "null"),
    (42, PLAN, "dan", None, '"silver"'),
    (43, BIG, "ben", "false"),
    (43, BIG, "fay", "true"),
    (43, BIG, "gus", "true"),
]
MEMBERS = [
    (BIG, "ada", 39),
    (BIG, "cleo", 39),
    (BIG, "eve", 40),
    (BIG, "fay", 43),
    (BIG, "gus", 43),
    (NEW, "eve", 39),
    (NEW, "fay", 39),
    (NEW, "gus", 41),
]
USER_TRAITS = [
    *((user, PLAN, '{"plan":"\\"gold\\""}') for user in ("ada", "cleo", "eve")),
    *((user, PLAN, '{"plan":"\\"silver\\""}') for user in ("ben", "fay", "gus", "hal")),
]
#: run, destination, calls, delivered, refused, retries, requests, seconds; of the last to connect one call is pending
DELIVERIES = [
    (39, CONNECT, 7, 7, 0, 0, 1, 0.75),
    (39, LOG, 7, 7, 0, 0, 1, 0.25),
    (40, CONNECT, 2, 2, 0, 0, 1, 0.5),
    (40, LOG, 2, 2, 0, 0, 1, 0.25),
    (41, CONNECT, 1, 1, 0, 0, 1, 0.5),
    (41, LOG, 1, 1, 0, 0, 1, 0.25),
    (42, CONNECT, 2, 2, 0, 1, 2, 1.0),
    (42, LOG, 2, 2, 0, 0, 1, 0.25),
    (43, CONNECT, 4, 1, 2, 0, 1, 0.5),
    (43, LOG, 3, 3, 0, 0, 1, 0.25),
]
REFUSALS = [("ben", "the e-mail address is not valid", 2), ("fay", "the timezone is not known", 1)]
#: stage, subject, second of the run at which it began, seconds: of run 42
STAGES = [
    ("load", "big_spenders", 0, 0.02),
    ("compare", "big_spenders", 1, 0.08),
    ("commit", None, 2, 0.04),
    ("deliver", "connect", 3, 1.0),
    ("deliver", "log", 3, 0.25),
]
#: By request of run 42: how long its answer took.
SECONDS = {7: 0.3, 8: 0.01}
#: day of March 2026, command, subject, user, reason
DECISIONS = [
    (4, "freeze", "big_spenders", "ana", "the export was empty"),
    (5, "unfreeze", "big_spenders", "ben", "it is complete again"),
]
INVALID_ROWS = [(41, 1, 88, None, "no user id"), (42, 1, 17, None, "no user id"), (42, 2, 23, " ", "empty user id")]


def fill(store: Store) -> None:
    """Put the week into a store that has its schema and no data."""
    with store.writing() as connection:
        _add_runs(connection)
        _add_audiences(connection)
        _add_holds(connection)
        _add_deliveries(connection)
        _add_requests(connection)
        _add_decisions(connection)


def change(store: Store, *statements: Executable) -> None:
    """Execute the statements in one transaction."""
    with store.writing() as connection:
        for statement in statements:
            connection.execute(statement)


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    """The rows of a query on the views."""
    with store.reading() as connection:
        if not store.is_sqlite:
            connection.execute(text("set local time zone 'UTC'"))
            connection.execute(text("set local search_path = audience_sync"))
        return [tuple(row) for row in connection.execute(text(query))]


def morning(day: int) -> datetime:
    return datetime(2026, 3, day, 6, 0, tzinfo=UTC)


def _answered(run: int) -> datetime:
    """When a run's last answer came: two seconds after its start."""
    return morning(run - 37) + timedelta(seconds=2)


def _add(connection: Connection, table: Any, names: str, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(insert(table), [dict(zip(names.split(), row, strict=True)) for row in rows])


def _add_runs(connection: Connection) -> None:
    rows = [
        (run, status, morning(day), morning(day) + timedelta(seconds=3), seconds, changed, error)
        for run, day, status, seconds, changed, error in RUNS
    ]
    same = insert(runs).values(command="sync", holder="process 7 on shop", version="1.0")
    names = ["id", "status", "started_at", "finished_at", "seconds", "trait_users_changed", "error"]
    same = same.values(covers_all=True)
    connection.execute(same, [dict(zip(names, row, strict=True)) for row in rows])


def _add_audiences(connection: Connection) -> None:
    chains = [("audience", 5, 43), ("audience", 3, 42), ("computed_trait", 7, 42)]
    _add(connection, chains_table, "kind user_count changed_run_id", chains)
    _add(
        connection,
        properties,
        "kind key name chain_id created_run_id source",
        [
            ("audience", "big_spenders", "Big Spenders", BIG, 39, "shop"),
            ("audience", "new_customers", "New Customers", NEW, 39, "shop"),
            ("computed_trait", "plan", "Plan", PLAN, 39, "shop"),
        ],
    )
    audience = "run_id audience_key status members_before members_after entered left invalid error"
    _add(connection, run_audiences, audience, AUDIENCES)
    waiting = run_audiences.c.status == "waiting"
    connection.execute(update(run_audiences).where(waiting).values(name="Churn Risk", source="shop"))
    logged = [(*row, None)[:5] for row in CHANGES]
    _add(connection, changes, "run_id property_id user_id value previous_value", logged)
    _add(connection, members, "property_id user_id run_id", MEMBERS)
    _add(connection, user_traits, "user_id chain_id traits", USER_TRAITS)
    invalid = [(run, number, "new_customers", "new_customers.csv", *rest) for run, number, *rest in INVALID_ROWS]
    _add(connection, run_invalid_rows, "run_id number audience_key file row user_id reason", invalid)


def _add_holds(connection: Connection) -> None:
    hold = ("audience", "big_spenders", 41, 41, "superseded", EMPTY, False, 4, 0, 4, morning(4), morning(5), 42)
    names = (
        "kind key run_id last_run_id status reason together members_before entered left held_at decided_at ended_run_id"
    )
    _add(connection, held_snapshots, names, [hold])


def _add_deliveries(connection: Connection) -> None:
    both = [("connect", "zendesk_connect", morning(2)), ("log", "file", morning(2))]
    _add(connection, delivery_destinations, "name type created_at", both)
    delivered = [(*row, row[2] - row[3] - row[4], DOWN if row[2] == 4 else None) for row in DELIVERIES]
    names = "run_id destination_id calls delivered refused retries requests seconds pending error"
    _add(connection, run_destinations, names, delivered)
    cursors = [(CONNECT, 42, 1, 43), (LOG, 43, None, None)]
    _add(connection, delivery_cursors, "destination_id position pending_calls pending_since_run", cursors)
    subscribed = [(destination, each, 39, True) for destination in (CONNECT, LOG) for each in (BIG, NEW, PLAN)]
    _add(connection, subscriptions, "destination_id property_id since_run backfill", subscribed)
    answers = [
        (
            run,
            destination,
            "",
            "zoe",
            delivered + refused,
            refused,
            requests,
            _status(destination, refused),
            _answered(run),
        )
        for run, destination, _, delivered, refused, _, requests, _ in DELIVERIES
    ]
    names = "run_id destination_id after_user through_user calls refused attempts http_status answered_at"
    _add(connection, delivery_requests, names, answers)
    stages = [
        (42, number, stage, subject, morning(5) + timedelta(seconds=second), seconds)
        for number, (stage, subject, second, seconds) in enumerate(STAGES, 1)
    ]
    _add(connection, stage_log, "run_id number stage subject started_at seconds", stages)
    refused = [(CONNECT, 43, 400, morning(6), *row) for row in REFUSALS]
    _add(connection, open_refusals, "destination_id run_id http_status refused_at user_id reason attempts", refused)


def _status(destination: int, refused: int) -> int | None:
    """The HTTP status of a request; the log is a file."""
    return None if destination == LOG else 400 if refused else 200


def _add_requests(connection: Connection) -> None:
    """The attempts and durations of run 42: its first request to `connect` failed once."""
    same = {"sent_at": delivery_requests.c.answered_at, "seconds": 0.5}
    connection.execute(update(delivery_requests).values(same))
    for request, seconds in SECONDS.items():
        timed = update(delivery_requests).where(delivery_requests.c.id == request)
        connection.execute(timed.values(sent_at=morning(5), seconds=seconds))
    failed = (CONNECT, 42, "", "zoe", 1, 2, morning(5), 0.2, 503, "HTTP 503")
    names = "destination_id run_id after_user through_user attempt calls sent_at seconds http_status answer"
    _add(connection, request_attempts, names, [failed])


def _add_decisions(connection: Connection) -> None:
    rows = [(morning(day), "shop", *rest) for day, *rest in DECISIONS]
    _add(connection, decision_log, "decided_at host command subject decided_by reason", rows)
