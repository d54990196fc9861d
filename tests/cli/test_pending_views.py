"""The views state what is pending during a run, after it was killed or interrupted, and after it ended."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply
from sqlalchemy import NullPool, create_engine, text

from .conftest import ACCEPTED, SILENCE, Project, segment, until

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
DOWN = Reply(status=503)
DELIVERIES = "select run, destination, calls, delivered, refused, pending from deliveries order by run, destination"
RUNS = "select run, status, delivered, pending from sync_runs order by run"
PENDING = "select destination, calls, since_run, waiting from pending_calls order by destination"


@pytest.fixture
def shop(vip: Project, receiver: Receiver) -> Project:
    """`vip` with a destination that is sent one call a request."""
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, batch_size=1, concurrency=1)})
    return vip


def test_what_is_pending_is_right_while_a_run_is_at_work(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 2)
    assert shop.query(DELIVERIES) == [(1, "segment", 3, 1, 0, 2)]
    assert shop.query(RUNS) == [(1, "running", 1, 2)]
    assert shop.query("select seconds >= 0 from deliveries") == [(1,)]
    assert shop.query(PENDING) == [("segment", 2, 1, 0)]
    process.kill()
    process.wait()


def test_what_is_pending_is_right_after_kill_9_and_after_the_next_run(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 2)
    process.kill()
    process.wait()
    assert shop.query(DELIVERIES) == [(1, "segment", 3, 1, 0, 2)]
    assert shop.query(PENDING) == [("segment", 2, 1, 0)]
    receiver.will_answer(ACCEPTED)
    assert shop.sync().code == 0
    assert shop.query(PENDING) == [("segment", 0, None, 0)]
    assert shop.query(DELIVERIES) == [(1, "segment", 3, 1, 0, 2), (2, "segment", 2, 2, 0, 0)]
    assert shop.query(RUNS) == [(1, "interrupted", 1, 2), (2, "succeeded", 2, 0)]
    ended = "select finished_at >= started_at and seconds >= 0 and seconds < 600 from sync_runs where run = 1"
    assert shop.query(ended) == [(1,)]


def test_a_killed_run_is_interrupted_when_its_lease_has_expired(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 1)
    assert shop.query("select status from sync_runs") == [("running",)]
    process.kill()
    process.wait()
    shop.query("update lease set expires_at = 1")
    assert shop.query(RUNS) == [(1, "interrupted", 0, 3)]


def test_a_killed_run_is_the_same_before_and_after_the_next_run(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, DOWN, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 3)
    process.kill()
    process.wait()
    shop.query("update lease set expires_at = 1")
    views = {
        name: f"select * from {name} where run = 1" for name in ("sync_runs", "deliveries", "requests", "run_stages")
    }
    before = {name: shop.query(query) for name, query in views.items()}
    receiver.will_answer(ACCEPTED)
    assert shop.sync().code == 0
    assert {name: shop.query(query) for name, query in views.items()} == before
    ended = "select status, finished_at is null, seconds >= 0, error from sync_runs where run = 1"
    error = "The process ended before the run did. What it had committed stays; the next run continues there."
    assert shop.query(ended) == [("interrupted", 0, 1, error)]


def test_a_run_that_was_killed_while_it_loaded_ended_at_its_last_renewal(shop: Project) -> None:
    shop.sync()
    times = "'2026-03-02 06:00:00.000000', '2026-03-02 06:10:00.000000'"
    columns = "id, command, status, started_at, active_at, holder, version"
    shop.query(f"insert into runs ({columns}) values (2, 'sync', 'running', {times}, 'process 1 on shop', '1')")
    ended = "select status, substr(finished_at, 1, 19), seconds from sync_runs where run = 2"
    assert shop.query(ended) == [("interrupted", "2026-03-02 06:10:00", 600.0)]
    shop.sync()
    assert shop.query(ended) == [("interrupted", "2026-03-02 06:10:00", 600.0)]


def test_show_and_history_of_a_killed_run_say_at_once_that_it_was_interrupted(
    shop: Project, receiver: Receiver
) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 2)
    assert [each["status"] for each in shop.run("history", "--json").json["runs"]] == ["running"]
    process.kill()
    process.wait()
    assert [each["status"] for each in shop.run("history", "--json").json["runs"]] == ["interrupted"]
    assert shop.run("show", "1").stdout.startswith("Run 1 was interrupted. Its changes are stored; 3 entered")
    receiver.will_answer(ACCEPTED)
    shop.sync()
    assert "Interrupted: the run\n  Reason  The process ended before the run did." in shop.run("show", "1").stdout


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_is_interrupted_and_says_what_is_pending(
    shop: Project, receiver: Receiver, stop: signal.Signals
) -> None:
    shop.configure(
        audiences=[VIP],
        destinations={"segment": segment(receiver, batch_size=1, concurrency=1, timeout="1s")},
    )
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 2)
    process.send_signal(stop)
    assert process.wait(30) == 130
    assert shop.query(RUNS) == [(1, "interrupted", 1, 2)]
    assert shop.query(DELIVERIES) == [(1, "segment", 3, 1, 0, 2)]
    assert shop.query(PENDING) == [("segment", 2, 1, 0)]
    assert shop.query("select seconds > 0 from sync_runs") == [(1,)]


def test_show_and_history_of_an_interrupted_run_list_destinations_that_gave_no_answer(
    shop: Project, receiver: Receiver
) -> None:
    receiver.will_answer(SILENCE)
    process = shop.start("sync")
    until(lambda: len(receiver.requests) == 1)
    process.kill()
    process.wait()
    receiver.will_answer(ACCEPTED)
    shop.sync()
    (delivery,) = shop.run("show", "1", "--json").json["deliveries"]
    assert (delivery["destination"], delivery["calls"], delivery["pending"]) == ("segment", 3, 3)
    history = shop.run("history", "--json").json["runs"]
    assert [(each["run"], each["status"], each["pending"]) for each in history] == [
        (2, "succeeded", 0),
        (1, "interrupted", 3),
    ]


def test_what_is_pending_of_a_destination_that_is_down_is_right_in_every_run(shop: Project, receiver: Receiver) -> None:
    shop.configure(
        audiences=[VIP],
        destinations={"segment": segment(receiver, batch_size=1, concurrency=1, give_up_after="100ms")},
    )
    receiver.will_answer(DOWN)
    shop.sync()
    assert shop.query(PENDING) == [("segment", 3, 1, 0)]
    shop.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    shop.sync()
    assert shop.query(PENDING) == [("segment", 4, 1, 0)]
    error = "select pending, last_error is not null, last_accepted_at from destinations"
    assert shop.query(error) == [(4, 1, None)]
    receiver.will_answer(ACCEPTED)
    shop.sync()
    assert shop.query(PENDING) == [("segment", 0, None, 0)]
    assert shop.query("select pending, last_error, last_http_status from destinations") == [(0, None, 200)]
    assert shop.query(DELIVERIES) == [
        (1, "segment", 3, 0, 0, 3),
        (2, "segment", 4, 0, 0, 4),
        (3, "segment", 4, 4, 0, 0),
    ]


def test_what_is_pending_of_a_seed_with_a_limit_is_right(shop: Project) -> None:
    assert shop.run("seed", "vip", "--limit", "1").code == 0
    assert shop.query(DELIVERIES) == [(1, "segment", 3, 1, 0, 2)]
    assert shop.query(PENDING) == [("segment", 2, 1, 2)]


def test_what_a_seed_has_left_is_right_after_later_runs_have_changed_it(shop: Project, receiver: Receiver) -> None:
    assert shop.run("seed", "vip", "--limit", "1").code == 0
    assert shop.sync().destination("segment")["pending"] == 0
    assert shop.query(PENDING) == [("segment", 2, 1, 2)]
    shop.write_members("vip.csv", "ada", "cyd", "dan", "eve")  # bob may have been sent `true`, so that he gets `false`
    shop.sync()
    assert shop.query(PENDING) == [("segment", 4, 1, 4)]
    assert shop.run("suppress", "dan").code == 0
    shop.sync()
    assert shop.query(PENDING) == [("segment", 3, 1, 3)]
    assert shop.run("seed", "vip", "--json").destination("segment")["delivered"] == 3
    assert shop.query(PENDING) == [("segment", 0, None, 0)]


def test_what_a_seed_has_left_is_right_after_kill_9(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    process = shop.start("seed", "vip")
    until(lambda: len(receiver.requests) == 2)
    assert shop.query(PENDING) == [("segment", 2, 1, 2)]
    process.kill()
    process.wait()
    assert shop.query(PENDING) == [("segment", 2, 1, 2)]
    receiver.will_answer(ACCEPTED)
    assert shop.sync().code == 0
    assert shop.query(PENDING) == [("segment", 2, 1, 2)]
    assert shop.run("seed", "vip").code == 0
    assert shop.query(PENDING) == [("segment", 0, None, 0)]


def test_what_a_seed_has_left_is_right_when_it_reached_no_user(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(401))
    shop.run("seed", "vip")
    assert shop.query(PENDING) == [("segment", 3, 1, 3)]
    shop.write_members("vip.csv", "ada", "dan", "eve", "fay")  # bob and cyd may have been sent `true`
    shop.sync()
    assert shop.query(PENDING) == [("segment", 6, 1, 6)]
    receiver.will_answer(ACCEPTED)
    assert shop.run("seed", "vip", "--json").destination("segment")["delivered"] == 6
    assert shop.query(PENDING) == [("segment", 0, None, 0)]


def test_a_seed_hides_nothing_that_other_runs_have_left(shop: Project, receiver: Receiver) -> None:
    new = {"name": "New", "source": "shop", "file": "new.csv", "initial": "manual"}
    options = {"batch_size": 1, "concurrency": 1, "give_up_after": "100ms"}
    shop.configure(audiences=[VIP, new], destinations={"segment": segment(receiver, **options)})
    shop.write_members("new.csv", "fay", "gus")
    receiver.will_answer(DOWN)
    shop.sync()
    receiver.will_answer(ACCEPTED)
    assert shop.run("seed", "new", "--limit", "1").code == 0
    assert shop.query(PENDING) == [("segment", 4, 1, 1)]
    shop.sync()
    assert shop.query(PENDING) == [("segment", 1, 2, 1)]


def test_a_destination_that_left_the_config_keeps_what_it_was_not_sent(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(401))
    shop.sync()
    shop.configure(audiences=[VIP])
    assert shop.sync().code == 0
    assert shop.query(PENDING) == [("log", 0, None, 0), ("segment", 3, 1, 0)]
    assert shop.query("select name, last_run, sent_through_run from destinations order by name") == [
        ("log", 2, 2),
        ("segment", 1, None),
    ]


def test_what_is_pending_stays_right_when_retention_deletes_old_runs(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(401))
    shop.sync()
    shop.query("update runs set started_at = strftime('%Y-%m-%d %H:%M:%f000', started_at, '-2 years')")
    shop.configure(audiences=[VIP], destinations={"segment": segment(receiver)}, retention="365d")
    shop.sync("--accept-clock")
    assert shop.query("select count(*) from deliveries where run = 1") == [(0,)]
    assert shop.query(PENDING) == [("segment", 3, 1, 0)]
    assert shop.query("select since_at = (select started_at from sync_runs where run = 1) from pending_calls") == [(1,)]


def test_refused_calls_are_not_pending(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(400), ACCEPTED)
    shop.sync()
    assert shop.query(PENDING) == [("segment", 0, None, 0)]
    assert shop.query("select pending, refused, last_http_status from destinations") == [(0, 1, 200)]


def test_two_killed_runs_and_a_retry_count_each_for_themselves(shop: Project, receiver: Receiver) -> None:
    for answered in (1, 2):
        receiver.requests.clear()
        receiver.will_answer(ACCEPTED, SILENCE)
        shop.write_members("vip.csv", "ada", "bob", "cyd", *["dan", "eve"][: answered - 1])
        process = shop.start("sync")
        until(lambda: len(receiver.requests) == 2)
        process.kill()
        process.wait()
    receiver.will_answer(ACCEPTED)
    assert shop.run("retry").code == 0
    assert shop.query(DELIVERIES) == [
        (1, "segment", 3, 1, 0, 2),
        (2, "segment", 3, 1, 0, 2),
        (3, "segment", 2, 2, 0, 0),
    ]


def test_a_run_killed_with_one_destination_done_lists_both(
    vip: Project, receiver: Receiver, database: str, new_url: Callable[..., str]
) -> None:
    """One destination has accepted everything, the other one has not answered: by command and by query."""
    url = new_url(database, with_schema=True)
    log = {"type": "file", "path": "calls.jsonl"}
    vip.configure(audiences=[VIP], destinations={"log": log, "segment": segment(receiver, batch_size=1)}, store=url)
    receiver.will_answer(SILENCE)
    process = vip.start("sync")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        if database == "postgresql":
            connection.execute(text("set search_path = audience_sync, public"))
        until(lambda: len(vip.messages()) == 3 and bool(receiver.requests))
        until(lambda: connection.execute(text("select sum(delivered) from deliveries")).scalar() == 3)
        process.kill()
        process.wait()
        assert connection.execute(text(DELIVERIES)).all() == [(1, "log", 3, 3, 0, 0), (1, "segment", 3, 0, 0, 3)]
        assert connection.execute(text(PENDING)).all() == [("log", 0, None, 0), ("segment", 3, 1, 0)]
        shown = vip.run("show", "1", "--json").json["deliveries"]
        assert [(each["destination"], each["delivered"], each["pending"]) for each in shown] == [
            ("log", 3, 0),
            ("segment", 0, 3),
        ]
        history = vip.run("history", "--json").json["runs"]
        assert [(each["delivered"], each["pending"]) for each in history] == [(3, 3)]
        receiver.will_answer(ACCEPTED)
        connection.execute(text("update lease set expires_at = 1"))
        assert vip.sync().code == 0
        assert connection.execute(text(RUNS)).all() == [(1, "interrupted", 3, 3), (2, "succeeded", 3, 0)]
        assert connection.execute(text(PENDING)).all() == [("log", 0, None, 0), ("segment", 0, None, 0)]


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_a_run_on_postgresql_that_was_stopped_is_interrupted(
    new_vip: Project, receiver: Receiver, postgresql: PostgreSQL, stop: signal.Signals
) -> None:
    new_vip.environment["STORE"] = postgresql.create()
    destinations = {"segment": segment(receiver, batch_size=1, concurrency=1, timeout="1s")}
    new_vip.configure(store="${STORE}", audiences=[VIP], destinations=destinations)
    assert new_vip.run("db", "upgrade").code == 0
    receiver.will_answer(ACCEPTED, SILENCE)
    process = new_vip.start("sync")
    until(lambda: len(receiver.requests) == 2)
    process.send_signal(stop)
    process.wait(30)
    (stopped,) = new_vip.run("history", "--json").json["runs"]
    assert (stopped["status"], stopped["delivered"], stopped["pending"]) == ("interrupted", 1, 2)
    assert new_vip.run("show", "1").stdout.startswith("Run 1 was interrupted")
