"""What a run found about each subject: why it needs attention, or that all is well."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from audience_sync.alerts.conditions import RUN, TRAITS, conditions
from audience_sync.config.sections.notify import Notify
from audience_sync.model import AlertKind, AudienceStatus, ChangeCounts, RunId
from audience_sync.store.alerts.alerts import Subject
from audience_sync.store.runs.schedule_slots import Slot
from audience_sync.sync.values.findings import AudienceResult, HeldDifference, TraitsResult
from audience_sync.sync.values.report import DestinationReport, Report

SIX = datetime(2026, 11, 30, 6, tzinfo=UTC)
VIP = AudienceResult(key="vip", name="VIP", status=AudienceStatus.SYNCED, before=1_000)
CONNECT = DestinationReport(name="connect", address="api", calls=100, delivered=100, refused=0, pending=0)
HELD, FAILED, REFUSED, SIZE, LATE = (
    AlertKind.HELD,
    AlertKind.FAILED,
    AlertKind.REFUSED,
    AlertKind.SIZE,
    AlertKind.LATE,
)
REFUSED_BEFORE = [(REFUSED, "connect")]


def found(
    *parts: AudienceResult | DestinationReport | TraitsResult,
    open_before: Collection[Subject] = (),
    sizes: Sequence[int] = (),
    slots: Sequence[Slot] = (),
) -> Mapping[Subject, str | None]:
    report = Report(
        run=RunId(7),
        audiences=[each for each in parts if isinstance(each, AudienceResult)],
        traits=next((each for each in parts if isinstance(each, TraitsResult)), TraitsResult()),
        destinations=[each for each in parts if isinstance(each, DestinationReport)],
        seconds=1.0,
    )
    return conditions(
        report, Notify(), slots=slots, began_at=SIX, open_before=open_before, sizes={"vip": sizes} if sizes else {}
    )


def test_a_run_without_problems_checks_every_subject() -> None:
    assert found(VIP, CONNECT) == {
        (FAILED, "vip"): None,
        (HELD, "vip"): None,
        (FAILED, TRAITS): None,
        (HELD, TRAITS): None,
        (FAILED, RUN): None,
        (HELD, RUN): None,
        (FAILED, "connect"): None,
        (REFUSED, "connect"): None,
    }


def test_of_a_failed_audience_an_open_hold_stays_open() -> None:
    failed = found(replace(VIP, status=AudienceStatus.FAILED, error="no such file"))
    assert failed[FAILED, "vip"] == "no such file"
    assert (HELD, "vip") not in failed


def test_a_hold_is_one_with_its_message() -> None:
    held = HeldDifference(message="it would lose half", since=RunId(7), counts=ChangeCounts(1_000, 0, 500))
    assert found(replace(VIP, status=AudienceStatus.HELD, held=held))[HELD, "vip"] == "it would lose half"


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        pytest.param(1, None, id="just the share that may be refused"),
        pytest.param(2, "2 of 100 calls refused. The reasons: audience-sync show 7", id="more than that"),
    ],
)
def test_a_larger_share_of_refused_calls_needs_attention(refused: int, text: str | None) -> None:
    assert found(replace(CONNECT, refused=refused))[REFUSED, "connect"] == text


def test_refused_calls_need_attention_until_none_is_left() -> None:
    nothing_sent = replace(CONNECT, calls=0, delivered=0, still_refused=3)
    assert (REFUSED, "connect") not in found(nothing_sent, open_before=REFUSED_BEFORE)
    assert found(replace(nothing_sent, still_refused=0), open_before=REFUSED_BEFORE)[REFUSED, "connect"] is None


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        pytest.param(
            replace(CONNECT, delivered=99, pending=1, error="HTTP 401"),
            "HTTP 401. 1 call pending; the next run sends them",
            id="an error",
        ),
        pytest.param(replace(CONNECT, delivered=0, pending=100, error="HTTP 429", rate_limited=True), None, id="429"),
    ],
)
def test_a_destination_with_an_error_has_failed_but_not_for_a_rate_limit(
    destination: DestinationReport, text: str | None
) -> None:
    assert found(destination)[FAILED, "connect"] == text


def test_a_run_without_calls_shows_nothing_about_a_destination() -> None:
    assert (FAILED, "connect") not in found(replace(CONNECT, calls=0, delivered=0))


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        pytest.param([2_001] * 5, "1,000 members; usually there are about 2,001", id="half of the usual size"),
        pytest.param([2_000] * 5, None, id="exactly half of it"),
        pytest.param([600] * 5, "1,000 members; usually there are about 600", id="larger than usual"),
        pytest.param([1_000, 1_000, 1_000, 9_000, 9_000], None, id="the median counts"),
    ],
)
def test_a_size_far_from_the_usual_one_needs_attention(sizes: list[int], text: str | None) -> None:
    assert found(VIP, sizes=sizes)[SIZE, "vip"] == text


def test_a_size_is_usual_after_five_runs() -> None:
    assert (SIZE, "vip") not in found(VIP, sizes=[9_000] * 4)


@pytest.mark.parametrize(("members", "is_unusual"), [(91, False), (90, True)])
def test_less_than_a_hundred_members_are_no_unusual_difference(members: int, is_unusual: bool) -> None:
    small = replace(VIP, before=members)
    assert (found(small, sizes=[190] * 5)[SIZE, "vip"] is not None) == is_unusual


@pytest.mark.parametrize(
    ("slot", "text"),
    [
        pytest.param(Slot("every 1h", SIX - timedelta(minutes=15)), None, id="as late as it may be"),
        pytest.param(
            Slot("every 1h", SIX - timedelta(minutes=16)),
            "due at 2026-11-30 05:44 UTC, it began 0:16:00 late",
            id="later",
        ),
        pytest.param(
            Slot("every 1h", SIX, missed=2, since=SIX - timedelta(hours=2)),
            "due at 2026-11-30 04:00 UTC, it began 2:00:00 late, for 3 times at once",
            id="the first of those that were missed counts",
        ),
    ],
)
def test_a_run_is_late_by_its_scheduled_time(slot: Slot, text: str | None) -> None:
    assert found(slots=[slot])[LATE, "every 1h"] == text
