"""Users and calls are found by property, event and event property, as Connect's campaigns do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from audience_sync.sandbox.state.filters import CallFilter, PropertyFilter, read_user_filter
from audience_sync.sandbox.state.read import reading
from audience_sync.sandbox.state.state import State
from audience_sync.web.errors import WrongQueryError

from .support import AT, DAY, identify, record, segment, track


def found(state: State, **fields: str) -> list[str]:
    with reading(state.path) as opened:
        chosen = read_user_filter(fields)
        users = [each.user_id for each in opened.users(chosen, AT)]
        assert opened.count_users(chosen, AT) == len(users)
        return users


@pytest.mark.parametrize(
    ("is_", "value", "expected"),
    [
        ("is", "true", "b"),
        ("is", '"true"', "t"),
        ("is", "1", "i"),
        ("is", "1.0", "i"),
        ("is", '"1"', "1"),
        ("is", "false", "f"),
        ("is", "null", "n"),
        ("is", "pro", "p"),
        ("is", "Pro", ""),
        ("is", "", "e"),
        ("is", '["pro",4,true]', "l"),
        ("is", '{"a":1}', "o"),
        ("is", "123456789012345678901234567890", "h"),
        ("is_not", "true", "1defhilnopt-"),
        ("is_not", '"true"', "1bdefhilnop-"),
        ("is_not", "null", "1bdefhilopt-"),
        ("exists", "", "1bdefhilopt"),
        ("missing", "", "n-"),
        ("greater", "0.5", "hi"),
        ("greater", "1", "h"),
        ("at_least", "1", "hi"),
        ("less", "2", "i"),
        ("at_most", "1", "i"),
        ("greater", "true", ""),
        ("greater", "p", "pt"),
        ("greater", '"p"', "pt"),
        ("less", "2026-02-01", "d"),
        ("at_least", "2026-01-31T23:00:00Z", "d"),
        ("greater", "2026-01-31T23:00:00Z", ""),
        ("at_most", "2026-02-01T00:00:00+01:00", "d"),
        ("contains", "r", "pt"),
        ("contains", "pro", "pl"),
        ("contains", "4", "l"),
        ("contains", "true", "tl"),
        ("contains", "R", ""),
        ("contains_not", "r", "1bdefhilno-"),
    ],
)
def test_each_comparison_distinguishes_the_types_of_json(state: State, is_: str, value: str, expected: str) -> None:
    values = {
        "b": True,
        "f": False,
        "t": "true",
        "i": 1,
        "1": "1",
        "n": None,
        "p": "pro",
        "e": "",
        "l": ["pro", 4, True],
        "o": {"a": 1},
        "h": 123456789012345678901234567890,
        "d": "2026-02-01T00:00:00+01:00",
    }
    for user, each in values.items():
        record(state, identify(user, x=each))
    record(state, identify("-", y=1))
    assert sorted(found(state, property="x", **{"is": is_}, value=value)) == sorted(expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"property": 'odd "key"', "value": "true"}, ["d"]),
        ({"property": "ключ", "value": "null"}, ["d"]),
        ({"property": "\\ud800", "value": "4"}, ["d"]),
        ({"property": "vip", "is": "exists", "property2": "plan", "is2": "is_not", "value2": "free"}, ["a"]),
        ({"property": "vip", "property2": "plan", "value2": "free", "match": "any"}, ["a", "b"]),
        ({"property": "vip", "event": "Paid", "match": "any"}, ["a", "c"]),
        ({"property3": "plan", "value3": "pro", "property10": "vip"}, ["a"]),
        ({"id": "b"}, ["b"]),
        ({"id": "b", "property": "vip", "property2": "plan", "value2": "free", "match": "any"}, ["b"]),
        ({"destination": "connect"}, []),
    ],
)
def test_filters_are_joined_by_and_or_by_or(state: State, fields: Mapping[str, str], expected: list[str]) -> None:
    record(state, identify("a", vip=True, plan="pro"))
    record(state, identify("b", vip=False, plan="free"))
    record(state, track("c", "Paid"))
    traits = '{"odd \\"key\\"": true, "ключ": null, "\\ud800": 4}'
    record(state, segment(f'{{"userId": "d", "traits": {traits}}}'.encode(), "/v1/identify"))
    assert found(state, **fields) == expected


def test_a_filter_that_is_not_valid_says_what_is() -> None:
    for fields in ({"property": "a", "is": "nearly"}, {"event": "a", "days": "many"}, {"event": "a", "days": "0"}):
        with pytest.raises(WrongQueryError, match="it has to be"):
            read_user_filter(fields)
    with pytest.raises(WrongQueryError, match="20 are the most"):
        read_user_filter({f"property{number}": "a" for number in range(21)})


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
        ({"event": "Paid", "event2": "Paid", "did2": "did_not", "days2": "1"}, []),
        ({"event": "Paid", "event2": "Seen", "days2": "ever", "match": "any"}, ["a", "c"]),
    ],
)
def test_users_are_found_by_what_they_did_in_the_last_days(
    state: State, fields: Mapping[str, str], expected: list[str]
) -> None:
    for user in "abc":
        record(state, identify(user, vip=user == "a"), at=AT - 20 * DAY)
    record(state, track("b", "Paid", total=50), at=AT - 10 * DAY)
    record(state, track("a", "Paid", total=30), at=AT - DAY)
    record(state, track("c", "Seen"), at=AT - 30 * DAY)
    assert found(state, **fields) == expected


def test_a_goal_counts_who_did_an_event_within_some_days_after_the_property_changed(state: State) -> None:
    for user in "abc":
        record(state, identify(user, vip=True), at=AT - 10 * DAY)
    record(state, track("a", "Paid"), at=AT - 8 * DAY)
    record(state, track("b", "Paid"), at=AT - DAY)
    vip = PropertyFilter("vip")
    with reading(state.path) as opened:
        assert opened.goal(vip, "", "Paid", 7, "")[:2] == (3, 1)
        assert opened.goal(vip, "", "Paid", 10, "")[:2] == (3, 2)
        assert opened.goal(None, "Paid", "Paid", 1, "")[:2] == (2, 2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", ["a"]), ('"true"', ["b"]), ("1", ["c"]), ('"1"', ["d"]), ("pro", ["e"]), ('"pro"', ["e"]), ("null", [])],
)
def test_the_feed_finds_calls_by_the_value_that_they_set(state: State, value: str, expected: list[str]) -> None:
    for user, each in {"a": True, "b": "true", "c": 1, "d": "1", "e": "pro"}.items():
        record(state, identify(user, x=each))
    with reading(state.path) as opened:
        for chosen in (CallFilter(property="x", value=value), CallFilter(value=value)):
            assert [call.user_id for call in opened.calls(chosen, 10)] == expected
            assert opened.count_calls(chosen) == len(expected)
