"""A destination in trouble neither delays, repeats nor loses the calls of another."""

from __future__ import annotations

import threading

import pytest

from .conftest import NewHarness
from .harness import FaultHarness
from .server import Fault, FaultServer

#: Seconds after which a test gives up waiting for what should have happened at once.
PATIENCE = 30
IN_TROUBLE = {
    "down": Fault(address="http://127.0.0.1:1"),
    "failing": Fault(503),
    "limited": Fault(429, headers={"Retry-After": "0"}),
    "refusing": Fault(400, b"no"),
    "with a wrong key": Fault(401),
    "silent": Fault(then="silence"),
}


def release_when_served(held: FaultServer, other: FaultServer, served: list[bool]) -> None:
    """Let ``held`` answer once ``other`` has recorded all four calls."""
    assert held.hold is not None
    with other.received:
        served.append(other.received.wait_for(lambda: len(other.recorded) == 4, PATIENCE))
    held.hold.set()


@pytest.mark.parametrize(("slow", "fast"), [("segment", "webhook"), ("webhook", "segment")])
def test_a_destination_that_has_not_answered_yet_delays_no_other(new_harness: NewHarness, slow: str, fast: str) -> None:
    harness = new_harness(slow, fast)
    harness.connect()
    harness.servers[slow].hold = threading.Event()
    served: list[bool] = []
    waiting = threading.Thread(target=release_when_served, args=(harness.servers[slow], harness.servers[fast], served))
    waiting.start()
    run = harness.sync()
    waiting.join()
    assert served == [True]  # the fast one was served while the slow one was still waiting
    assert run.code == 0


@pytest.mark.parametrize("fault", IN_TROUBLE.values(), ids=IN_TROUBLE.keys())
def test_a_destination_in_trouble_costs_the_others_nothing(new_harness: NewHarness, fault: Fault) -> None:
    harness = new_harness("segment", "webhook")
    harness.connect(only="segment", address=fault.address, give_up_after="150ms", timeout="150ms")
    harness.servers["segment"].meet_with(fault)
    run = harness.sync()
    assert run.code == 1
    well = run.destination("webhook")
    assert (well["delivered"], well["pending"], well["requests"]) == (4, 0, 1)
    assert harness.servers["webhook"].members("vip") == {"ada", "bob", "cyd", "dan"}
    assert not run.destination("segment")["delivered"]

    # The trouble is over: the other is sent nothing again.
    harness.servers["segment"].meet_with(None)
    harness.connect()
    assert harness.run("retry").code == 0
    assert harness.servers["segment"].members("vip") == {"ada", "bob", "cyd", "dan"}
    assert len(harness.servers["webhook"].requests) == 1


def test_one_bad_call_is_found_and_the_others_go_through_once(harness: FaultHarness) -> None:
    harness.connect()
    harness.meet_with(Fault(400, b"no such profile", about="cyd"))
    run = harness.sync()
    assert run.code == 1
    for protocol, server in harness.servers.items():
        found = run.destination(protocol)
        assert (found["delivered"], found["refused"], found["pending"]) == (3, 1, 0), protocol
        assert sorted(call.user for call in server.recorded) == ["ada", "bob", "dan"]
