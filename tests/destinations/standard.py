"""Test what every destination must keep. Subclass it, and name the destination.

Usable by packages that bring destinations of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from audience_sync.destinations.base import Answer, Destination, HttpDestination, Meaning, Message
from audience_sync.destinations.boundary import ContainedDestination
from audience_sync.errors import OwnCodeError
from audience_sync.model import IdentifyCall, UserId
from audience_sync.workspace import Workspace

TIMESTAMP = "2026-03-01T06:00:00.000Z"
MANY_TRAITS = "{" + ",".join(f'"trait_{number}":{number}' for number in range(700)) + "}"
CALLS = {
    "an audience entered": IdentifyCall(UserId("u-1"), '{"vip":true}', "a" * 100, TIMESTAMP),
    "an audience left": IdentifyCall(UserId("u-1"), '{"vip":false}', "b" * 64, TIMESTAMP),
    "an id that looks like a number": IdentifyCall(UserId("007"), '{"vip":true}', "c1", TIMESTAMP),
    "an id that needs escaping": IdentifyCall(UserId('a"b\\c\n\t\u2028日本'), '{"vip":true}', "c2", TIMESTAMP),
    "an id of 1,000 characters": IdentifyCall(UserId("x" * 1000), '{"vip":true}', "c3", TIMESTAMP),
    "every JSON type": IdentifyCall(
        UserId("u-2"),
        '{"a":true,"b":null,"c":1.5,"d":12345678901234567890123,"e":"é","f":[1],"g":{"h":{}}}',
        "c4",
        TIMESTAMP,
    ),
    "more traits than fit a message": IdentifyCall(UserId("u-3"), MANY_TRAITS, "c5", TIMESTAMP),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


class OwnError(BaseException):
    """An error of a package that is not an Exception."""


#: What a destination's own code may raise: an error, and one that few handlers catch. Runs meet ten kinds of them in
#: tests/cli/test_destination_boundary.py.
ERRORS: dict[str, Callable[[str], BaseException]] = {kind.__name__: kind for kind in (ValueError, OwnError)}
each_error = pytest.mark.parametrize("error", ERRORS)


class DestinationStandard:
    """``destination`` makes a new one each time; ``secrets`` are the texts of its keys."""

    secrets: tuple[str, ...] = ()
    #: The characters of the longest user id that the service accepts, as far as the calls here have longer ones.
    longest_id: ClassVar[int] = 1_000
    #: What `true` and `false` of a membership become, and each value of "every JSON type". Some services store texts.
    membership: ClassVar[tuple[Any, Any]] = (True, False)
    written: ClassVar[Mapping[str, Any]] = {
        "a": True,
        "b": None,
        "c": 1.5,
        "d": 12345678901234567890123,
        "e": "é",
        "f": [1],
        "g": {"h": {}},
    }
    #: The value of a trait of "more traits than fit a message".
    number: ClassVar[Callable[[int], Any]] = int

    def destination(self) -> Destination:
        raise NotImplementedError

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["userId"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        traits: dict[str, Any] = message["traits"]
        return traits

    def decoded(self, call: IdentifyCall) -> list[dict[str, Any]]:
        import json

        return [json.loads(message.body) for message in self.encoded(call)]

    def encoded(self, call: IdentifyCall) -> list[Message]:
        return self.destination().encode(call._replace(user_id=UserId(call.user_id[: self.longest_id])))

    @each_call
    def test_the_same_call_is_always_the_same_bytes(self, call: IdentifyCall) -> None:
        assert self.encoded(call) == self.encoded(call)

    def test_what_is_written_in_sql_is_the_same_bytes(self) -> None:
        destination = self.destination()
        written = destination.encode_sql() or "null"
        columns = "? as user_id, ? as traits, ? as message_id, ? as timestamp"
        with Workspace(600_000_000, ["/"]) as workspace:
            for call in CALLS.values():
                [body] = workspace.one(f"select encode({written}) from (select {columns})", call[:4])
                assert body is None or [body] == [message.body for message in self.encoded(call)]

    @each_call
    def test_the_user_id_is_a_string_as_written(self, call: IdentifyCall) -> None:
        assert {self.user_id(message) for message in self.decoded(call)} == {call.user_id[: self.longest_id]}

    @each_call
    def test_every_message_is_one_line(self, call: IdentifyCall) -> None:
        assert all(b"\n" not in message.body for message in self.encoded(call))

    @each_call
    def test_message_ids_are_distinct_and_100_characters_at_most(self, call: IdentifyCall) -> None:
        ids = [message.message_id for message in self.encoded(call)]
        assert len(set(ids)) == len(ids) > 0
        assert max(map(len, ids)) <= 100

    def test_a_membership_is_a_json_boolean(self) -> None:
        (entered,) = self.decoded(CALLS["an audience entered"])
        (left,) = self.decoded(CALLS["an audience left"])
        assert (self.traits(entered)["vip"], self.traits(left)["vip"]) == self.membership

    def test_every_value_keeps_its_json_type(self) -> None:
        sent = {
            key: value for part in self.decoded(CALLS["every JSON type"]) for key, value in self.traits(part).items()
        }
        assert sent == self.written

    def test_no_trait_of_a_large_call_is_lost(self) -> None:
        sent = [self.traits(message) for message in self.decoded(CALLS["more traits than fit a message"])]
        assert {key: value for part in sent for key, value in part.items()} == {
            f"trait_{number}": type(self).number(number) for number in range(700)
        }
        assert sum(map(len, sent)) == 700

    def with_a_bug(self, moment: str, error: str) -> ContainedDestination:
        """The destination as a run has it, whose method ``moment`` raises an error that repeats its keys."""
        destination = self.destination()
        destination.about = replace(destination.about, secrets=self.secrets)

        def fail(*_: object) -> None:
            raise ERRORS[error](f"a bug with {' and '.join(self.secrets)}")

        if isinstance(destination, HttpDestination):  # nothing listens there, so that it judges what is no answer
            request = destination.request
            vars(destination)["request"] = lambda messages: replace(request(messages), url="http://127.0.0.1:9/")
        vars(destination)[moment] = fail
        return ContainedDestination("crm", lambda: destination, destination.options, destination.about)

    def stops(self, moment: str, error: str) -> None:
        transport = self.with_a_bug(moment, error).open()
        judgement = transport.send(self.destination().encode(CALLS["an audience entered"]))
        transport.close()
        assert judgement.meaning is Meaning.STOP
        assert judgement.reason.startswith(f"error in the destination's own code: {error}")
        assert [secret for secret in self.secrets if secret in judgement.reason] == []

    @each_error
    def test_an_error_in_opening_stops_this_destination_alone(self, error: str) -> None:
        self.stops("open", error)

    @each_error
    def test_an_error_in_encoding_is_about_the_call_and_shows_no_secret(self, error: str) -> None:
        with pytest.raises(OwnCodeError) as caught:
            self.with_a_bug("encode", error).encode(CALLS["an audience entered"])
        assert str(caught.value).startswith(f"error in the destination's own code: {error}")
        assert [secret for secret in self.secrets if secret in str(caught.value)] == []

    def test_limits_are_positive(self) -> None:
        limits = self.destination().limits
        assert limits.messages > 0
        assert limits.request_bytes > 0

    def test_no_secret_is_shown(self) -> None:
        destination = self.destination()
        shown = f"{destination!r} {destination.options!r} {destination.address} {vars(destination)['options']}"
        assert [secret for secret in self.secrets if secret in shown] == []


class HttpDestinationStandard(DestinationStandard):
    """Test what every destination over HTTP must keep in addition."""

    def http(self) -> HttpDestination:
        destination = self.destination()
        assert isinstance(destination, HttpDestination)
        return destination

    @each_error
    @pytest.mark.parametrize("moment", ["request", "signed", "judge"])
    def test_an_error_in_its_own_code_stops_this_destination_alone(self, moment: str, error: str) -> None:
        self.stops(moment, error)

    def test_the_same_messages_are_the_same_request(self) -> None:
        messages = [message for call in CALLS.values() for message in self.encoded(call)]
        messages = messages[: self.http().limits.messages]
        assert self.http().request(messages) == self.http().request(messages)

    @pytest.mark.parametrize("status", [None, 200, 302, 400, 401, 404, 413, 429, 500, 501])
    def test_no_reason_shows_a_secret_that_the_answer_repeats(self, status: int | None) -> None:
        body = f"no such key: {' or '.join(self.secrets)}".encode()
        judgement = self.http().judge(Answer(status, body, headers={}, error="connection refused"))
        assert [secret for secret in self.secrets if secret in repr(judgement)] == []

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_stops_the_destination(self, status: int) -> None:
        assert self.http().judge(Answer(status)).meaning is Meaning.STOP

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_wrong_key_stops_the_destination(self, status: int) -> None:
        assert self.http().judge(Answer(status)).meaning is Meaning.STOP

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    def test_a_server_in_trouble_is_asked_again(self, status: int) -> None:
        assert self.http().judge(Answer(status)).meaning is Meaning.RETRY

    def test_no_answer_is_asked_again_and_says_why(self) -> None:
        judgement = self.http().judge(Answer(None, error="connection refused"))
        assert (judgement.meaning, judgement.reason) == (Meaning.RETRY, "connection refused")

    def test_too_many_requests_slow_the_destination_down_for_as_long_as_it_says(self) -> None:
        judgement = self.http().judge(Answer(429, headers={"retry-after": "7"}))
        assert (judgement.meaning, judgement.retry_after) == (Meaning.SLOW_DOWN, 7)

    def test_a_server_in_trouble_says_when_it_is_back(self) -> None:
        assert self.http().judge(Answer(503, headers={"retry-after": "7"})).retry_after == 7
