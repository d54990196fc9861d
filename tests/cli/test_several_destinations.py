"""Each destination has its own position: one that is new, limited or down never delays or repeats the others."""

from __future__ import annotations

from destinations.receiver import Receiver, unused_url

from .conftest import Project, calls, segment


def test_each_destination_is_sent_its_pending_calls_and_no_more(
    vip: Project, receiver: Receiver, other_receiver: Receiver
) -> None:
    audiences = [
        {"name": "VIP", "source": "shop", "file": "vip.csv"},
        {"name": "Test", "source": "shop", "file": "test.csv", "destinations": ["a"]},
    ]
    a, b = segment(receiver), segment(other_receiver)
    vip.write_members("test.csv", "ada", "zed")
    vip.configure(audiences=audiences, destinations={"a": a})
    vip.sync()
    assert calls(receiver) == [
        ("ada", {"test": True, "vip": True}),
        ("bob", {"vip": True}),
        ("cyd", {"vip": True}),
        ("zed", {"test": True}),
    ]

    # A destination is added: it is sent who is in now (bob left, dan entered), the first only of the change.
    receiver.requests.clear()
    vip.write_members("vip.csv", "ada", "cyd", "dan")
    vip.configure(audiences=audiences, destinations={"a": a, "b": b})
    vip.sync()
    assert calls(receiver) == [("bob", {"vip": False}), ("dan", {"vip": True})]
    assert calls(other_receiver) == [("ada", {"vip": True}), ("cyd", {"vip": True}), ("dan", {"vip": True})]

    # One is down: the other is sent; pending calls stay pending, with the newest values.
    receiver.requests.clear()
    other_receiver.requests.clear()
    vip.write_members("vip.csv", "ada", "cyd")
    vip.write_members("test.csv", "zed")
    with unused_url() as nowhere:
        down = {**b, "url": nowhere, "give_up_after": "100ms"}
        vip.configure(audiences=audiences, destinations={"a": a, "b": down})
        partial = vip.sync()
    assert (partial.code, partial.json["status"]) == (1, "partial")
    assert (partial.destination("a")["delivered"], partial.destination("b")["pending"]) == (2, 1)
    assert partial.destination("b")["error"].startswith("no progress for 0.1 s")
    assert calls(receiver) == [("ada", {"test": False}), ("dan", {"vip": False})]

    # It is up again: the next run delivers all of it, though nothing is new.
    receiver.requests.clear()
    vip.configure(audiences=audiences, destinations={"a": a, "b": b})
    assert vip.sync().destination("b")["delivered"] == 1
    assert calls(other_receiver) == [("dan", {"vip": False})]
    assert receiver.requests == []


def test_a_run_in_which_every_destination_failed_has_failed_and_loses_nothing(vip: Project, receiver: Receiver) -> None:
    with unused_url() as nowhere:
        audiences = [{"name": "VIP", "source": "shop", "file": "vip.csv"}]
        down = segment(receiver, url=nowhere, give_up_after="100ms")
        vip.configure(audiences=audiences, destinations={"a": down})
        failed = vip.run("sync")
    assert failed.code == 3
    assert "\nStopped: a\n  Reason   no progress for 0.1 s" in failed.stdout
    assert "\n  Effect   3 calls are pending; the next run sends them\n" in failed.stdout
    vip.write_members("vip.csv", "ada", "dan")
    vip.configure(audiences=audiences, destinations={"a": segment(receiver)})
    assert vip.sync().code == 0
    assert [call for call in calls(receiver) if call[1]["vip"]] == [("ada", {"vip": True}), ("dan", {"vip": True})]


def test_an_audience_that_is_taken_out_of_the_config_and_put_back_sends_only_what_changed(vip: Project) -> None:
    vip.sync()
    vip.write_members("other.csv", "zed")
    vip.configure(audiences=[{"name": "Other", "source": "shop", "file": "other.csv"}])
    vip.sync()
    vip.write_members("vip.csv", "bob", "cyd", "dan")
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    vip.sent()
    vip.sync()
    assert vip.sent() == [("ada", {"vip": False}), ("dan", {"vip": True})]
