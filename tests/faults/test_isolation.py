"""Does a destination in trouble delay, repeat or lose the calls of another?"""

from __future__ import annotations

import threading

import pytest

from .conftest import NewWorld
from .server import Fault, FaultServer
from .world import World

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
def test_a_destination_that_has_not_answered_yet_holds_up_no_other(new_world: NewWorld, slow: str, fast: str) -> None:
    world = new_world(slow, fast)
    world.connect()
    world.servers[slow].hold = threading.Event()
    served: list[bool] = []
    waiting = threading.Thread(target=release_when_served, args=(world.servers[slow], world.servers[fast], served))
    waiting.start()
    run = world.sync()
    waiting.join()
    assert served == [True]  # the fast one was served while the slow one was still waiting
    assert run.code == 0


@pytest.mark.parametrize("fault", IN_TROUBLE.values(), ids=IN_TROUBLE.keys())
def test_a_destination_in_trouble_costs_the_others_nothing(new_world: NewWorld, fault: Fault) -> None:
    world = new_world("segment", "webhook")
    world.connect(only="segment", address=fault.address, give_up_after="150ms", timeout="150ms")
    world.servers["segment"].meet_with(fault)
    run = world.sync()
    assert run.code == 1
    well = run.destination("webhook")
    assert (well["delivered"], well["pending"], well["requests"]) == (4, 0, 1)
    assert world.servers["webhook"].members("vip") == {"ada", "bob", "cyd", "dan"}
    assert not run.destination("segment")["delivered"]

    # The trouble is over: the other is sent nothing again.
    world.servers["segment"].meet_with(None)
    world.connect()
    assert world.run("retry").code == 0
    assert world.servers["segment"].members("vip") == {"ada", "bob", "cyd", "dan"}
    assert len(world.servers["webhook"].requests) == 1


def test_one_bad_call_is_found_and_the_others_go_through_once(world: World) -> None:
    world.connect()
    world.meet_with(Fault(400, b"no such profile", about="cyd"))
    run = world.sync()
    assert run.code == 1
    for protocol, server in world.servers.items():
        found = run.destination(protocol)
        assert (found["delivered"], found["refused"], found["pending"]) == (3, 1, 0), protocol
        assert sorted(call.user for call in server.recorded) == ["ada", "bob", "dan"]
