"""What a destination is sent of a call: its own id of the user, its names, hashes and identifiers."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from destinations.examples import segment
from destinations.vendors import vendor

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.delivery.mapping import DestinationMapping, mapping_of
from audience_sync.delivery.send.encode import encode
from audience_sync.destinations.base import Audiencing
from audience_sync.errors import UnsendableError
from audience_sync.model import AudienceEvent, IdentifyCall, UserId

from .scripted_destination import ScriptedDestination

AT = "2026-03-01T06:00:00.000Z"
ADA = {"email": "ada@example.com", "phone": "+49 30 901820"}


def mapping(**options: Any) -> DestinationMapping:
    return mapping_of(ScriptedDestination(**options))


def call(traits: dict[str, Any], identifiers: dict[str, Any] | None = None) -> IdentifyCall:
    versions = ",".join(f"{key}@1" for key in traits)
    return IdentifyCall(
        UserId("C-1"), json.dumps(traits), "m-1", AT, versions, identifiers=json.dumps(identifiers or {})
    )


def sent(traits: dict[str, Any], current: dict[str, Any] | None = None, **options: Any) -> tuple[str, Any]:
    mapped = mapping(**options).apply(call(traits, current))
    return mapped.user_id, mapped.traits


def test_without_options_a_call_is_sent_unchanged() -> None:
    assert mapping().apply(call({"vip": True})) == call({"vip": True})


def test_identifiers_travel_with_a_call_that_does_not_change_them() -> None:
    assert sent({"vip": False}, ADA, identifiers=["email", "phone"]) == ("C-1", {**ADA, "vip": False})


def test_a_changed_identifier_is_sent_once_with_its_new_value() -> None:
    assert sent({"email": "new@example.com"}, ADA, identifiers=["email"]) == ("C-1", {"email": "new@example.com"})


def test_an_identifier_that_a_user_lacks_is_left_out() -> None:
    phone = {"phone": "+49 30 901820"}
    assert sent({"vip": True}, phone, identifiers=["email", "phone"]) == ("C-1", {**phone, "vip": True})


@pytest.mark.parametrize(
    ("identifiers", "reason"),
    [
        (["email"], "the user has no email, which this destination's `identifiers` need"),
        (
            ["email", "phone"],
            "the user has neither email nor phone, and this destination's `identifiers` need one of them",
        ),
        (
            ["email", "phone", "crm_id"],
            "the user has neither email, phone nor crm_id, and this destination's `identifiers` need one of them",
        ),
    ],
)
@pytest.mark.parametrize("current", [{}, {"email": None, "phone": ""}, {"plan": "gold"}])
def test_a_user_with_none_of_the_identifiers_is_refused_with_their_names(
    identifiers: list[str], reason: str, current: dict[str, Any]
) -> None:
    with pytest.raises(UnsendableError) as refused:
        mapping(identifiers=identifiers).apply(call({"vip": True}, current))
    assert str(refused.value) == reason


NO_NUMBER = "'phone' is not an international phone number (+49 30 ...), so that it can't be hashed"


@pytest.mark.parametrize("number", ["0301234", "call me", "+49", "+1 2345"])
def test_an_identifier_that_can_not_be_hashed_is_refused_alone(number: str) -> None:
    options: dict[str, Any] = {"identifiers": ["email", "phone"], "hash": ["phone"], "traits": ["phone"]}
    encoded = encode(call({"vip": True, "phone": number}, {**ADA, "phone": number}), segment(**options))
    [message] = encoded.messages
    assert json.loads(message.body)["traits"] == {"email": "ada@example.com", "vip": True}
    assert (encoded.unsendable, encoded.left_out) == ("", {"phone": NO_NUMBER})


@pytest.mark.parametrize("number", ["0301234", "call me", "+49", "+1 2345"])
def test_an_identifier_that_can_not_be_hashed_is_left_out_of_later_calls(number: str) -> None:
    options: dict[str, Any] = {"identifiers": ["email", "phone"], "hash": ["phone"]}
    encoded = encode(call({"vip": False}, {**ADA, "phone": number}), segment(**options))
    [message] = encoded.messages
    assert json.loads(message.body)["traits"] == {"email": "ada@example.com", "vip": False}
    assert (encoded.unsendable, encoded.left_out) == ("", {})


@pytest.mark.parametrize("traits", [{"vip": True}, {"vip": True, "phone": "0301234"}, {"phone": "0301234"}])
def test_a_user_whose_only_identifier_can_not_be_hashed_is_refused_with_its_reason(traits: dict[str, Any]) -> None:
    encoded = encode(call(traits, {"phone": "0301234"}), segment(identifiers=["phone"], hash=["phone"]))
    assert (encoded.messages, encoded.unsendable) == ((), NO_NUMBER)


def test_an_identifier_that_the_service_can_not_store_is_left_out() -> None:
    long = {"email": "a" * 300 + "@example.com"}
    destination = vendor("mixpanel", identifiers=["email", "phone"], rename={"email": "mail"})
    encoded = encode(call({"vip": True}, {**ADA, **long}), destination)
    [message] = encoded.messages
    assert json.loads(message.body)["$set"] == {"$phone": "+49 30 901820", "vip": True}
    assert encode(call({"vip": True}, long), destination).unsendable.startswith("'mail' has 312 bytes and Mixpanel")


def test_a_user_is_known_by_a_trait() -> None:
    assert sent({"vip": True}, ADA, user_id="email") == ("ada@example.com", {"vip": True})


@pytest.mark.parametrize("identifiers", [{}, {"email": None}, {"email": ""}])
def test_a_user_without_that_trait_is_refused_with_its_name(identifiers: dict[str, Any]) -> None:
    with pytest.raises(UnsendableError, match="the user has no email, by which this destination knows users"):
        mapping(user_id="email").apply(call({"vip": True}, identifiers))


def test_audiences_and_traits_have_the_destination_s_names() -> None:
    rename = {"vip": "is_vip", "email": "mail"}
    assert sent({"vip": True, "plan": "a"}, ADA, identifiers=["email"], rename=rename) == (
        "C-1",
        {"mail": "ada@example.com", "is_vip": True, "plan": "a"},
    )


def test_an_event_has_the_destination_s_name_and_the_identifiers() -> None:
    with_event = call({"vip": True}, ADA)._replace(events=(AudienceEvent("vip", True, "e-1", AT),))
    [event] = mapping(rename={"vip": "is_vip"}, identifiers=["email"]).apply(with_event).events
    assert (event.key, event.identifiers) == ("is_vip", '{"email":"ada@example.com"}')


def test_a_trait_that_lost_its_value_may_be_left_out() -> None:
    assert sent({"plan": None, "vip": True}, on_null="skip") == ("C-1", {"vip": True})
    assert sent({"plan": None, "vip": True}) == ("C-1", {"plan": None, "vip": True})


HASHES = [
    ("email", " Ada@Example.COM ", "ada@example.com"),
    ("phone", "+49 (30) 901820", "+4930901820"),
    ("phone", "+44 20 7946 0018", "+442079460018"),
    ("crm_id", "C-7", "c-7"),
]


@pytest.mark.parametrize(("key", "value", "normalised"), HASHES)
def test_a_hash_is_that_of_the_normalised_value(key: str, value: str, normalised: str) -> None:
    assert sent({key: value}, hash=[key])[1] == {key: sha256(normalised.encode()).hexdigest()}


def test_a_value_that_is_a_hash_already_is_sent_as_one() -> None:
    digest = sha256(b"ada@example.com").hexdigest()
    assert sent({"email": digest.upper()}, hash=["email"])[1] == {"email": digest}


def test_a_removed_value_is_not_hashed() -> None:
    assert sent({"email": None}, hash=["email"])[1] == {"email": None}


def test_a_number_without_a_country_is_refused_and_the_rest_is_sent() -> None:
    encoded = encode(call({"phone": "030 901820", "vip": True}), ScriptedDestination(hash=["phone"]))
    assert list(encoded.left_out) == ["phone"]
    assert json.loads(encoded.messages[0].body)["traits"] == {"vip": True}


def test_a_call_of_which_nothing_is_left_needs_no_request() -> None:
    assert encode(call({"plan": None}), ScriptedDestination(on_null="skip")).messages == ()


def test_a_refusal_by_a_name_of_the_destination_is_of_our_property() -> None:
    long = segment(rename={"bio": "about"})
    encoded = encode(call({"bio": "x" * 40_000, "vip": True}), long)
    assert list(encoded.left_out) == ["bio"]


def test_identifiers_are_where_engage_puts_them_in_each_message() -> None:
    about = Audiencing("here", frozenset({"vip", "churn_risk"}))
    destination = segment(about, envelope="personas", identifiers=["email"], external_audience_ids={"vip": "aud-7"})
    with_event = call({"churn_risk": True, "vip": False}, ADA)._replace(events=(AudienceEvent("vip", False, "e", AT),))
    found = [json.loads(each.body) for each in encode(with_event, destination).messages]
    assert [each.get("traits") for each in found] == [
        {"churn_risk": True, "email": "ada@example.com"},
        {"vip": False, "email": "ada@example.com"},
        None,
    ]
    assert [each["context"]["traits"] for each in found] == [{"email": "ada@example.com"}] * 3
    assert [each["context"]["personas"].get("external_audience_id") for each in found] == [None, "aud-7", "aud-7"]


def test_the_user_id_of_the_sources_can_be_named() -> None:
    assert DestinationOptions(type="file", user_id="user_id").known_by == "user_id"


@pytest.mark.parametrize("value", ["  ", True, ["ada@example.com"], {"home": "ada@example.com"}])
def test_a_value_that_can_not_be_an_id_is_refused(value: Any) -> None:
    with pytest.raises(UnsendableError):
        mapping(user_id="email").apply(call({"vip": True}, {"email": value}))


def test_a_number_is_an_id_as_it_is_written() -> None:
    assert sent({"vip": True}, {"crm_id": 12345678901234567890123}, user_id="crm_id")[0] == "12345678901234567890123"


@pytest.mark.parametrize("number", ["030 901820", "+49 1", "0049 30 901820", "ada"])
def test_a_text_that_is_not_a_phone_number_is_refused_by_name(number: str) -> None:
    encoded = encode(call({"mobile": number, "vip": True}), ScriptedDestination(hash=["mobile"]))
    assert list(encoded.left_out) == ["mobile"]


def test_an_exit_is_sent_where_lost_values_are_skipped() -> None:
    assert sent({"vip": False, "plan": None}, on_null="skip") == ("C-1", {"vip": False})


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_identifier_does_not_travel(value: str | None) -> None:
    current = {"email": value, "phone": "+4930901820"}
    there = {"phone": "+4930901820", "vip": True}
    assert sent({"vip": True}, current, identifiers=["email", "phone"]) == ("C-1", there)


def test_a_renamed_property_keeps_its_ids_behind_segment() -> None:
    about = Audiencing("here", frozenset({"vip"}), frozenset({"loyal"}))
    options = {"rename": {"vip": "is_vip", "loyal": "is_loyal"}, "external_audience_ids": {"vip": "aud-7"}}
    destination = segment(about, envelope="personas", **options)
    renamed = call({"vip": True, "loyal": True})._replace(former=(("vip", "vip"),))
    found = [json.loads(each.body) for each in encode(renamed, destination).messages]
    assert [(each["traits"], each["context"]["personas"]["computation_class"]) for each in found] == [
        ({"is_vip": True}, "audience"),
        ({"is_loyal": True}, "trait"),
        ({"vip": False}, "audience"),
    ]
    assert [each["context"]["personas"].get("external_audience_id") for each in found] == ["aud-7", None, None]
