"""What Iterable drops silently, names by id or e-mail, and merges. See docs/destinations/iterable.md."""

from __future__ import annotations

from typing import Any

import pytest

from audience_sync.destinations.base import Meaning
from audience_sync.model import Alias, UserId

from .vendors import TIMESTAMP, call, entered, judged, sent, users, vendor

NOT_STORED = (
    "HTTP 200: Iterable has no such field and creates none. Allow new fields in the project, or create it there"
)


@pytest.mark.parametrize(
    ("failures", "reason"),
    [
        ({"invalidUserIds": ["C-00002"]}, "Iterable does not accept this user id"),
        ({"invalidDataUserIds": ["C-00002"]}, "a property has another type than Iterable's field of that name"),
        ({"conflictUserIds": ["C-00002"]}, "the user id or e-mail belongs to another user of Iterable"),
        ({"forgottenUserIds": ["C-00002"]}, "the user was forgotten in Iterable (GDPR) and can't be updated"),
        ({"notFoundUserIds": ["C-00002"]}, "Iterable has no such user"),
    ],
)
def test_each_list_of_failures_has_its_reason(failures: Any, reason: str) -> None:
    body = {"successCount": 1, "failCount": 1, "invalidUserIds": ["C-00002"], "failedUpdates": failures}
    judgement = judged(vendor("iterable"), 200, body, users(vendor("iterable"), "C-00001", "C-00002"))
    assert (judgement.meaning, judgement.refused) == (Meaning.DELIVERED, {1: f"HTTP 200: {reason}"})


@pytest.mark.parametrize("kind", ["conflictEmails", "invalidEmails", "forgottenEmails"])
def test_a_user_is_found_by_the_email_that_its_properties_have(kind: str) -> None:
    iterable = vendor("iterable")
    messages = [*users(iterable, "ann"), *iterable.encode(call("bob", "m-2", email="B@example.com", vip=True))]
    body = {"successCount": 1, "failCount": 1, "failedUpdates": {kind: ["b@example.com"]}}
    judgement = judged(iterable, 200, body, messages)
    assert (judgement.meaning, list(judgement.refused)) == (Meaning.DELIVERED, [1])


@pytest.mark.parametrize(
    "body",
    [
        {"successCount": 1, "failCount": 1},
        {"successCount": 1, "failCount": 1, "failedUpdates": {"invalidUserIds": []}},
        {"successCount": 0, "failCount": 2, "failedUpdates": {"invalidUserIds": ["C-00001", "unknown"]}},
    ],
)
def test_a_success_with_more_failures_than_it_names_is_a_refusal_to_be_halved(body: Any) -> None:
    judgement = judged(vendor("iterable"), 200, body, users(vendor("iterable"), "C-00001", "C-00002"))
    assert judgement.meaning is Meaning.REFUSED
    assert judgement.reason == f"HTTP 200: {body['failCount']} of 2 updates failed in Iterable"


def test_a_nested_field_that_iterable_drops_refuses_its_property() -> None:
    iterable = vendor("iterable")
    messages = [*iterable.encode(call("ann", address={"city": "Bonn"}, vip=True)), *users(iterable, "bob")]
    judgement = judged(iterable, 200, {"failCount": 0, "filteredOutFields": ["address.city"]}, messages)
    assert judgement.refused_fields == {0: {"address": NOT_STORED}}


def test_an_event_whose_name_the_project_does_not_allow_is_refused() -> None:
    iterable = vendor("iterable")
    body = {"successCount": 0, "failCount": 0, "disallowedEventNames": ["Audience Entered"]}
    judgement = judged(iterable, 200, body, [iterable.encode_event("ann", entered())])
    assert judgement.refused == {0: "HTTP 200: the project does not allow events of this name"}


def test_an_event_that_lost_its_fields_is_refused_and_no_property_is() -> None:
    iterable = vendor("iterable")
    body = {"successCount": 1, "failCount": 0, "filteredOutFields": ["audience_key"]}
    judgement = judged(iterable, 200, body, [iterable.encode_event("ann", entered())])
    assert judgement.refused_fields == {}
    assert list(judgement.refused) == [0]
    assert judgement.refused[0].startswith("HTTP 200: Iterable dropped fields of the event.")


def test_fields_that_other_calls_lost_refuse_no_event() -> None:
    iterable = vendor("iterable")
    judgement = judged(iterable, 200, {"filteredOutFields": ["plan"]}, [iterable.encode_event("ann", entered())])
    assert (judgement.meaning, judgement.refused) == (Meaning.DELIVERED, {})


