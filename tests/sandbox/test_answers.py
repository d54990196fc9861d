"""Answers on demand: for how many requests, of which destination, and what becomes of the calls."""

from __future__ import annotations

from functools import partial

import pytest

from audience_sync.sandbox.answers import Arrival, Plan, planned_answer
from audience_sync.sandbox.state.state import State
from audience_sync.sandbox.values import Request

from .support import AT, connect, identify, received, segment


def test_a_plan_ends_after_its_requests_and_its_own_destination_comes_first(state: State) -> None:
    request, plans = received(identify("a", vip=True)), state.plans
    plans.set(Plan(answer="429", requests=2))
    plans.set(Plan(answer="500", destination="segment", requests=1))
    answers = [plan.answer if (plan := plans.next_for(request, lambda: 0.0)) else None for _ in range(4)]
    assert answers == ["500", "429", "429", None]
    plans.set(Plan(answer="400", requests=None, user="b"))
    assert plans.next_for(request, lambda: 0.0) is None
    plans.set(Plan(answer="500", requests=None, share=30))
    assert [bool(plans.next_for(request, partial(float, share))) for share in (0.29, 0.3)] == [True, False]
    plans.set(Plan(answer="200"))
    assert plans.all() == []


@pytest.mark.parametrize(
    ("answer", "status", "wait", "outcome"),
    [
        ("429", 429, 0, "slow down"),
        ("503", 503, 0, "failed"),
        ("400", 400, 0, "refused"),
        ("slow", 200, 2, "accepted"),
        ("timeout", None, 2, "no answer"),
        ("close", None, 0, "cut off"),
    ],
)
def test_an_answer_says_what_became_of_the_calls(answer: str, status: int | None, wait: float, outcome: str) -> None:
    request = identify("a", vip=True)
    reading, plan = received(request), Plan(answer=answer)
    found = Arrival(request=request, reading=reading, plan=plan, answer=planned_answer(plan, reading), at=AT)
    assert (found.sent.status if found.sent else None, found.wait, found.outcome.value) == (status, wait, outcome)
    assert found.is_applied is (outcome in ("accepted", "cut off"))


@pytest.mark.parametrize(
    ("request_", "text", "headers"),
    [
        (identify("a"), b"Too Many Requests", {"Retry-After": "1", "X-RateLimit-Reset": "1"}),
        (segment({"batch": []}, "/rudderstack/v1/batch"), b"max requests limit reached\n", {}),
        (
            connect({"user_id": "a"}),
            b'{"error": {"Message": "Too Many Requests", "Code": 429}}',
            {"Retry-After": "1"},
        ),
        (segment({"id": "a"}, "/hooks/a"), b'{"error": "Too Many Requests"}', {"Retry-After": "1"}),
    ],
)
def test_a_429_has_the_form_of_its_service(request_: Request, text: bytes, headers: dict[str, str]) -> None:
    found = planned_answer(Plan(answer="429"), received(request_))
    assert (found.status, found.body, found.headers) == (429, text, headers)
