"""Calls are delivered whose fault passes during the run; calls that are at fault themselves are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .conftest import NewHarness
from .harness import FaultHarness
from .server import IN_TWO_SECONDS, Fault

#: Seconds that a clock may be read too early by.
TOLERANCE = 0.05
#: The server's "too many", and the seconds after which it may be asked again; a date has no fractions.
WAITS = {
    "seconds": ({"Retry-After": "1"}, 1.0),
    "a date": ({"Retry-After": IN_TWO_SECONDS}, 0.95),
    "a reset": ({"X-RateLimit-Reset": "1"}, 1.0),
    "both, the later": ({"Retry-After": "0", "X-RateLimit-Reset": "1"}, 1.0),
}
LOST = {
    "closed": Fault(then="nothing", records=True, times=1),
    "reset": Fault(then="reset", records=True, times=1),
    "half an answer": Fault(body=b'{"success": true}', then="half", records=True, times=1),
    "an error after all": Fault(503, records=True, times=1),
}
#: The first words of a reason, and what a person is sent to do about it.
SAID = {
    "503": (Fault(503), "no progress for 0.15 s, last: HTTP 503", ""),
    "a reset": (Fault(then="reset"), "no progress for 0.15 s, last: the connection was reset", ""),
    "401": (Fault(401), "HTTP 401: the key is not accepted", ". Correct it under `destinations.segment`"),
    "404": (Fault(404), "HTTP 404: nothing accepts calls at this address", ". Check `destinations.segment.url`"),
    "302": (Fault(302), "HTTP 302: the address redirects", ". Correct `destinations.segment.url`"),
}


@pytest.mark.parametrize(("headers", "seconds"), WAITS.values(), ids=WAITS.keys())
def test_no_request_is_sent_before_the_time_that_a_429_names(
    harness: FaultHarness, headers: dict[str, str], seconds: float
) -> None:
    harness.connect()
    harness.meet_with(Fault(429, headers=headers, times=1))
    run = harness.sync()
    assert (run.code, run.json["status"]) == (0, "succeeded")
    for protocol, server in harness.servers.items():
        first, second = server.requests
        assert second.at - first.at > seconds - TOLERANCE, protocol
        assert (run.destination(protocol)["retries"], run.destination(protocol)["error"]) == (1, None)


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
def test_a_call_whose_answer_was_lost_comes_again_with_the_same_id(harness: FaultHarness, fault: Fault) -> None:
    harness.connect()
    harness.meet_with(fault)
    run = harness.sync()
    assert run.code == 0
    for protocol, server in harness.servers.items():
        once, again = server.recorded[:4], server.recorded[4:]
        assert once == again, protocol
        assert run.destination(protocol)["delivered"] == 4
        assert server.members("vip") == {"ada", "bob", "cyd", "dan"}


@pytest.mark.parametrize("fault", [Fault(413), Fault(422), Fault(500), Fault(503)], ids=lambda fault: str(fault.status))
def test_a_call_that_makes_a_server_fail_is_found_and_others_arrive_once(harness: FaultHarness, fault: Fault) -> None:
    harness.connect(give_up_after="20s")
    harness.meet_with(replace(fault, about="bob"))
    run = harness.sync()
    assert run.code == 1
    assert harness.query("select distinct user_id, http_status from refused_calls") == [("bob", fault.status)]
    for protocol, server in harness.servers.items():
        found = run.destination(protocol)
        assert (found["delivered"], found["refused"], found["pending"]) == (3, 1, 0), protocol
        assert sorted(call.user for call in server.recorded) == ["ada", "cyd", "dan"]


@pytest.mark.parametrize("fault", [Fault(then="silence"), Fault(then="reset"), Fault(429)])
def test_a_call_without_an_answer_is_pending_and_never_refused(new_harness: NewHarness, fault: Fault) -> None:
    harness = new_harness("segment")
    harness.connect(give_up_after="150ms", timeout="150ms")
    harness.meet_with(replace(fault, about="bob"))
    assert harness.sync().destination("segment")["refused"] == 0
    assert harness.query("select count(*) from refused_calls") == [(0,)]
    harness.meet_with(None)
    assert harness.run("sync").code == 0
    assert harness.servers["segment"].members("vip") == {"ada", "bob", "cyd", "dan"}


@pytest.mark.parametrize(("fault", "happened", "to_do"), SAID.values(), ids=SAID.keys())
def test_a_run_says_what_happened_what_it_means_and_what_to_do(
    new_harness: NewHarness, fault: Fault, happened: str, to_do: str
) -> None:
    harness = new_harness("segment")
    harness.connect(give_up_after="150ms")
    harness.meet_with(fault)
    said = harness.run("sync").stdout
    assert "1 of 1 destination stopped, 4 calls pending; 4 entered.\n" in said
    assert f"\nStopped: segment\n  Reason   {happened}{to_do}\n" in said
    assert "\n  Effect   4 calls are pending; the next run sends them\n" in said


def test_a_run_says_how_refused_calls_are_looked_at_and_sent_again(new_harness: NewHarness) -> None:
    harness = new_harness("segment")
    harness.connect()
    harness.meet_with(Fault(400, about="bob"))
    said = harness.run("sync").stdout
    assert "3 calls delivered, 1 refused.\n" in said
    assert "\nRefused by segment: 1 call\n  1  HTTP 400\n     bob\n" in said
    assert "audience-sync retry" in said
