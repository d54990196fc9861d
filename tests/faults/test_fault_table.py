"""Each fault has its rule for the calls that meet it, and all users have the right values afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import NewHarness
from .faults import FAULTS, KEY, LATER, SLOWER, SMALLER, SPLIT, Row, Rule
from .harness import PATHS, FaultHarness

GIVE_UP_AFTER = "150ms"
#: Less than the two seconds that are asked for, and time enough to hear it on a busy machine.
SHORT_OF_TWO_SECONDS = "900ms"
each_fault = pytest.mark.parametrize("row", FAULTS.values(), ids=FAULTS.keys())


def meet(harness: FaultHarness, row: Row) -> None:
    """A run while the fault lasts; a whole request has less time only where the fault is to be slow."""
    slow = row.fault.then in ("drip", "silence")
    give_up_after = SHORT_OF_TWO_SECONDS if SLOWER in row.rules.values() else GIVE_UP_AFTER
    harness.connect(row.fault.address, give_up_after=give_up_after, timeout="150ms" if slow else "30s")
    harness.meet_with(row.fault)


@each_fault
def test_a_fault_has_its_rule_and_nothing_is_lost(new_harness: NewHarness, row: Row) -> None:
    harness = new_harness(*row.rules)
    meet(harness, row)
    run = harness.sync()
    assert run.code == row.code
    for protocol, rule in row.rules.items():
        check_what_became_of_the_calls(harness, run.destination(protocol), protocol, rule, row)

    # Meanwhile bob leaves and eve enters. The fault is over: everybody is sent the truth, by one run.
    harness.write_members("vip.csv", "ada", "cyd", "dan", "eve")
    harness.meet_with(None)
    harness.connect()
    after = harness.run("retry" if {SPLIT, SMALLER} & set(row.rules.values()) else "sync", "--json")
    assert (after.code, after.json["status"]) == (0, "succeeded")
    for protocol, server in harness.servers.items():
        assert server.members("vip") == {"ada", "cyd", "dan", "eve"}, protocol
        assert {request.method for request in server.requests} == {"POST"}
        assert {request.path for request in server.requests} <= PATHS[protocol]
        check_repeats(harness, protocol, row)
    assert harness.query("select count(*) from refused_calls") == [(0,)]


def check_what_became_of_the_calls(
    harness: FaultHarness, found: dict[str, Any], protocol: str, rule: Rule, row: Row
) -> None:
    _, counts, requests = rule.value
    assert (found["delivered"], found["refused"], found["pending"]) == counts, protocol
    assert found["delivered"] + found["refused"] + found["pending"] == found["calls"] == 4
    if requests is not None:
        assert found["requests"] == len(harness.servers[protocol].requests) == requests, protocol
    reasons = [
        reason for (reason,) in harness.query(f"select reason from refused_calls where destination = '{protocol}'")
    ]
    if rule in (SPLIT, SMALLER):
        assert [row.reason in reason for reason in reasons] == [True] * 4, reasons
        assert found["error"] is None
    elif found["pending"]:
        assert row.reason in found["error"]
        assert found["error"].startswith("no progress for 0.15 s, last: ") == (rule is LATER)
        assert found["rate_limited"] == (row.fault.status == 429)
        assert rule is not KEY or "key" in found["error"]
        assert reasons == []
    else:
        assert found["error"] is None


def check_repeats(harness: FaultHarness, protocol: str, row: Row) -> None:
    """What was recorded twice is the same call, and its answer was lost."""
    recorded = harness.servers[protocol].recorded
    assert {call.id: (call.user, call.properties) for call in recorded} == {
        call.id: (call.user, dict(call.properties)) for call in reversed(recorded)
    }
    if not row.fault.records:
        assert len({call.id for call in recorded}) == len(recorded)
