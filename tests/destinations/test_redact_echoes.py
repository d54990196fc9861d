"""What an answer repeats of a request is not repeated again."""

from __future__ import annotations

import pytest

from audience_sync.destinations.base import Judgement, Meaning, Message
from audience_sync.destinations.http.redact_echoes import redact_echoes

SENT = [
    Message("m-1", b'{"type":"identify","userId":"u-77","traits":{"email":"jane@example.test","vip":true}}'),
    Message("m-2", b'{"user_id":"u-78","attributes":{"address":{"street":["Elm Road 4"]},"revenue":129.95,"age":42}}'),
]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("no such user: u-77", "no such user: ***"),
        ("jane@example.test bounced", "*** bounced"),
        ("Jane@Example.TEST bounced", "*** bounced"),
        ("jane%40example.test bounced", "*** bounced"),
        ("jane\\u0040example.test bounced", "*** bounced"),
        ("amFuZUBleGFtcGxlLnRlc3Q= bounced", "*** bounced"),
        ("bad street 'Elm Road 4'", "bad street '***'"),
        ("129.95 is too much", "*** is too much"),
        ("identify needs userId and traits", "identify needs userId and traits"),
        ('{"isValid":false,"known":true}', '{"isValid":false,"known":true}'),
        ("HTTP 429", "HTTP 429"),
    ],
)
def test_values_are_masked_and_words_of_the_protocol_stay(reason: str, shown: str) -> None:
    assert redact_echoes(Judgement(Meaning.REFUSED, reason), SENT).reason == shown


def test_a_long_value_is_masked_before_one_that_is_part_of_it() -> None:
    sent = [Message("m", b'{"a":"jane","b":"jane@example.test"}')]
    assert redact_echoes(Judgement(Meaning.STOP, "jane@example.test"), sent).reason == "***"


def test_of_a_body_that_is_no_json_every_word_is_masked() -> None:
    sent = [Message("m", b"user=u-77&email=jane@example.test")]
    assert redact_echoes(Judgement(Meaning.STOP, "no jane@example.test here"), sent).reason == "no *** here"


def test_refusals_one_by_one_are_masked_too() -> None:
    judgement = Judgement(Meaning.DELIVERED, refused={1: "u-78 is blocked"})
    assert redact_echoes(judgement, SENT).refused == {1: "*** is blocked"}


@pytest.mark.parametrize("reason", ["Email address is invalid", "no property vip", "vip and email"])
def test_values_of_the_config_stay(reason: str) -> None:
    sent = [Message("m", b'{"id":"jane@example.test","idProperty":"email","event":"vip"}')]
    judgement = Judgement(Meaning.REFUSED, f"{reason}: jane@example.test")
    assert redact_echoes(judgement, sent, frozenset({"email", "vip"})).reason == f"{reason}: ***"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("the quota of the project is used up", "the quota of the project is used up"),
        ("no plan 'pro' here", "no plan '***' here"),
        ("plan=pro&x=1", "plan=***&x=1"),
        ("PRO", "***"),
        ("invalid plan %70ro", "invalid plan ***"),
        ("a tester of freedom", "a tester of freedom"),
    ],
)
def test_a_short_word_is_masked_where_it_is_a_whole_word(reason: str, shown: str) -> None:
    sent = [Message("m", b'{"plan":"pro","tier":"test","kind":"free"}')]
    assert redact_echoes(Judgement(Meaning.REFUSED, reason), sent).reason == shown


@pytest.mark.parametrize("value", ["u-77", "x1y", "4930", "jane@x.io", "gutenberg"])
def test_other_values_are_masked_within_other_text_too(value: str) -> None:
    sent = [Message("m", b'{"value":"%s"}' % value.encode())]
    assert redact_echoes(Judgement(Meaning.REFUSED, f"no a{value}b"), sent).reason == "no a***b"


def test_a_destinations_own_values_stay() -> None:
    sent = [Message("m", b'{"type":"person","name":"Audience Entered","id":"ann-1"}')]
    reason = "person ann-1: the event Audience Entered is blocked"
    shown = redact_echoes(Judgement(Meaning.REFUSED, reason), sent, frozenset({"person", "Audience Entered"})).reason
    assert shown == "person ***: the event Audience Entered is blocked"
