"""What needs a person is found in the views, with the command for each; the rest continues by itself or is well."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update
from store.example_week import CONNECT, NO_FILE, fill, morning

from audience_sync.history.attention import read_attention
from audience_sync.history.attention_text import headline
from audience_sync.history.concerns import Attention, LateSchedule, State, SubjectKind
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import (
    alert_log,
    delivery_cursors,
    held_snapshots,
    open_refusals,
    properties,
    runs,
    stage_log,
)


@pytest.fixture
def week(store: Store) -> Store:
    """A week whose last run failed on one audience; connect refuses two calls, one is pending, one audience waits."""
    fill(store)
    return store


def found(
    store: Store,
    *,
    late: Sequence[LateSchedule] = (),
    keys: Collection[str] | None = None,
    destinations: Collection[str] | None = None,
) -> Attention:
    with store.reading() as connection:
        return read_attention(connection, late=late, keys=keys, destinations=destinations)


def states(attention: Attention) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.state.value, each.subjects) for each in attention.needs_person]


def add_run(store: Store, **values: Any) -> None:
    row = {"id": 44, "command": "sync", "status": "succeeded", "holder": "process 8 on shop", "version": "1.0"}
    with store.writing() as connection:
        connection.execute(insert(runs).values(**row | {"started_at": morning(7)} | values))


def hold(store: Store, kind: str, key: str, reason: str, *, run: int = 43, last_run: int = 43) -> None:
    row = {"kind": kind, "key": key, "run_id": run, "last_run_id": last_run, "reason": reason, "status": "held"}
    counts = {"members_before": 805, "entered": 0, "left": 369, "together": False, "held_at": morning(6)}
    with store.writing() as connection:
        connection.execute(insert(held_snapshots).values(**row, **counts))


def alert(store: Store, kind: str, subject: str, message: str, *, run: int = 43) -> None:
    row = {"kind": kind, "subject": subject, "message": message, "started_run": run, "started_at": morning(6)}
    with store.writing() as connection:
        connection.execute(insert(alert_log).values(**row))


def test_an_empty_store_needs_a_first_run(store: Store) -> None:
    assert found(store) == Attention()
    assert headline(found(store)) == "There is no run yet"


def test_failed_audiences_and_refused_calls_need_a_person(week: Store) -> None:
    failed, refused, _ = found(week).needs_person
    assert (failed.state, failed.subjects, failed.name) == (State.FAILED, ("new_customers",), "New Customers")
    assert failed.text == "there is no file new_customers.csv. Its members are unchanged."
    assert failed.commands == ("audience-sync check",)
    assert (failed.since_run, failed.since_at) == (43, morning(6))
    assert (refused.state, refused.subjects, refused.count) == (State.REFUSED, ("connect",), 2)
    assert refused.text == (
        "2 calls are refused: HTTP 400: the e-mail address is not valid (1), HTTP 400: the timezone is not known (1)"
    )
    assert refused.commands == ("audience-sync retry --destination connect",)
    assert headline(found(week)) == "1 audience failed, 2 calls are refused, 1 audience waits for a seed"


def test_the_last_run_and_what_is_well_are_counted(week: Store) -> None:
    attention = found(week)
    assert attention.last_run is not None
    assert (attention.last_run.run, attention.last_run.status, attention.last_run.refused) == (43, "failed", 2)
    assert (attention.audiences, attention.well, attention.destinations) == (3, 1, ("log",))


def test_audiences_that_failed_for_one_reason_are_one_concern(week: Store) -> None:
    for key in ("big_spenders", "new_customers"):
        alert(week, "failed", key, f"audience '{key}': the warehouse does not answer")
    failed = found(week).needs_person[0]
    assert (failed.subjects, failed.name, failed.count) == (("big_spenders", "new_customers"), "2 audiences", 2)
    assert failed.text == "the warehouse does not answer. Their members are unchanged."


def test_a_stopped_destination_has_failed_and_its_pending_calls_are_no_second_concern(week: Store) -> None:
    alert(week, "failed", "connect", "HTTP 401: the key is not accepted. 39 calls pending; the next run sends them")
    failed = next(each for each in found(week).needs_person if each.kind is SubjectKind.DESTINATION)
    assert (failed.subjects, failed.commands) == (("connect",), ("audience-sync check", "audience-sync sync"))
    assert [each for each in found(week).continuing if each.subjects == ("connect",)] == []


def test_a_failed_run_without_any_other_failure_needs_a_person(store: Store) -> None:
    add_run(store, status="failed", error="the store is full", finished_at=morning(7))
    assert [(each.name, each.text) for each in found(store).needs_person] == [("the whole run", "the store is full")]
    assert headline(found(store)) == "the whole run failed"


def test_a_held_audience_is_decided_by_its_last_run_and_key(week: Store) -> None:
    reason = "the new snapshot removes 369 of 805 members (46%), and the limit is 25%"
    hold(week, "audience", "big_spenders", f"audience 'big_spenders' is held: {reason}", run=41)
    held = next(each for each in found(week).needs_person if each.state is State.HELD)
    assert (held.name, held.since_run, held.since_at) == ("Big Spenders", 41, morning(6))
    assert held.text == f"{reason}. Nothing of it was changed or sent."
    assert held.commands == ("audience-sync approve 43 big_spenders", "audience-sync reject 43 big_spenders")


def test_traits_that_are_held_for_one_reason_are_one_concern(week: Store) -> None:
    for key in ("city", "plan"):
        hold(week, "computed_trait", key, "computed traits city, plan are held: the snapshot repeats undone changes")
    (held,) = [each for each in found(week).needs_person if each.state is State.HELD]
    assert (held.subjects, held.name, held.count) == (("city", "plan"), "2 computed traits", 2)
    assert held.commands == ("audience-sync approve 43", "audience-sync reject 43")
    hold(week, "audience", "big_spenders", "audience 'big_spenders' is held: the new snapshot is empty")
    _, traits = [each for each in found(week).needs_person if each.state is State.HELD]
    assert traits.commands == ("audience-sync approve 43 city plan", "audience-sync reject 43 city plan")


@pytest.mark.parametrize(
    ("kind", "key", "name", "command", "words"),
    [
        ("mapping", "connect", "the mapping of connect", "approve 43 connect", "1 mapping is held"),
        (
            "suppressed",
            "users",
            "the lists of suppressed users",
            "approve 43",
            "the lists of suppressed users are held",
        ),
    ],
)
def test_other_holds_have_their_own_names(
    week: Store, kind: str, key: str, name: str, command: str, words: str
) -> None:
    hold(week, kind, key, "something is held: it changes too much")
    (held,) = [each for each in found(week).needs_person if each.state is State.HELD]
    assert (held.name, held.commands[0]) == (name, f"audience-sync {command}")
    assert headline(found(week)) == f"1 audience failed, {words}, 2 calls are refused, 1 audience waits for a seed"


def test_a_new_audience_that_waits_for_its_seed_needs_a_person(week: Store) -> None:
    waits = next(each for each in found(week).needs_person if each.state is State.WAITING)
    assert (waits.subjects, waits.name, waits.since_run) == (("churn_risk",), "Churn Risk", 43)
    assert waits.since_at == morning(6)
    assert waits.commands == ("audience-sync plan churn_risk", "audience-sync seed churn_risk")


def test_pending_calls_continue_by_themselves(week: Store) -> None:
    (pending,) = found(week).continuing
    assert (pending.state, pending.subjects, pending.count) == (State.PENDING, ("connect",), 1)
    assert pending.text == "1 call is pending; the next run sends it"
    assert (pending.since_run, pending.since_at) == (43, morning(6))
    assert pending.commands == ("audience-sync sync",)


def test_calls_that_only_a_seed_sends_are_named(week: Store) -> None:
    with week.writing() as connection:
        mine = delivery_cursors.c.destination_id == CONNECT
        seeding = {"seeded_property_id": 1, "pending_calls": 514, "pending_since_run": 43}
        connection.execute(insert(delivery_cursors).values(destination_id=CONNECT, position=43, **seeding))
        connection.execute(
            update(delivery_cursors)
            .where(mine, delivery_cursors.c.seeded_property_id.is_(None))
            .values(pending_calls=None)
        )
    (pending,) = found(week).continuing
    assert pending.text == "514 calls are pending; the next `seed` sends them"


def test_late_schedules_and_unusual_sizes_need_a_person(week: Store) -> None:
    alert(week, "size", "big_spenders", "5 members; usually there are about 400")
    alert(week, "late", "every 15m", "due at 2026-03-06 05:00 UTC, it began 1:00:00 late")
    late = LateSchedule("cron 0 6 * * * UTC", morning(7), missed=3)
    unusual = [each for each in found(week, late=[late]).needs_person if each.state in (State.LATE, State.SIZE)]
    assert [(each.subjects[0], each.text, each.commands) for each in unusual] == [
        (
            "cron 0 6 * * * UTC",
            "due at 2026-03-07 06:00 UTC, and 2 later times were missed. No run has begun since.",
            ("audience-sync schedule", "audience-sync sync"),
        ),
        ("every 15m", "due at 2026-03-06 05:00 UTC, it began 1:00:00 late", ("audience-sync schedule --list",)),
        ("big_spenders", "5 members; usually there are about 400", ("audience-sync history big_spenders",)),
    ]


def test_what_is_no_longer_in_the_config_needs_no_person(week: Store) -> None:
    alert(week, "failed", "new_customers", NO_FILE)
    assert len(found(week, keys=["big_spenders"]).needs_person) == 3  # the newest run had them
    add_run(week, finished_at=morning(7), covers_all=True)
    assert states(found(week, keys=["big_spenders"], destinations=["log"])) == []
    assert states(found(week, keys=["New Customers"])) == [("failed", ("new_customers",)), ("refused", ("connect",))]


def test_a_retired_audience_is_not_counted(week: Store) -> None:
    with week.writing() as connection:
        connection.execute(update(properties).where(properties.c.key == "big_spenders").values(retired_at=morning(7)))
    assert found(week).audiences == 2


def test_a_run_in_progress_shows_what_it_is_doing(week: Store) -> None:
    add_run(week, status="running")
    running, pending = found(week).continuing
    assert (running.state, running.name, running.text) == (State.RUNNING, "run 44 (sync)", "nothing is sent yet")
    assert running.commands == ("audience-sync show 44",)
    assert (pending.text, pending.commands) == ("1 call is pending; run 44 sends it", ())
    with week.writing() as connection:
        for number, (stage, subject) in enumerate([("deliver", "connect"), ("deliver", "log")], 1):
            row = {"run_id": 44, "number": number, "stage": stage, "subject": subject, "started_at": morning(7)}
            connection.execute(insert(stage_log).values(**row))
    assert found(week).continuing[0].text == "sending to connect and log; nothing is sent yet"


def test_an_interrupted_run_continues_by_itself(week: Store) -> None:
    add_run(week, status="interrupted", finished_at=morning(7))
    interrupted, _ = found(week).continuing
    assert (interrupted.state, interrupted.name) == (State.INTERRUPTED, "run 44 (sync)")
    assert interrupted.commands == ("audience-sync sync",)


def test_reasons_beyond_the_third_are_counted_and_a_size_does_not_make_a_reason(week: Store) -> None:
    reasons = [f"'bio' has {size:,} bytes and Braze takes 1,000" for size in (2_000, 3_000)]
    with week.writing() as connection:
        for number, reason in enumerate([*reasons, "no such user", "blocked"]):
            row = {"destination_id": CONNECT, "run_id": 43, "user_id": f"u{number}", "reason": reason, "attempts": 1}
            refused_at = morning(6) + timedelta(seconds=number)
            connection.execute(insert(open_refusals).values(**row, refused_at=refused_at))
    refused = next(each for each in found(week).needs_person if each.state is State.REFUSED)
    assert next((each.text, each.calls) for each in refused.reasons) == (
        "'bio' has too many bytes and Braze takes 1,000",
        2,
    )
    assert refused.count == 6
    assert refused.text.endswith(", 2 more reasons")
