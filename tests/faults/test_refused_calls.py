"""Is a refused call kept with what a person needs, and gone when it has gone through?"""

from __future__ import annotations

import json

import pytest

from .conftest import NewWorld
from .server import Fault
from .world import PROTOCOLS, SECRETS, World

KEPT = "select user_id, reason, http_status, attempts from refused_calls"


def refusing_cyd(world: World) -> None:
    """The answer repeats every secret and what was sent."""
    world.meet_with(Fault(400, f"no: {SECRETS} cyd is not vip".encode(), about="cyd"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_call_is_kept_without_secrets_and_counts_its_attempts(new_world: NewWorld, protocol: str) -> None:
    world = new_world(protocol)
    world.connect()
    refusing_cyd(world)
    assert world.sync().code == 1
    for attempts in (1, 2, 3):
        [(user, reason, status, counted)] = world.query(KEPT)
        assert (user, status, counted) == ("cyd", 400, attempts)
        assert reason.startswith("HTTP 400: no")
        assert [secret for secret in SECRETS[protocol] if secret in reason] == []
        [shown] = json.loads(world.run("show", str(attempts), "--json").stdout)["refused_calls"]
        assert (shown["user_id"], shown["reason"], shown["attempts"]) == (user, reason, attempts)
        retried = world.run("retry", "--json")
        assert (retried.code, retried.destination(protocol)["refused"]) == (1, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_retry_carries_the_newest_values_and_a_success_forgets_the_refusal(
    new_world: NewWorld, protocol: str
) -> None:
    world = new_world(protocol)
    world.connect()
    refusing_cyd(world)
    assert world.sync().code == 1
    world.write_members("vip.csv", "ada", "bob", "dan")  # cyd leaves while the call is refused
    assert world.sync().code == 1
    world.meet_with(None)
    assert world.run("retry").code == 0
    assert world.servers[protocol].belief["cyd"] == {"vip": False}
    assert world.query(KEPT) == []
