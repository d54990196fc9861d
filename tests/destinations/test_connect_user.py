"""The user that Zendesk Connect gets: Segment's mapping as it ran, and where we differ on purpose.

Every identify of cases/zendesk_connect.json that can apply is run. Those that can't, with the reason:

- ``seg-fx-identify-anonymous``: a call without a user id; ours always have one (an empty one is unsendable)
- ``ios-integration-names``: the device SDK's mapping, which drops ``name`` and adds the device's own zone
"""

from __future__ import annotations

from typing import Any

import pytest

from audience_sync.destinations.zendesk_connect.user import connect_user, normalize_dates

from .examples import cases

NOT_OURS = {"seg-fx-identify-anonymous", "ios-integration-names"}
#: Where we differ: the sane answer to a quirk, and a zone of the tz database that is lifted.
DIFFERENT: dict[str, dict[str, Any]] = {
    "seg-name-leading-spaces-quirk": {
        "user_id": "u-1",
        "attributes": {"name": "   Jane Roe"},
        "first_name": "Jane",
        "last_name": "Roe",
    },
    "seg-tz-trait": {"user_id": "u-1", "attributes": {}, "timezone": "Europe/Berlin"},
}
IDENTIFIES = [
    case for case in cases("zendesk_connect.json", "cases") if case["kind"] == "identify" and case["id"] not in NOT_OURS
]
AS_SEGMENT = [
    pytest.param(case["input"], DIFFERENT.get(case["id"], (case["expected"] or {}).get("body")), id=case["id"])
    for case in IDENTIFIES
]
WITH_FCM = [
    pytest.param(case["input"], case["variant_fcm"]["body"], id=case["id"])
    for case in IDENTIFIES
    if "variant_fcm" in case
]


def our_traits(call: dict[str, Any]) -> dict[str, Any]:
    """Segment's ``context`` said as traits, which is all that a source of ours has: the time zone replaces a
    trait of that name, and the device's type may come from the name of the library."""
    context = call.get("context", {})
    device = context.get("device", {})
    system = device.get("type") or context.get("library", {}).get("name")
    said = {"timezone": context.get("timezone"), "device_token": device.get("token"), "device_type": system}
    traits: dict[str, Any] = call.get("traits", {})
    if said["timezone"]:
        traits = {key: value for key, value in traits.items() if key.lower() != "timezone"}
    return traits | {key: value for key, value in said.items() if value}


@pytest.mark.parametrize(("call", "body"), AS_SEGMENT)
def test_a_user_is_what_segments_integration_sent(call: dict[str, Any], body: dict[str, Any]) -> None:
    assert connect_user(call["userId"], our_traits(call), android_token="gcm") == body


@pytest.mark.parametrize(("call", "body"), WITH_FCM)
def test_an_android_token_is_fcm_by_default(call: dict[str, Any], body: dict[str, Any]) -> None:
    assert connect_user(call["userId"], our_traits(call), android_token="fcm") == body


def test_most_cases_apply() -> None:
    assert (len(AS_SEGMENT), len(WITH_FCM)) == (33, 2)


def user(traits: dict[str, Any], user_id: str = "u-1") -> dict[str, Any]:
    """The user without its id."""
    mapped = connect_user(user_id, traits, android_token="fcm")
    assert mapped.pop("user_id") == user_id
    return mapped


GONE = [
    pytest.param({"email": None}, {"email": None, "attributes": {}}, id="email"),
    pytest.param({"phone": None}, {"phone_number": None, "attributes": {}}, id="phone"),
    pytest.param({"firstName": None}, {"first_name": None, "attributes": {}}, id="first name"),
    pytest.param({"last_name": None}, {"last_name": None, "attributes": {}}, id="last name, any spelling"),
    pytest.param({"timezone": None}, {"timezone": None, "attributes": {}}, id="time zone"),
    pytest.param(
        {"name": None}, {"first_name": None, "last_name": None, "attributes": {"name": None}}, id="the full name"
    ),
    pytest.param(
        {"firstName": None, "name": "Jane Roe"},
        {"first_name": "Jane", "last_name": "Roe", "attributes": {"name": "Jane Roe"}},
        id="first name, but there is a full name",
    ),
    pytest.param(
        {"name": None, "firstName": "Jane"},
        {"first_name": "Jane", "last_name": None, "attributes": {"name": None}},
        id="the full name, but there is a first name",
    ),
    pytest.param(
        {"phone": None, "phones": ["555"]},
        {"phone_number": "555", "attributes": {"phones": ["555"]}},
        id="phone, but there are phones",
    ),
    pytest.param({"revenue": None}, {"attributes": {"revenue": None}}, id="any other"),
]


@pytest.mark.parametrize(("traits", "mapped"), GONE)
def test_a_trait_that_vanished_is_null(traits: dict[str, Any], mapped: dict[str, Any]) -> None:
    assert user(traits) == mapped


