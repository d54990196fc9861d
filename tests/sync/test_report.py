"""The report of a run: its status, its exit code, and the JSON that programs read."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from audience_sync.delivery.deliver import DeliveryStats
from audience_sync.model import AudienceStatus, ChangeCounts, RunId, RunStatus
from audience_sync.sync.values.findings import AudienceResult, HeldDifference, TraitsResult
from audience_sync.sync.values.report import DestinationReport, Report, destination_report

SYNCED = AudienceResult(key="vip", name="VIP", status=AudienceStatus.SYNCED, before=10, entered=3, left=1, invalid=2)
UNCHANGED = AudienceResult(key="vip", name="VIP", status=AudienceStatus.UNCHANGED, before=10)
HELD = AudienceResult(key="vip", name="VIP", status=AudienceStatus.HELD, before=10, error="the new snapshot is empty")
FAILED = AudienceResult(key="vip", name="VIP", status=AudienceStatus.FAILED, before=10, error="no such file")
WAITING = AudienceResult(
    key="vip", name="VIP", status=AudienceStatus.WAITING, error="waiting for `audience-sync seed vip`"
)

DELIVERED = DestinationReport(name="connect", address="api", calls=5, delivered=5, refused=0, pending=0)
NOTHING_PENDING = DestinationReport(name="connect", address="api", calls=0, delivered=0, refused=0, pending=0)
REFUSED = DestinationReport(name="connect", address="api", calls=5, delivered=4, refused=1, pending=0, still_refused=1)
REFUSED_BEFORE = DestinationReport(
    name="connect", address="api", calls=0, delivered=0, refused=0, pending=0, still_refused=3
)
PENDING = DestinationReport(name="connect", address="api", calls=5, delivered=4, refused=0, pending=1, error="HTTP 503")
DOWN = DestinationReport(name="segment", address="api", calls=5, delivered=0, refused=0, pending=5, error="HTTP 401")
DOWN_WITHOUT_CALLS = DestinationReport(
    name="segment", address="api", calls=0, delivered=0, refused=0, pending=0, error="HTTP 401"
)
CUT_SHORT = DestinationReport(name="connect", address="api", calls=5, delivered=0, refused=0, pending=5)

HELD_TRAITS = TraitsResult(
    held=(("plan", HeldDifference(message="too many would lose it", since=RunId(7), counts=ChangeCounts(9, 0, 5))),)
)
BAD_TRAITS = TraitsResult(errors=("computed_traits[0]: no such file",))


def report(
    *parts: AudienceResult | DestinationReport | TraitsResult,
) -> Report:
    audiences = [part for part in parts if isinstance(part, AudienceResult)]
    destinations = [part for part in parts if isinstance(part, DestinationReport)]
    traits = next((part for part in parts if isinstance(part, TraitsResult)), TraitsResult())
    return Report(run=RunId(7), audiences=audiences, traits=traits, destinations=destinations, seconds=1.23456)


@pytest.mark.parametrize(
    ("found", "status", "exit_code"),
    [
        pytest.param(report(), RunStatus.SUCCEEDED, 0, id="nothing to do"),
        pytest.param(report(SYNCED, DELIVERED), RunStatus.SUCCEEDED, 0, id="all delivered"),
        pytest.param(report(UNCHANGED, NOTHING_PENDING), RunStatus.SUCCEEDED, 0, id="nothing changed"),
        pytest.param(report(WAITING, DELIVERED), RunStatus.SUCCEEDED, 0, id="an audience waits for its seed"),
        pytest.param(report(SYNCED, REFUSED), RunStatus.PARTIAL, 1, id="a call is refused"),
        pytest.param(report(UNCHANGED, REFUSED_BEFORE), RunStatus.PARTIAL, 1, id="an earlier run's call is refused"),
        pytest.param(report(SYNCED, PENDING), RunStatus.PARTIAL, 1, id="a call is pending"),
        pytest.param(report(SYNCED, DELIVERED, DOWN), RunStatus.PARTIAL, 1, id="one of two destinations failed"),
        pytest.param(report(SYNCED, CUT_SHORT), RunStatus.PARTIAL, 1, id="nothing went out, and nothing failed"),
        pytest.param(report(HELD, DELIVERED), RunStatus.HELD, 4, id="an audience is held"),
        pytest.param(report(HELD, REFUSED), RunStatus.HELD, 4, id="held comes before refused"),
        pytest.param(report(HELD_TRAITS, REFUSED), RunStatus.HELD, 4, id="a computed trait is held"),
        pytest.param(report(FAILED, DELIVERED), RunStatus.FAILED, 3, id="a source failed"),
        pytest.param(report(SYNCED, BAD_TRAITS), RunStatus.FAILED, 3, id="a source of traits failed"),
        pytest.param(report(FAILED, HELD, REFUSED), RunStatus.FAILED, 3, id="failed comes before held"),
        pytest.param(report(SYNCED, DOWN), RunStatus.FAILED, 3, id="every destination failed"),
        pytest.param(
            report(SYNCED, DOWN, NOTHING_PENDING), RunStatus.FAILED, 3, id="every destination with calls failed"
        ),
        pytest.param(report(SYNCED, DELIVERED, DOWN_WITHOUT_CALLS), RunStatus.SUCCEEDED, 0, id="one had no calls"),
    ],
)
def test_a_run_has_a_status_and_an_exit_code(found: Report, status: RunStatus, exit_code: int) -> None:
    assert (found.status, found.exit_code) == (status, exit_code)


def test_a_run_without_errors_says_nothing_of_them() -> None:
    assert report(SYNCED, DELIVERED).error is None


def test_a_run_names_what_failed_with_its_reason() -> None:
    assert report(FAILED, HELD, BAD_TRAITS, PENDING).error == (
        "audience 'vip': no such file\ncomputed_traits[0]: no such file\ndestination connect: HTTP 503"
    )


def test_audiences_that_failed_for_one_reason_share_a_line() -> None:
    incomplete = replace(FAILED, key="gold", error="audience 'gold': 3 rows are missing")
    assert report(FAILED, replace(FAILED, key="big"), incomplete).error == (
        "2 audiences (vip, big): no such file\naudience 'gold': 3 rows are missing"
    )


def test_the_json_of_a_run_is_a_contract() -> None:
    found = report(SYNCED, TraitsResult(users=9, changed=2, invalid=1), REFUSED)
    assert found.as_json() == {
        "run": 7,
        "status": "partial",
        "audiences": [
            {
                "key": "vip",
                "name": "VIP",
                "status": "synced",
                "members": 12,
                "entered": 3,
                "left": 1,
                "invalid": 2,
                "error": None,
                "held": None,
                "absent": 0,
                "returned": 0,
                "held_out": 0,
            }
        ],
        "traits": {"users": 9, "changed": 2, "invalid": 1, "errors": [], "held": []},
        "destinations": [
            {
                "name": "connect",
                "calls": 5,
                "delivered": 4,
                "refused": 1,
                "pending": 0,
                "still_refused": 1,
                "withheld": 0,
                "requests": 0,
                "retries": 0,
                "seconds": 0.0,
                "error": None,
                "rate_limited": False,
            }
        ],
        "seconds": 1.235,
        "warnings": [],
        "errors": [],
        "held": [],
    }


def test_the_json_of_a_held_audience_says_what_it_would_have_done() -> None:
    held = replace(
        HELD, held=HeldDifference(message="the new snapshot is empty", since=RunId(5), counts=ChangeCounts(10, 0, 10))
    )
    (audience,) = report(held).as_json()["audiences"]
    assert (audience["members"], audience["entered"], audience["left"]) == (10, 0, 0)
    assert audience["held"] == {"since_run": 5, "entered": 0, "left": 10}


def test_the_json_of_a_held_trait_says_how_many_would_lose_it() -> None:
    assert report(HELD_TRAITS).as_json()["traits"]["held"] == [
        {"key": "plan", "since_run": 7, "entered": 0, "left": 5, "error": "too many would lose it"}
    ]


@pytest.mark.parametrize(("field", "code"), [("errors", 3), ("held", 4)])
def test_what_concerns_the_whole_run_decides_its_exit_code(field: str, code: int) -> None:
    found: dict[str, Any] = {field: ["the list of suppressed users"]}
    assert replace(report(SYNCED, DELIVERED), **found).exit_code == code


def test_the_feeds_of_a_destination_are_added_up() -> None:
    main = DeliveryStats(
        name="connect", calls=5, delivered=3, refused=1, requests=2, retries=1, seconds=1.5, error="HTTP 401"
    )
    seed = DeliveryStats(name="connect", calls=2, delivered=2, requests=1, seconds=0.5)
    assert destination_report("api", [main, seed], still_refused=4) == DestinationReport(
        name="connect",
        address="api",
        calls=7,
        delivered=5,
        refused=1,
        pending=1,
        requests=3,
        retries=1,
        seconds=2.0,
        error="HTTP 401",
        still_refused=4,
    )


def test_a_destination_that_only_takes_no_more_at_present_has_not_failed() -> None:
    limited = DestinationReport(
        name="connect", address="", calls=5, delivered=0, refused=0, pending=5, error="HTTP 429", rate_limited=True
    )
    assert report(limited).status is RunStatus.PARTIAL
    assert report(replace(limited, rate_limited=False)).status is RunStatus.FAILED