def test_an_event_of_an_unknown_user_is_refused() -> None:
    iterable = vendor("iterable")
    body = {"successCount": 0, "failCount": 1, "invalidUserIds": ["ann"], "failedUpdates": {"notFoundUserIds": ["ann"]}}
    judgement = judged(iterable, 200, body, [iterable.encode_event("ann", entered())])
    assert judgement.refused == {0: "HTTP 200: Iterable has no such user"}


def test_an_event_asks_for_new_fields_as_the_users_do() -> None:
    iterable = vendor("iterable", create_new_fields=True)
    assert sent(iterable, iterable.encode_event("ann", entered()))["events"] == [
        {
            "userId": "ann",
            "eventName": "Audience Entered",
            "id": "e-1",
            "createdAt": 1_795_467_089,
            "dataFields": {"audience_key": "vip", "vip": True},
            "createNewFields": True,
        }
    ]
    assert sent(iterable, *users(iterable, "ann"))["createNewFields"] is True


def test_users_are_created_unless_the_option_forbids_it() -> None:
    only = vendor("iterable", update_only=True)
    assert "updateOnly" not in sent(vendor("iterable"), *users(vendor("iterable"), "ann"))
    assert sent(only, *users(only, "ann"))["updateOnly"] is True


@pytest.mark.parametrize("code", ["UnknownUserIdError", "UnknownEmailError"])
def test_a_merge_of_an_id_that_iterable_never_had_is_done(code: str) -> None:
    iterable = vendor("iterable")
    merge = iterable.encode_alias("new", Alias(UserId("old"), "a-1", TIMESTAMP))
    body = {"code": code, "msg": "No user found", "params": None}
    assert judged(iterable, 400, body, [merge]).meaning is Meaning.DELIVERED
    assert judged(iterable, 400, body, users(iterable, "new")).meaning is Meaning.REFUSED


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, "BadParams", Meaning.REFUSED),
        (400, "BatchTooLarge", Meaning.REFUSED),
        (400, "RequestFieldsTypesMismatched", Meaning.REFUSED),
        (400, "UniqueFieldsLimitExceeded", Meaning.REFUSED),
        (401, "BadApiKey", Meaning.STOP),
        (403, "Forbidden", Meaning.STOP),
        (400, "BadApiKey", Meaning.STOP),
        (400, "InvalidJwtPayload", Meaning.STOP),
        (400, "JwtUserIdentifiersMismatched", Meaning.STOP),
        (409, "ForgottenUserError", Meaning.REFUSED),
        (429, "RateLimitExceeded", Meaning.SLOW_DOWN),
        (500, "DatabaseError", Meaning.RETRY),
    ],
)
def test_each_code_of_iterable_has_its_meaning(status: int, code: str, meaning: Meaning) -> None:
    body = {"code": code, "msg": "...", "params": None}
    assert judged(vendor("iterable"), status, body, users(vendor("iterable"), "ann")).meaning is meaning


def test_users_by_email_are_sent_with_it_and_no_id() -> None:
    iterable = vendor("iterable", user_id="email", project="email")
    assert sent(iterable, *users(iterable, "a@example.com"))["users"] == [
        {"email": "a@example.com", "dataFields": {"vip": True}}
    ]
    merge = iterable.encode_alias("new@example.com", Alias(UserId("old@example.com"), "a-1", TIMESTAMP))
    assert sent(iterable, merge) == {"sourceEmail": "old@example.com", "destinationEmail": "new@example.com"}


def test_a_project_with_user_ids_is_not_sent_addresses() -> None:
    with pytest.raises(ValueError, match="set `id: user_id`, or `project: hybrid`"):
        vendor("iterable", project="user_id", user_id="email")
    assert sent(vendor("iterable", project="user_id"), *users(vendor("iterable"), "ann"))["users"] == [
        {"userId": "ann", "dataFields": {"vip": True}}
    ]


@pytest.mark.parametrize(
    ("date", "written"),
    [
        ("2026-11-23", "2026-11-23 00:00:00 +00:00"),
        ("2026-11-23T20:51:29.084Z", "2026-11-23 20:51:29 +00:00"),
        ("2026-02-30", "2026-02-30"),
        ("since 2026-11-23", "since 2026-11-23"),
    ],
)
def test_a_date_that_exists_has_iterables_format(date: str, written: str) -> None:
    [message] = vendor("iterable").encode(call(last_order=date))
    assert sent(vendor("iterable"), message)["users"][0]["dataFields"] == {"last_order": written}
