"""A person backfills a new audience by hand, at their own pace, and can stop in between."""

from __future__ import annotations

import json
import signal
import time

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, calls, received, segment, until

MANUAL = {"name": "VIP", "source": "shop", "file": "vip.csv", "initial": "manual"}
EVERYONE = [f"user-{number:02}" for number in range(1, 31)]


@pytest.fixture
def manual(vip: Project) -> Project:
    """The audience `vip` waits for a person."""
    vip.configure(audiences=[MANUAL])
    return vip


def test_an_audience_waits_until_it_is_seeded_and_a_limit_leaves_the_rest_for_later(manual: Project) -> None:
    waiting = manual.sync()
    assert (waiting.code, waiting.audience("vip")["status"]) == (0, "waiting")
    assert waiting.audience("vip")["error"] == "waiting for `audience-sync seed vip`"
    assert manual.sent() == []

    seeded = manual.run("seed", "vip", "--limit", "2")
    assert seeded.code == 0
    assert seeded.stdout.startswith("Run 2 seeded 2 of 3 members of vip in ")
    assert manual.sent() == [("ada", {"vip": True}), ("bob", {"vip": True})]

    # Between two seeds, sync sends to the users that a seed has reached, and to no others.
    manual.write_members("vip.csv", "ada", "cyd", "dan")
    assert manual.sync().destination("log")["delivered"] == 1
    assert manual.sent() == [("bob", {"vip": False})]

    rest = manual.run("seed", "vip", "--json")
    assert (rest.code, rest.destination("log")["delivered"]) == (0, 2)
    assert manual.sent() == [("cyd", {"vip": True}), ("dan", {"vip": True})]

    manual.write_members("vip.csv", "ada", "cyd", "dan", "eve")
    assert manual.sync().audience("vip")["status"] == "synced"
    assert manual.sent() == [("eve", {"vip": True})]


def test_a_baseline_is_recorded_without_sending_and_only_later_changes_are_sent(manual: Project) -> None:
    recorded = manual.run("seed", "vip", "--no-send", "--json")
    assert (recorded.code, recorded.audience("vip")["members"]) == (0, 3)
    assert manual.sent() == []
    manual.write_members("vip.csv", "ada", "bob", "dan")
    assert manual.sync().code == 0
    assert manual.sent() == [("cyd", {"vip": False}), ("dan", {"vip": True})]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_seed_goes_on_where_it_was(manual: Project, receiver: Receiver, stop: signal.Signals) -> None:
    slow = segment(receiver, batch_size=1, concurrency=1)
    manual.configure(audiences=[MANUAL], destinations={"segment": slow})
    manual.write_members("vip.csv", *EVERYONE)
    seeding = manual.start("seed", "vip", "--rate", "10/s")
    until(lambda: len(receiver.requests) >= 3)
    with manual.locked():
        seeding.send_signal(stop)
        if stop == signal.SIGTERM:  # systemd and a parent may each send one
            time.sleep(0.2)
            seeding.send_signal(stop)
    assert seeding.wait(30) == 130
    sent_before = len(calls(receiver))
    assert 3 <= sent_before < 30
    assert manual.query("select status, error like 'The run was interrupted.%' from sync_runs") == [("interrupted", 1)]

    again = manual.run("seed", "vip", "--json")
    assert (again.code, again.destination("segment")["delivered"]) == (0, 30 - sent_before)
    assert calls(receiver) == [(user, {"vip": True}) for user in EVERYONE]
    assert len({each["messageId"] for each in received(receiver)}) == 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vip", "--rate", "fast"], "--rate"),
        (["vip", "--limit", "0"], "--limit"),
        (["vap"], "there is no audience 'vap'. Did you mean 'vip'?"),
        ([], "missing argument 'KEY'"),
    ],
    ids=["rate", "limit", "unknown key", "no key"],
)
def test_a_wrong_use_ends_with_2_and_says_so(manual: Project, arguments: list[str], words: str) -> None:
    wrong = manual.run("seed", *arguments)
    assert wrong.code == 2
    assert words in wrong.stderr
    assert manual.sent() == []


def test_a_rate_counts_users_though_a_request_holds_many(manual: Project, receiver: Receiver) -> None:
    manual.configure(audiences=[MANUAL], destinations={"segment": segment(receiver, batch_size=500)})
    manual.write_members("vip.csv", *EVERYONE)
    seeded = manual.run("seed", "vip", "--rate", "20/s", "--json")
    assert (seeded.code, seeded.destination("segment")["delivered"]) == (0, 30)
    assert [len(json.loads(each.body)["batch"]) for each in receiver.requests] == [20, 10]
    assert seeded.json["seconds"] > 0.9


def test_a_forecast_has_the_time_at_both_rates(manual: Project, receiver: Receiver) -> None:
    manual.configure(audiences=[MANUAL], destinations={"segment": segment(receiver, rate_limit="2/s")})
    manual.write_members("vip.csv", *EVERYONE)
    forecast = manual.run("plan", "vip", "--rate", "10/s", "--json").json["destinations"][0]
    assert (forecast["calls"], forecast["requests"]) == (30, 3)
    assert (forecast["rate_limit"], forecast["seconds_at_rate_limit"]) == (2.0, 1.5)
    assert (forecast["rate"], forecast["seconds_at_rate"]) == (10.0, 3.0)


def test_a_limit_that_a_stopped_destination_did_not_reach_is_not_all_that_was_asked_for(
    manual: Project, receiver: Receiver
) -> None:
    manual.configure(
        audiences=[MANUAL], destinations={"segment": segment(receiver), "log": {"type": "file", "path": "calls.jsonl"}}
    )
    receiver.will_answer(Reply(401))
    limited = manual.run("seed", "vip", "--limit", "2")
    assert limited.code == 1