DEVICES = [
    pytest.param({"device_token": "t", "device_type": "iOS"}, {"apns": ["t"]}, id="iOS, any case"),
    pytest.param({"deviceToken": "t", "Device Type": "ios 17"}, {"apns": ["t"]}, id="any spelling"),
    pytest.param({"device_token": "t", "device_type": "Android phone"}, {"fcm": ["t"]}, id="Android"),
    pytest.param({"device_token": "t", "device_type": "web"}, {}, id="a type without a service"),
    pytest.param({"device_token": "t"}, {}, id="no type"),
    pytest.param({"device_token": "t", "device_type": None}, {}, id="the type vanished"),
    pytest.param({"device_token": None, "device_type": "ios"}, {}, id="the token vanished"),
    pytest.param({"device_token": "", "device_type": "ios"}, {}, id="an empty token"),
]


@pytest.mark.parametrize(("traits", "mapped"), DEVICES)
def test_a_device_is_no_attribute(traits: dict[str, Any], mapped: dict[str, Any]) -> None:
    assert user(traits) == {**mapped, "attributes": {}}


ZONES = [
    pytest.param("Europe/Berlin", {"timezone": "Europe/Berlin", "attributes": {}}, id="a zone"),
    pytest.param("UTC", {"timezone": "UTC", "attributes": {}}, id="UTC"),
    pytest.param("Europe/Atlantis", {"attributes": {"timezone": "Europe/Atlantis"}}, id="no zone"),
    pytest.param("europe/berlin", {"attributes": {"timezone": "europe/berlin"}}, id="another spelling"),
    pytest.param("+02:00", {"attributes": {"timezone": "+02:00"}}, id="an offset"),
    pytest.param("localtime", {"attributes": {"timezone": "localtime"}}, id="the zone of this machine"),
    pytest.param("../etc/passwd", {"attributes": {"timezone": "../etc/passwd"}}, id="a path"),
    pytest.param(2, {"attributes": {"timezone": 2}}, id="a number"),
]


@pytest.mark.parametrize(("zone", "mapped"), ZONES)
def test_a_time_zone_is_one_of_the_tz_database_or_an_attribute(zone: Any, mapped: dict[str, Any]) -> None:
    assert user({"timezone": zone}) == mapped


def test_of_two_spellings_the_first_is_the_trait() -> None:
    assert user({"First Name": "Jane", "first_name": "June", "FIRSTNAME": "Joan"}) == {
        "first_name": "Jane",
        "attributes": {"first_name": "June", "FIRSTNAME": "Joan"},
    }


def test_the_first_of_several_phones_is_the_phone() -> None:
    assert user({"phones": ["555", "556"]}) == {"phone_number": "555", "attributes": {"phones": ["555", "556"]}}


def test_a_trait_in_another_script_is_not_mistaken_for_a_profile_field() -> None:
    assert user({"email地址": "x"}) == {"attributes": {"email地址": "x"}}


def test_a_user_id_that_is_an_address_stands_in_for_the_email() -> None:
    assert user({"vip": True}, "jane@example.test") == {"email": "jane@example.test", "attributes": {"vip": True}}
    assert user({"email": None}, "jane@example.test") == {"email": "jane@example.test", "attributes": {}}
    assert user({"email": "j@example.test"}, "jane@example.test") == {"email": "j@example.test", "attributes": {}}


def test_a_user_id_never_stands_in_where_email_is_a_trait_of_its_own() -> None:
    assert connect_user("jane@example.test", {"vip": True}, android_token="fcm", email_from_id=False) == {
        "user_id": "jane@example.test",
        "attributes": {"vip": True},
    }


DATES = [
    ("2018-11-02", "2018-11-02T00:00:00.000Z"),
    ("2018-11-02T10:00Z", "2018-11-02T10:00:00.000Z"),
    ("2018-11-02T10:00:00", "2018-11-02T10:00:00.000Z"),
    ("2018-11-02 10:00:00", "2018-11-02T10:00:00.000Z"),
    ("2018-11-02T10:00:00.5Z", "2018-11-02T10:00:00.500Z"),
    ("2018-11-02T10:00:00.123999Z", "2018-11-02T10:00:00.123Z"),
    ("2018-11-02T01:30:00+02:00", "2018-11-01T23:30:00.000Z"),
    ("2018-11-02T23:30:00-0230", "2018-11-03T02:00:00.000Z"),
    ("2016-02-29", "2016-02-29T00:00:00.000Z"),
    ("2018-02-30", "2018-02-30"),
    ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+02:00"),
    ("2018-11", "2018-11"),
    ("2018", "2018"),
    ("20181102", "20181102"),
    ("2018-11-02 or so", "2018-11-02 or so"),
    ("2018-11-02\n", "2018-11-02\n"),
    ("2/14/2016", "2/14/2016"),
]


@pytest.mark.parametrize(("text", "rewritten"), DATES)
def test_iso_dates_become_utc_with_milliseconds(text: str, rewritten: str) -> None:
    assert normalize_dates({"a": [text]}) == {"a": [rewritten]}


def test_booleans_and_numbers_stay_what_they_are() -> None:
    values = {"a": True, "b": False, "c": 0, "d": 1.5, "e": "", "f": None}
    assert user(values) == {"attributes": values}
