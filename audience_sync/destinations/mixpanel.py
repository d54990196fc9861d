"""Send to Mixpanel by ``POST /engage``, and audience events by ``POST /import``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import orjson
from msgspec.structs import replace
from pydantic import Field

from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import Answer, Audiencing, Event, HttpRequest, Judgement, Meaning, Merge, Message
from audience_sync.destinations.http.credentials import basic
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.json_api.answers import BodyRule, objects_at, parsed_body, reasons_by_index, value_at
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions, split_kinds
from audience_sync.destinations.json_api.ids import epoch_milliseconds, message_uuid
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_list, json_text
from audience_sync.model import Alias, AudienceEvent

#: Ids that Mixpanel refuses, since they are mistakes of an implementation.
NO_USERS = frozenset(
    {"anon", "anonymous", "nil", "<nil>", "none", "null", "n/a", "na", "undefined", "unknown", "0", "-1", "true"}
    | {"false", "[]", "{}", "00000000-0000-0000-0000-000000000000"}
)
NO_TOKEN = "(?i)invalid (project )?token|token, missing or empty"
TOKEN = "the project token is not accepted. Correct `destinations.NAME.token`, or the region"
ANY_TOKEN = "Mixpanel answers 200 to a wrong token or region: look for the first call in Mixpanel's Users"
MERGES = "previous ids are merged in projects with the original ID merge only, and can't be separated again"
NO_MERGES = "previous ids are not sent: Mixpanel merges them with `api_secret` only"
NONE_ACCEPTED = "Mixpanel accepted no update of the batch"
MOST_DEPTH, MOST_KEYS = 3, 255


class MixpanelOptions(JsonApiOptions):
    type: Literal["mixpanel"] = Field("mixpanel", description="Mixpanel's user profiles.")
    token: Key = Field(
        description="The project token, from Settings > Project Settings in Mixpanel, best as `${MIXPANEL_TOKEN}`."
    )
    region: Literal["us", "eu", "in"] = Field("us", description="The data residency of the project.")
    api_secret: Key | None = Field(
        None,
        description="The project's API secret, best as `${MIXPANEL_API_SECRET}`. With it previous ids are merged, in "
        "projects with the original ID merge.",
    )
    event_name_bytes = 255
    paths = ("/engage", "/import", "/track")


class MixpanelDestination(JsonApiDestination):
    Options = MixpanelOptions
    options: MixpanelOptions
    deletion = "delete the profile in Mixpanel, or by its GDPR API"
    hosts: ClassVar[Mapping[str, str]] = {
        "us": "https://api.mixpanel.com",
        "eu": "https://api-eu.mixpanel.com",
        "in": "https://api-in.mixpanel.com",
    }
    bounds = ItemLimits(
        service="Mixpanel",
        message_bytes=256_000,
        message_traits=2_000,
        user_characters=255,
        no_users=NO_USERS,
        name_characters=255,
        text_bytes=255,
        reserved=frozenset({"$distinct_id", "$token", "bucket", "$bucket", "$mp_first_event_time"}),
    )
    types = ValueTypes(null="unset")
    names: ClassVar[Mapping[str, str]] = {
        "email": "$email",
        "phone": "$phone",
        "name": "$name",
        "firstName": "$first_name",
        "lastName": "$last_name",
        "avatar": "$avatar",
        "createdAt": "$created",
    }
    batch_messages = 2_000
    batch_bytes = 2_000_000
    statuses = StatusTable(hints={401: TOKEN})
    body_rules = (
        BodyRule(status=(2, 4), pointer="/error", pattern=NO_TOKEN, meaning=Meaning.STOP, hint=TOKEN),
        BodyRule(status=2, pointer="", pattern="^0$", meaning=Meaning.REFUSED, hint=NONE_ACCEPTED),
        BodyRule(status=2, pointer="/status", pattern="^0$", meaning=Meaning.REFUSED, hint=NONE_ACCEPTED),
    )
    profile_fields = frozenset(
        {"email", "phone", "name", "firstname", "lastname", "avatar", "created", "createdat", "distinctid", "bucket"}
        | {"token", "mpfirsteventtime"}
    )
    checks_nested = True

    def __init__(self, options: MixpanelOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        key = options.token.get_secret_value()
        self._who = f'{{"$token":{json_text(key)},"$distinct_id":'
        self._token = key
        self.has_alias = options.api_secret is not None
        self.remarks = (ANY_TOKEN, MERGES if self.has_alias else NO_MERGES)

    @property
    def address(self) -> str:
        return f"{self.base_url}/engage"

    def items(self, *, sets: bool, unsets: bool) -> Sequence[Item]:
        """Return an object for each operation: Mixpanel accepts one in an object."""
        items: list[Item] = []
        if sets or not unsets:
            items.append((self._who, Part.USER, ',"$set":', Part.TRAITS, ',"$ip":0,"$ignore_time":true}'))
        if unsets:
            items.append((self._who, Part.USER, ',"$unset":', Part.UNSET_NAMES, "}"))
        return items

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        properties = {
            "time": epoch_milliseconds(event.timestamp),
            "distinct_id": user_id,
            "$insert_id": message_uuid(event.message_id),
            **self.event_properties(event),
        }
        return self.event(user_id, event, {"event": self.event_name(event), "properties": properties})

    def encode_alias(self, user_id: str, alias: Alias) -> Merge:
        properties = {"$distinct_ids": [user_id, alias.previous_id], "token": self._token}
        return self.merge(user_id, alias, {"event": "$merge", "properties": properties})

    def value_problem(self, name: str, value: str) -> str:
        """Objects that Mixpanel refuses."""
        if value[0] not in "{[":
            return ""
        depth, keys = _nesting(orjson.loads(value))
        if depth > MOST_DEPTH:
            return f"is nested {depth} deep and Mixpanel takes {MOST_DEPTH}: flatten the value at its source"
        return f"has an object of {keys:,} keys and Mixpanel takes {MOST_KEYS}" if keys > MOST_KEYS else ""

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        return split_kinds(messages, events_apart=True)

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        body = json_list(messages)
        if isinstance(messages[0], Event | Merge):
            key = self.options.api_secret if isinstance(messages[0], Merge) else self.options.token
            return self.post("/import?strict=1", body, basic(key or self.options.token))
        return self.post("/engage?strict=1&verbose=1&ip=0", body)

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        """Return those of ``failed_records`` by index."""
        found = objects_at(body, "/failed_records")
        return reasons_by_index(
            (each.get("index"), ": ".join(str(each[part]) for part in ("field", "message") if each.get(part)))
            for each in found
        )

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        """A 400 that names records has accepted the others, if it counts them."""
        judgement = super().judge(answer, messages)
        others = len(messages) - len(judgement.refused)
        if judgement.meaning is not Meaning.REFUSED or not judgement.refused:
            return judgement
        imported = value_at(parsed_body(answer), "/num_records_imported")
        are_accepted = isinstance(imported, int) and imported >= others
        return replace(judgement, meaning=Meaning.DELIVERED) if are_accepted else judgement


def _nesting(value: Any) -> tuple[int, int]:
    """Return the depth of the objects in a value, and the keys of the largest."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    depths, keys = zip((0, 0), *map(_nesting, inner), strict=True)
    own = len(value) if isinstance(value, dict) else 0
    return max(depths) + isinstance(value, dict), max(own, *keys)
