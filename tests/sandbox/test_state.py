"""What the sandbox keeps: users with their last values, repeats, events, counts, and planned answers."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audience_sync.errors import ConfigError
from audience_sync.sandbox.answers import Plan, outcome_of
from audience_sync.sandbox.changes import Change
from audience_sync.sandbox.state.filters import read_user_filter
from audience_sync.sandbox.state.read import reading
from audience_sync.sandbox.state.state import Arrival, State
from audience_sync.sandbox.state.stored import CallFilter
from audience_sync.sandbox.values import Answer, Outcome, Request

from .support import AT, connect, received, segment

DAY = 86_400


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "sandbox.db")
    yield opened
    opened.close()


def record(state: State, request: Request, *, status: int | None = None, at: float = AT, lost: bool = False) -> None:
    found = received(request)
    answer = found.answer if status is None else Answer(status)
    outcome = Outcome.NO_ANSWER if lost else outcome_of(answer.status)
    state.record(
        Arrival(
            request=request,
            reading=found,
            answer=None if lost else answer,
            outcome=outcome,
            is_kept=answer.is_success,
            at=at,
        )
    )


def identify(user: str, message_id: str = "", **traits: Any) -> Request:
    return segment({"batch": [{"type": "identify", "userId": user, "messageId": message_id or None, "traits": traits}]})


def track(user: str, event: str, **properties: Any) -> Request:
    return segment({"batch": [{"type": "track", "userId": user, "event": event, "properties": properties}]})


def changes(state: State) -> list[tuple[str, list[Change]]]:
    """What each call changed, the oldest first."""
    with reading(state.path) as found:
        return [(call.outcome.value, list(call.changes)) for call in reversed(found.calls(CallFilter(), 100))]


def found(state: State, **fields: str) -> list[str]:
    with reading(state.path) as opened:
        users = [each.user_id for each in opened.users(read_user_filter(fields), AT)]
        assert opened.count_users(read_user_filter(fields), AT) == len(users)
        return users


def test_a_change_is_against_the_value_that_was_received_last(state: State) -> None:
    record(state, identify("a", vip=True, n=1))
    record(state, identify("a", vip=True, n=1.0))
    record(state, identify("a", vip=False, n=True))
    assert changes(state) == [
        ("accepted", [("vip", False, None, True), ("n", False, None, 1)]),
        ("accepted", [("n", True, 1, 1.0)]),
        ("accepted", [("vip", True, True, False), ("n", True, 1.0, True)]),
    ]


def test_only_calls_that_were_accepted_change_a_user(state: State) -> None:
    for status in (429, 500, 400):
        record(state, identify("a", vip=True), status=status)
    record(state, segment({"batch": [{"type": "identify", "userId": "a", "traits": []}]}))
    assert changes(state) == [("slow down", []), ("failed", []), ("refused", []), ("dropped", [])]
    assert found(state) == []


def test_a_message_id_that_was_accepted_is_a_repeat_and_its_old_value_changes_nothing(state: State) -> None:
    record(state, identify("a", "m-1", vip=True), status=500)
    record(state, identify("a", "m-1", vip=True), lost=True)
    record(state, identify("a", "m-2", vip=False))
    record(state, identify("a", "m-1", vip=True))
    assert [outcome for outcome, _ in changes(state)] == ["failed", "no answer", "accepted", "repeat"]
    assert found(state, property="vip", value="false") == ["a"]


def test_connects_guid_names_a_request_that_is_sent_again(state: State) -> None:
    for _ in range(2):
        record(state, connect([{"user_id": "a"}, {"user_id": "b"}], "/v2/identify/batch", x_outbound_guid="g"))
    assert [outcome for outcome, _ in changes(state)] == ["accepted", "accepted", "repeat", "repeat"]


def test_what_was_received_is_there_after_the_file_was_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    first = State(path)
    record(first, identify("a", "m-1", vip=True))
    first.set_plan(Plan(answer="429", requests=3))
    first.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    second = State(path)
    assert second.plans == {"": Plan(answer="429", requests=3)}
    record(second, identify("a", "m-1", vip=True))
    assert [outcome for outcome, _ in changes(second)] == ["accepted", "repeat"]
    second.close()


def test_a_file_has_one_sandbox_and_no_other_content(tmp_path: Path) -> None:
    first = State(tmp_path / "sandbox.db")
    with pytest.raises(ConfigError, match="another sandbox uses"):
        State(tmp_path / "sandbox.db")
    first.close()
    (tmp_path / "text.db").write_text("not a database, and long enough to be read as one" * 20)
    with pytest.raises(ConfigError, match="can't be used as the sandbox's file"):
        State(tmp_path / "text.db")
    with pytest.raises(ConfigError, match="can't be used as the sandbox's file"):
        State(tmp_path / "missing" / "sandbox.db")


def test_the_last_calls_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    state = State(tmp_path / "sandbox.db", keep=100)
    for start in range(0, 250, 50):
        items = [
            {"type": "identify", "userId": f"u{number}", "traits": {"vip": True}} for number in range(start, start + 50)
        ]
        record(state, segment({"batch": items}))
    with reading(state.path) as opened:
        assert opened.kept_calls() == 100
        assert opened.calls(CallFilter(), 1)[0].user_id == "u249"
        assert (opened.destinations()[0].calls, opened.destinations()[0].users) == (250, 250)
        assert opened.calls_since(AT - DAY) == {Outcome.ACCEPTED: 250}
        assert opened.request(1) is None
    state.close()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"property": "vip", "value": "true"}, ["a"]),
        ({"property": "vip", "value": "1"}, ["c"]),
        ({"property": "vip", "is": "is_not", "value": "true"}, ["b", "c", "d"]),
        ({"property": "vip", "is": "exists"}, ["a", "b", "c"]),
        ({"property": "vip", "is": "missing"}, ["d"]),
        ({"property": "revenue", "is": "greater", "value": "99"}, ["b"]),
        ({"property": "revenue", "is": "less", "value": "100"}, ["a"]),
        ({"property": "plan", "value": "pro"}, ["a"]),
        ({"property": "plan", "is": "contains", "value": "r"}, ["a", "b"]),
        ({"property": "tags", "is": "contains", "value": "new"}, ["c"]),
        ({"property": 'odd "key"', "value": "true"}, ["d"]),
        ({"property": "ключ", "value": "null"}, ["d"]),
        ({"property": "vip", "is": "exists", "property2": "plan", "is2": "is_not", "value2": "free"}, ["a", "c"]),
        ({"id": "b"}, ["b"]),
        ({"destination": "connect"}, []),
    ],
)
def test_users_are_found_by_property(state: State, fields: Mapping[str, str], expected: list[str]) -> None:
    record(state, identify("a", vip=True, revenue=12.5, plan="pro"))
    record(state, identify("b", vip=False, revenue=100, plan="free"))
    record(state, identify("c", vip=1, tags=["new", "x"], revenue="100"))
    record(
        state, segment({"batch": [{"type": "identify", "userId": "d", "traits": {'odd "key"': True, "ключ": None}}]})
    )
    assert found(state, **fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event": "Paid"}, ["a"]),
        ({"event": "Paid", "days": "30"}, ["a", "b"]),
        ({"event": "Paid", "days": "ever", "did": "did_not"}, ["c"]),
        ({"event": "Paid", "did": "did_not"}, ["b", "c"]),
        ({"event": "Paid", "days": "30", "event_property": "total", "event_is": "greater", "event_value": "40"}, ["b"]),
        ({"event": "Paid", "days": "30", "property": "vip", "value": "true"}, ["a"]),
        ({"event": "paid", "days": "ever"}, []),
    ],
)
def test_users_are_found_by_what_they_did_in_the_last_days(
    state: State, fields: Mapping[str, str], expected: list[str]
) -> None:
    for user in "abc":
        record(state, identify(user, vip=user == "a"), at=AT - 20 * DAY)
    record(state, track("b", "Paid", total=50), at=AT - 10 * DAY)
    record(state, track("a", "Paid", total=30), at=AT - DAY)
    assert found(state, **fields) == expected


def test_a_goal_counts_who_did_an_event_within_some_days_after_the_property_changed(state: State) -> None:
    for user in "abc":
        record(state, identify(user, vip=True), at=AT - 10 * DAY)
    record(state, track("a", "Paid"), at=AT - 8 * DAY)
    record(state, track("b", "Paid"), at=AT - DAY)
    vip = read_user_filter({"property": "vip"}).by_properties[0]
    with reading(state.path) as opened:
        assert opened.goal(vip, "", "Paid", 7, "")[:2] == (3, 1)
        assert opened.goal(vip, "", "Paid", 10, "")[:2] == (3, 2)
        assert opened.goal(None, "Paid", "Paid", 1, "")[:2] == (2, 2)


def test_events_are_counted_for_the_last_24_hours_and_7_days(state: State) -> None:
    for days in (0, 0.5, 3, 9):
        record(state, track("a", "Paid"), at=AT - days * DAY)
    record(state, track("b", "Paid"), status=500)
    with reading(state.path) as opened:
        (event,) = opened.events(AT)
        assert (event.event, event.day, event.week) == ("Paid", 2, 3)
        assert opened.users_of_events()["segment", "Paid"][0] == 1


def test_an_alias_moves_values_and_events_to_the_user_whose_own_values_count_first(state: State) -> None:
    record(state, identify("anon", vip=True, plan="free"))
    record(state, track("anon", "Paid"))
    record(state, identify("a", plan="pro"))
    record(state, segment({"batch": [{"type": "alias", "userId": "a", "previousId": "anon"}]}))
    with reading(state.path) as opened:
        user = opened.user("segment", "a")
        assert user is not None
        assert {name: value for name, (value, _) in user.properties.items()} == {"plan": "pro", "vip": True}
        assert opened.user("segment", "anon") is None
        assert [event for event, *_ in opened.events_of_user("segment", "a")] == ["Paid"]
        assert opened.destinations()[0].users == 1
        counted = {each.property: (each.true, each.other) for each in opened.properties()}
        assert counted == {"vip": (1, 0), "plan": (0, 1)}


def test_lists_of_devices_and_subscriptions_change_one_by_one(state: State) -> None:
    record(state, connect({"user_id": "a", "token": "t1"}, "/v2/fcm/register"))
    record(state, connect({"user_id": "a", "token": "t2"}, "/v2/fcm/register"))
    record(state, connect({"user_id": "a", "token": "t1"}, "/v2/fcm/disable"))
    record(state, connect({"user_id": "a", "campaign_ids": [4, 5]}, "/v2/unsubscribe/campaigns"))
    record(state, connect({"user_id": "a"}, "/v2/subscribe/all"))
    with reading(state.path) as opened:
        user = opened.user("connect", "a")
    assert user is not None
    assert {name: value for name, (value, _) in user.properties.items()} == {"fcm": ["t2"], "unsubscribed": []}


@pytest.mark.parametrize(
    "user", ["<script>alert(1)</script>", "' or 1=1 --", "😀" * 625, "\u202eabc", "a\0b", "\ud800", " "]
)
def test_any_id_is_kept_whole(state: State, user: str) -> None:
    body = b'{"batch": [{"type": "identify", "userId": "\\ud800", "traits": {"vip": true}}]}'
    record(state, segment(body) if user == "\ud800" else identify(user, vip=True))
    assert found(state, property="vip") == ["\\ud800" if user == "\ud800" else user]


def test_a_plan_ends_after_its_requests_and_its_own_destination_comes_first(state: State) -> None:
    request = received(identify("a", vip=True))
    state.set_plan(Plan(answer="429", requests=2))
    state.set_plan(Plan(answer="500", destination="segment", requests=1))
    answers = [plan.answer if (plan := state.plan_for(request, lambda: 0.0)) else None for _ in range(4)]
    assert answers == ["500", "429", "429", None]
    state.set_plan(Plan(answer="400", requests=None, user="b"))
    assert state.plan_for(request, lambda: 0.0) is None
    state.set_plan(Plan(answer="500", requests=None, share=30))
    assert [bool(state.plan_for(request, partial(float, share))) for share in (0.29, 0.3)] == [True, False]
    state.set_plan(Plan(answer="200"))
    assert state.plans == {}


def test_keys_are_not_kept(state: State) -> None:
    request = replace(identify("a", vip=True), headers={"authorization": "Basic c2VjcmV0", "x-trace": "7"})
    record(state, request)
    with reading(state.path) as opened:
        kept = opened.request(1)
    assert kept is not None
    assert kept.headers == {"authorization": "••••", "x-trace": "7"}
    assert all(b"c2VjcmV0" not in each.read_bytes() for each in state.path.parent.iterdir())


def test_clear_forgets_what_was_received_and_counts_on(state: State) -> None:
    record(state, identify("a", "m-1", vip=True))
    state.clear()
    with reading(state.path) as opened:
        assert (opened.kept_calls(), opened.destinations(), opened.properties()) == (0, [], [])
    record(state, identify("a", "m-1", vip=True))
    assert [outcome for outcome, _ in changes(state)] == ["accepted"]
    assert state.last_call == 2
