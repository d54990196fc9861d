"""The stages of a run are in the store: when each began and how long it took, also of a run in progress."""

from __future__ import annotations

import os
import signal

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply
from sqlalchemy import NullPool, create_engine, text

from .conftest import ACCEPTED, SILENCE, Project, segment, until

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TRAITS = {"source": "shop", "file": "traits.csv", "traits": ["plan"]}
STAGES = "select stage, subject from run_stages where run = {} order by started_at"
RUNNING = "select stage, subject from run_stages where seconds is null"


@pytest.fixture
def shop(vip: Project, receiver: Receiver) -> Project:
    vip.write("traits.csv", "user_id,plan\nada,pro\n")
    destinations = {"segment": segment(receiver, batch_size=1, concurrency=1, timeout="1s")}
    vip.configure(audiences=[VIP], computed_traits=[TRAITS], destinations=destinations)
    return vip


def test_a_run_has_a_row_for_each_stage_and_subject(shop: Project) -> None:
    assert shop.sync().code == 0
    assert shop.query(STAGES.format(1)) == [
        ("load", "vip"),
        ("compare", "vip"),
        ("guard", None),
        ("load", "computed traits"),
        ("compare", "computed traits"),
        ("guard", "computed traits"),
        ("pending", None),
        ("commit", None),
        ("deliver", "segment"),
        ("record", None),
    ]
    assert shop.query("select count(*) from run_stages where seconds >= 0") == [(10,)]
    assert shop.query("select entries, entries_loaded from sync_runs") == [(2, 2)]
    inside = "select count(*) from run_stages s join sync_runs r on r.run = s.run where s.started_at >= r.started_at"
    assert shop.query(inside) == [(10,)]


def test_a_source_that_has_not_changed_has_no_row(shop: Project) -> None:
    os.utime(shop.folder / "vip.csv", (1, 1))
    shop.sync()
    shop.write("traits.csv", "user_id,plan\nada,free\n")
    shop.sync()
    subjects = [each for each in shop.query(STAGES.format(2)) if each[0] in ("load", "compare")]
    assert subjects == [("load", "computed traits"), ("compare", "computed traits")]
    assert shop.query("select entries, entries_loaded from sync_runs where run = 2") == [(2, 2)]


def test_a_load_that_fails_has_its_row(shop: Project) -> None:
    (shop.folder / "vip.csv").unlink()
    assert shop.sync().code == 3
    assert ("load", "vip") in shop.query(STAGES.format(1))
    assert ("compare", "vip") not in shop.query(STAGES.format(1))


def test_a_run_in_progress_shows_at_which_stage_it_is(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 2)
    assert shop.query(RUNNING) == [("deliver", "segment")]
    assert "Stage    deliver segment" in shop.run("show", "1").stdout
    process.kill()
    process.wait()
    receiver.will_answer(ACCEPTED)
    shop.sync()
    assert shop.query(RUNNING) == [("deliver", "segment")], "a killed run keeps the stage in which it was killed"
    assert ("commit", None) in shop.query(STAGES.format(1))
    assert [each["stage"] for each in shop.run("show", "2", "--json").json["stages"]][-1] == "record"


def test_each_renewal_of_the_lock_stores_how_far_a_run_is(shop: Project, postgresql: PostgreSQL) -> None:
    shop.environment |= {"AUDIENCE_SYNC_LEASE_SECONDS": "1", "SLOW": postgresql.create()}
    shop.configure(
        sources={"shop": {"files": "."}, "slow": {"database": "${SLOW}"}},
        audiences=[VIP, {"name": "Slow", "source": "slow", "query": "select 'ada' as user_id from pg_sleep(120)"}],
    )
    process = shop.start("sync")
    until(lambda: shop.query(RUNNING) == [("load", "slow")])
    assert shop.query("select entries, entries_loaded from sync_runs") == [(2, 1)]
    assert "Loaded   1 of 2" in shop.run("show", "1").stdout
    process.kill()
    process.wait()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_has_ended_all_its_stages(shop: Project, receiver: Receiver, stop: signal.Signals) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 2)
    process.send_signal(stop)
    assert process.wait(30) == 130
    assert shop.query(RUNNING) == []
    assert shop.query("select stage from run_stages where subject = 'segment'") == [("deliver",)]
    assert shop.query("select status from sync_runs") == [("interrupted",)]


def test_a_wrong_use_leaves_no_stage(shop: Project) -> None:
    shop.sync()
    assert shop.run("sync", "vap").code == 2
    assert shop.query("select max(run) from run_stages") == [(1,)]


def test_a_plan_has_no_stages(shop: Project) -> None:
    assert shop.run("plan").code == 0
    assert shop.query("select count(*) from run_stages") == [(0,)]


def test_retention_deletes_the_stages_of_old_runs(shop: Project, receiver: Receiver) -> None:
    shop.sync()
    shop.configure(
        audiences=[VIP], computed_traits=[TRAITS], destinations={"segment": segment(receiver)}, retention={"runs": "1d"}
    )
    shop.query("update runs set started_at = '2026-01-01 00:00:00.000000'")
    shop.sync("--accept-clock")
    assert shop.query("select distinct run from run_stages") == [(2,)]


def test_stages_and_attempts_on_postgresql(new_vip: Project, receiver: Receiver, postgresql: PostgreSQL) -> None:
    new_vip.configure(store="${STORE}", audiences=[VIP], destinations={"segment": segment(receiver)})
    new_vip.environment["STORE"] = url = postgresql.create()
    receiver.will_answer(Reply(status=503), ACCEPTED)
    assert new_vip.sync("--upgrade").code == 0
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("set search_path = audience_sync"))
        stages = connection.execute(text("select stage from run_stages where seconds is not null order by started_at"))
        assert stages.scalars().all() == ["load", "compare", "guard", "pending", "commit", "deliver", "record"]
        query = "select request, attempt, status, http_status, users from requests where run = 1 order by attempt"
        assert [tuple(row) for row in connection.execute(text(query))] == [
            (1, 1, "sent again", 503, 3),
            (1, 2, "accepted", 200, 3),
        ]
