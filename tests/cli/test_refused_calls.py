"""A call that a destination refuses for good is recorded, and sent again by `retry`."""

from __future__ import annotations

from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment

REFUSED = Reply(400, b'{"message": "no such profile"}')


def test_a_refused_call_blocks_no_other_is_kept_and_goes_out_when_its_user_changes(
    vip: Project, receiver: Receiver
) -> None:
    receiver.will_answer(ACCEPTED, REFUSED, ACCEPTED)
    vip.configure(
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Test", "source": "shop", "file": "test.csv"},
        ],
        destinations={"segment": segment(receiver, batch_size=1, concurrency=1)},
    )
    vip.write_members("test.csv", "zed")
    first = vip.sync()
    assert (first.code, first.json["status"]) == (1, "partial")
    assert (first.destination("segment")["delivered"], first.destination("segment")["refused"]) == (3, 1)
    (refused,) = vip.run("show", "1", "--json").json["refused_calls"]
    assert (refused["user_id"], refused["http_status"], refused["attempts"]) == ("bob", 400, 1)
    assert "no such profile" in refused["reason"]
    assert "bob" in vip.run("show", "1").stdout

    # It stays refused, and the run says so, until its user changes.
    receiver.requests.clear()
    second = vip.sync()
    assert (second.code, second.destination("segment")["still_refused"]) == (1, 1)
    assert receiver.requests == []

    vip.write_members("test.csv", "zed", "bob")
    assert vip.sync().code == 0
    assert calls(receiver) == [("bob", {"test": True, "vip": True})]
    assert vip.query("select count(*) from refused_calls") == [(0,)]


def test_retry_sends_refused_calls_again_with_the_newest_values(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(REFUSED)
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": segment(receiver)},
    )
    vip.write_members("vip.csv", "ada", "bob")
    assert vip.sync().destination("segment")["refused"] == 2
    receiver.will_answer(ACCEPTED)
    receiver.requests.clear()
    retried = vip.run("retry", "--json")
    assert (retried.code, retried.destination("segment")["delivered"]) == (0, 2)
    assert calls(receiver) == [("ada", {"vip": True}), ("bob", {"vip": True})]
    assert vip.query("select count(*) from refused_calls") == [(0,)]


def test_a_refusal_keeps_its_history_when_the_call_is_accepted_later(vip: Project, receiver: Receiver) -> None:
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": segment(receiver)},
    )
    vip.write_members("vip.csv", "ada")
    receiver.will_answer(REFUSED)
    vip.sync()
    vip.run("retry")
    history = "select run, destination, user_id, http_status, outcome, accepted_run from refusals order by run"
    assert vip.query(history) == [
        (1, "segment", "ada", 400, "refused", None),
        (2, "segment", "ada", 400, "refused", None),
    ]
    receiver.will_answer(ACCEPTED)
    vip.run("retry")
    assert vip.query(history) == [
        (1, "segment", "ada", 400, "accepted", 3),
        (2, "segment", "ada", 400, "accepted", 3),
    ]
    assert vip.query("select * from refused_calls") == []
    (shown,) = vip.run("show", "1", "--json").json["refusals"]
    assert (shown["user_id"], shown["outcome"], shown["accepted_run"]) == ("ada", "accepted", 3)
    assert "no such profile" in vip.run("show", "1").stdout


def test_an_erased_user_is_in_no_refusal_of_the_past_or_the_present(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(REFUSED)
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": segment(receiver)},
    )
    vip.write_members("vip.csv", "ada", "bob", "cyd")
    vip.sync()
    receiver.will_answer(ACCEPTED)
    vip.write_members("vip.csv", "bob", "cyd")
    vip.sync()
    refused = "select user_id, outcome from refusals order by user_id"
    assert vip.query(refused) == [("ada", "accepted"), ("bob", "refused"), ("cyd", "refused")]

    assert vip.run("erase", "ada", "bob").code == 0
    assert vip.query(refused) == [("cyd", "refused")]
    assert vip.query("select user_id from refused_calls") == [("cyd",)]
    assert [each["user_id"] for each in vip.run("show", "1", "--json").json["refusals"]] == ["cyd"]
