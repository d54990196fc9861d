"""Send to Amplitude by ``POST /2/httpapi``: ``$identify`` events and audience events; and by ``POST /usermap``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from msgspec.structs import replace
from pydantic import Field

from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import Answer, Audiencing, Event, HttpRequest, Judgement, Meaning, Merge, Message
from audience_sync.destinations.json_api.answers import (
    BodyRule,
    parsed_body,
    reasons_by_identifier,
    value_at,
    values_at,
)
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions, split_kinds
from audience_sync.destinations.json_api.ids import epoch_milliseconds
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_bytes, json_list
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent

#: Words that Amplitude drops as user ids.
NO_USERS = frozenset(
    {"anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "0", "-1", "true", "false", "[]", "{}"}
    | {"lmy47d", "00000000-0000-0000-0000-000000000000"}
)
NO_MAPPING = "previous ids are not sent: User Mapping is an add-on of Amplitude (`user_mapping: true`)"
STATUS_OK, FIRST_ERROR_STATUS = 200, 400
NO_KEY = "(?i)^(invalid|missing).api.?key"
WRONG_KEY = "the key is not accepted. Correct `destinations.NAME.api_key`, or the region"
#: Addresses of User Mapping, which has hosts of its own.
USER_MAPPING_HOSTS: Mapping[str, str] = {"us": "https://api.amplitude.com", "eu": "https://api.eu.amplitude.com"}
#: Parts of an answer that have the indexes of invalid events by field.
INVALID = {
    "events_with_invalid_fields": "a value is invalid",
    "events_with_missing_fields": "a field is missing",
    "events_with_invalid_id_lengths": "the user id is too short for the project",
}


class AmplitudeOptions(JsonApiOptions):
    paths = ("/2/httpapi", "/batch", "/identify", "/usermap")

    type: Literal["amplitude"] = Field("amplitude", description="User properties of Amplitude.")
    api_key: Key = Field(
        description="The API key of the project, from Settings > Projects in Amplitude, best as `${AMPLITUDE_API_KEY}`."
    )
    region: Literal["us", "eu"] = Field("us", description="The data centre of the project.")
    min_id_length: int = Field(
        1, ge=1, description="The least length of a user id. Amplitude's own default of 5 drops shorter ones silently."
    )
    user_mapping: bool = Field(
        False, description="Map previous ids to the current one by User Mapping, an add-on of Amplitude."
    )


class AmplitudeDestination(JsonApiDestination):
    Options = AmplitudeOptions
    options: AmplitudeOptions
    deletion = "delete the user by Amplitude's User Privacy API"
    hosts: ClassVar[Mapping[str, str]] = {"us": "https://api2.amplitude.com", "eu": "https://api.eu.amplitude.com"}
    bounds = ItemLimits(
        service="Amplitude", message_bytes=500_000, message_traits=1_024, text_characters=1_024, no_users=NO_USERS
    )
    types = ValueTypes(null="unset")
    batch_messages = 1_000
    batch_bytes = 1_000_000
    success_texts = (b"success",)
    body_rules = (
        BodyRule(status=400, pointer="/error", pattern=NO_KEY, meaning=Meaning.STOP, hint=WRONG_KEY),
        BodyRule(status=400, pointer="/missing_field", pattern="^api_key$", meaning=Meaning.STOP, hint=WRONG_KEY),
        BodyRule(
            status=429,
            pointer="/exceeded_daily_quota_users",
            pattern=r'^\{"',
            meaning=Meaning.REFUSED,
            hint="the daily quota of these users is used up",
        ),
        BodyRule(status=429, meaning=Meaning.SLOW_DOWN, hint="rate limited", wait=15),
    )
    profile_fields = frozenset({"userid", "deviceid", "id"})
    remarks: tuple[str, ...] = ("Amplitude shows a property only from the user's next event on",)

    def __init__(self, options: AmplitudeOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self._key = options.api_key.get_secret_value()
        self._begin = b'{"api_key":' + json_bytes(self._key) + b',"events":'
        self._end = b',"options":{"min_id_length":%d}}' % options.min_id_length
        self.has_alias = options.user_mapping
        if not options.user_mapping:
            self.remarks = (*self.remarks, NO_MAPPING)

    @property
    def address(self) -> str:
        return f"{self.base_url}/2/httpapi"

    def items(self, *, sets: bool, unsets: bool) -> Sequence[Item]:
        begin: Item = ('{"event_type":"$identify","insert_id":', Part.MESSAGE_ID, ',"time":', Part.MILLISECONDS)
        traits: Item = ('"$set":', Part.TRAITS) if sets or not unsets else ()
        comma: Item = (",",) if sets and unsets else ()
        unset: Item = ('"$unset":', Part.UNSET_DASHES) if unsets else ()
        return [(*begin, ',"user_id":', Part.USER, ',"user_properties":{', *traits, *comma, *unset, "}}")]

    def check_user(self, user_id: str) -> None:
        super().check_user(user_id)
        if len(user_id) < self.options.min_id_length:
            raise UnsendableError(
                f"the user id has {len(user_id)} characters and Amplitude drops ids of fewer than "
                f"{self.options.min_id_length}: lower `min_id_length`"
            )

    def user_conditions(self) -> Sequence[str]:
        return (f"length(user_id) >= {self.options.min_id_length}",)

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        body = {
            "event_type": self.event_name(event),
            "insert_id": event.message_id,
            "time": epoch_milliseconds(event.timestamp),
            "user_id": user_id,
            "event_properties": self.event_properties(event),
        }
        return self.event(user_id, event, body)

    def encode_alias(self, user_id: str, alias: Alias) -> Merge:
        return Merge(alias.message_id, json_bytes({"user_id": alias.previous_id, "global_user_id": user_id}))

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        return split_kinds(messages)

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        if isinstance(messages[0], Merge):
            return self._mapping_request(messages)
        return self.post("/2/httpapi", self._begin + json_list(messages) + self._end)

    def _mapping_request(self, messages: Sequence[Message]) -> HttpRequest:
        """Return the request that maps previous ids, which is a form."""
        body = urlencode({"api_key": self._key, "mapping": json_list(messages).decode()}).encode()
        base = self.options.url or USER_MAPPING_HOSTS[self.options.region]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return HttpRequest("POST", f"{base}/usermap", headers, body)

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        """Judge; the code in the body counts, as in Amplitude's own libraries, if the status is a success."""
        code = value_at(parsed_body(answer), "/code")
        if answer.status == STATUS_OK and isinstance(code, int) and code >= FIRST_ERROR_STATUS:
            answer = replace(answer, status=code)
        return super().judge(answer, messages)

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        """Return the events that a refusal names: Amplitude then accepted none of the request."""
        named = reasons_by_identifier(
            messages,
            "/user_id",
            [
                (user, "the daily quota of this user is used up")
                for user in values_at(body, "/exceeded_daily_quota_users")
            ],
        )
        for part, reason in INVALID.items():
            for field in values_at(body, f"/{part}"):
                named |= _indexes(values_at(body, f"/{part}/{field}"), f"{reason}: {field}")
        return named | _indexes(values_at(body, "/silenced_events"), "Amplitude silences this user or device")


def _indexes(found: Sequence[str | int], reason: str) -> dict[int, str]:
    return {each: reason for each in found if isinstance(each, int)}
