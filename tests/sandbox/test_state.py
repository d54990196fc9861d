"""What the sandbox keeps: users with their last values, repeats, events and counts."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from audience_sync.errors import ConfigError
from audience_sync.sandbox.answers import Plan
from audience_sync.sandbox.state import state as state_module
from audience_sync.sandbox.state.changes import Change
from audience_sync.sandbox.state.filters import CallFilter, PropertyFilter, UserFilter
from audience_sync.sandbox.state.read import reading
from audience_sync.sandbox.state.state import State
from audience_sync.sandbox.values import Outcome

from .support import AT, DAY, connect, identify, record, segment, track


def changes(state: State) -> list[tuple[str, list[Change]]]:
    """What each call changed, the oldest first."""
    with reading(state.path) as found:
        return [(call.outcome.value, list(call.changes)) for call in reversed(found.calls(CallFilter(), 100))]


def users(state: State) -> list[str]:
    with reading(state.path) as opened:
        return [each.user_id for each in opened.users(UserFilter(), AT)]


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
    for answer in ("429", "500", "400", "timeout"):
        record(state, identify("a", vip=True), answer=answer)
    record(state, segment({"batch": [{"type": "identify", "userId": "a", "traits": []}]}))
    assert changes(state) == [(outcome, []) for outcome in ("slow down", "failed", "refused", "no answer", "dropped")]
    assert users(state) == []


def test_a_message_id_that_was_accepted_is_a_repeat_and_its_old_value_changes_nothing(state: State) -> None:
    for answer in ("500", "timeout", "close"):
        record(state, identify("a", "m-1", vip=True), answer=answer)
    record(state, identify("a", "m-2", vip=False))
    record(state, identify("a", "m-1", vip=True))
    assert [outcome for outcome, _ in changes(state)] == ["failed", "no answer", "cut off", "accepted", "repeat"]
    with reading(state.path) as opened:
        user = opened.user("segment", "a")
    assert user is not None
    assert user.properties["vip"][0] is False


def test_connects_guid_names_a_request_that_is_sent_again(state: State) -> None:
    for _ in range(2):
        record(state, connect([{"user_id": "a"}, {"user_id": "b"}], "/v2/identify/batch", x_outbound_guid="g"))
    assert [outcome for outcome, _ in changes(state)] == ["accepted", "accepted", "repeat", "repeat"]


def test_what_was_received_is_there_after_the_file_was_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    first = State(path)
    record(first, identify("a", "m-1", vip=True), answer="close")
    record(first, identify("a", "m-2", vip=False), answer="timeout")
    first.plans.set(Plan(answer="429", requests=3))
    first.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    second = State(path)
    assert second.plans.all() == [Plan(answer="429", requests=3)]
    record(second, identify("a", "m-1", vip=True))
    record(second, identify("a", "m-2", vip=False))
    assert [outcome for outcome, _ in changes(second)] == ["cut off", "no answer", "repeat", "accepted"]
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
    (tmp_path / "text.db").unlink()
    State(tmp_path / "text.db").close()  # the lock of the failed attempt is gone, too


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


def test_events_are_counted_for_the_last_24_hours_and_7_days(state: State) -> None:
    for days in (0, 0.5, 3, 9):
        record(state, track("a", "Paid"), at=AT - days * DAY)
    for answer in ("500", "timeout"):
        record(state, track("b", "Paid"), answer=answer)
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


def test_a_user_inherits_from_the_group_and_the_own_value_counts_first(state: State) -> None:
    group = {"group_id": 7, "group_attributes": {"state": "California", "tier": "gold", "old": 1}}
    for fields in (
        {"user_id": "u1", **group},
        {"user_id": "u1", "attributes": {"state": "New York"}},
        {"user_id": "u2", "group_id": "7"},
        {"user_id": "u3", "group_id": "8", "attributes": {"tier": None}},
        {"user_id": "u1", "group_id": 7, "group_attributes": {"old": None}},
    ):
        record(state, connect(fields))
    with reading(state.path) as opened:
        found = {user.user_id: user.properties for user in opened.users(UserFilter(), AT)}
        mine = opened.user("connect", "u1")
        chosen = UserFilter(properties=(PropertyFilter("tier", value="gold"),))
        assert [user.user_id for user in opened.users(chosen, AT)] == ["u1", "u2"]
        assert opened.count_users(chosen, AT) == 2
        assert opened.goal(chosen.properties[0], "", "Paid", 7, "").began == 2
    assert mine is not None
    assert mine.properties == found["u1"]
    values = {user: {name: value for name, (value, _) in of.items()} for user, of in found.items()}
    assert values == {
        "u1": {"state": "New York", "tier": "gold", "old": None, "group_id": 7},
        "u2": {"state": "California", "tier": "gold", "old": None, "group_id": "7"},
        "u3": {"group_id": "8", "tier": None},
    }


@pytest.mark.parametrize(
    "user", ["<script>alert(1)</script>", "' or 1=1 --", "😀" * 625, "\u202eabc", "a\0b", "\ud800", " "]
)
def test_any_id_is_kept_whole(state: State, user: str) -> None:
    body = b'{"batch": [{"type": "identify", "userId": "\\ud800", "traits": {"vip": true}}]}'
    record(state, segment(body) if user == "\ud800" else identify(user, vip=True))
    assert users(state) == ["\\ud800" if user == "\ud800" else user]


def test_keys_are_not_kept(state: State) -> None:
    secrets = ("authorization", "x-outbound-key", "x-api-key", "cookie", "x-auth-token", "webhook-signature")
    request = identify("a", vip=True)
    headers = {**dict.fromkeys(secrets, "Basic c2VjcmV0"), "idempotency-key": "7", "x-trace": "8"}
    record(state, replace(request, headers=headers))
    with reading(state.path) as opened:
        kept = opened.request(1)
    assert kept is not None
    assert kept.headers == {**dict.fromkeys(secrets, "••••"), "idempotency-key": "7", "x-trace": "8"}
    assert all(b"c2VjcmV0" not in each.read_bytes() for each in state.path.parent.iterdir())


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v1/identify", {"userId": "u", "writeKey": "c2VjcmV0"}),
        ("/v1/batch", {"writeKey": "c2VjcmV0", "batch": [{"type": "identify", "userId": "u", "writeKey": "c2VjcmV0"}]}),
        ("/v1/batch", {"writeKey": "c2VjcmV0", "messages": [{"writeKey": 'c2VjcmV0"'}]}),
        ("/v1/batch", [{"userId": "u", "writeKey": "c2VjcmV0"}]),
        ("/rudderstack/v1/batch", {"batch": {}, "writeKey": "c2VjcmV0"}),
    ],
)
def test_a_write_key_in_a_body_is_not_kept(state: State, path: str, document: object) -> None:
    record(state, segment(document, path, key=""))
    assert len(changes(state)) == 1
    assert all(b"c2VjcmV0" not in each.read_bytes() for each in state.path.parent.iterdir())


def test_clear_forgets_what_was_received_and_counts_on(state: State) -> None:
    record(state, identify("a", "m-1", vip=True))
    state.clear()
    with reading(state.path) as opened:
        assert (opened.kept_calls(), opened.destinations(), opened.properties()) == (0, [], [])
    record(state, identify("a", "m-1", vip=True))
    assert [outcome for outcome, _ in changes(state)] == ["accepted"]
    assert state.last_call == 2


def test_calls_are_kept_up_to_so_many_characters(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "KEEP_CHARACTERS", 5_000)
    for number in range(10):
        record(state, identify(f"u{number}", bio="x" * 900))
    with reading(state.path) as opened:
        kept = [call.user_id for call in opened.calls(CallFilter(), 100)]
        assert kept == ["u9", "u8", "u7", "u6", "u5"][: opened.kept_calls()]
        assert 2 <= len(kept) <= 5
        assert opened.request(1) is None
        assert opened.totals().calls == 10


def test_totals_have_all_destinations_and_the_list_the_last_200(state: State) -> None:
    for number in range(205):
        record(state, segment({"id": "a", "traits": {"vip": True}}, f"/hooks/{number}"))
    with reading(state.path) as opened:
        assert len(opened.destinations()) == 200
        assert opened.totals()[:4] == (205, 205, 205, 205)
        assert len(opened.destinations_of_user("a")) == 205


def test_a_call_is_the_last_one_once_it_is_stored(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    with monkeypatch.context() as patched:
        patched.setattr(state_module, "count", lambda *_: seen.append(state.last_call))
        record(state, identify("a", vip=True))
    assert (seen, state.last_call) == ([0], 1)


def test_a_request_that_can_not_be_stored_leaves_no_trace(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(state_module, "count", fail)
        with pytest.raises(sqlite3.OperationalError):
            record(state, identify("a", "m-1", vip=True))
    assert (state.last_call, users(state)) == (0, [])
    record(state, identify("a", "m-1", vip=True))
    assert [outcome for outcome, _ in changes(state)] == ["accepted"]
