"""A refused call is recorded with what a person needs, until it is accepted."""

from __future__ import annotations

import json

import pytest

from .conftest import NewHarness
from .harness import PROTOCOLS, SECRETS, FaultHarness
from .server import Fault

KEPT = "select user_id, reason, http_status, attempts from refused_calls"


def refusing_cyd(harness: FaultHarness) -> None:
    """The answer repeats every secret and what was sent."""
    harness.meet_with(Fault(400, f"no: {SECRETS} cyd is not vip".encode(), about="cyd"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_call_is_kept_without_secrets_and_counts_its_attempts(new_harness: NewHarness, protocol: str) -> None:
    harness = new_harness(protocol)
    harness.connect()
    refusing_cyd(harness)
    assert harness.sync().code == 1
    for attempts in (1, 2, 3):
        [(user, reason, status, counted)] = harness.query(KEPT)
        assert (user, status, counted) == ("cyd", 400, attempts)
        assert reason.startswith("HTTP 400: no")
        assert [secret for secret in SECRETS[protocol] if secret in reason] == []
        [shown] = json.loads(harness.run("show", str(attempts), "--json").stdout)["refused_calls"]
        assert (shown["user_id"], shown["reason"], shown["attempts"]) == (user, reason, attempts)
        retried = harness.run("retry", "--json")
        assert (retried.code, retried.destination(protocol)["refused"]) == (1, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_retry_carries_the_newest_values_and_a_success_forgets_the_refusal(
    new_harness: NewHarness, protocol: str
) -> None:
    harness = new_harness(protocol)
    harness.connect()
    refusing_cyd(harness)
    assert harness.sync().code == 1
    harness.write_members("vip.csv", "ada", "bob", "dan")  # cyd leaves while the call is refused
    assert harness.sync().code == 1
    harness.meet_with(None)
    assert harness.run("retry").code == 0
    assert harness.servers[protocol].belief["cyd"] == {"vip": False}
    assert harness.query(KEPT) == []
