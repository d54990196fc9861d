"""Send to Braze by ``POST /users/track``, and previous ids by ``POST /users/merge``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Literal, Self

import orjson
from pydantic import Field, model_validator

from audience_sync.config.sections.base import Rate
from audience_sync.config.sections.http_options import BaseUrl, Key
from audience_sync.destinations.base import Audiencing, Event, HttpRequest, Meaning, Merge, Message
from audience_sync.destinations.http.credentials import bearer
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.json_api.answers import BodyRule, objects_at, reasons_by_index
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions, divide, split_kinds
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.messages.identify import json_list, json_text
from audience_sync.model import Alias, AudienceEvent

#: An object with one of these keys changes the stored value instead of replacing it.
OPERATORS = frozenset({"inc", "add", "remove", "update", "$add", "$remove", "$update"})
MERGES = 50
BLOCKLIST = "a property that is on the blocklist of the workspace is dropped without an error"
NO_MERGES = (
    "previous ids are sent only with `id: external_id` or `id: alias`: an address may have several users in Braze"
)


class BrazeOptions(JsonApiOptions):
    type: Literal["braze"] = Field("braze", description="Braze's REST API.")
    api_key: Key = Field(
        description="A REST API key with the permission `users.track`, from Settings > APIs and Identifiers in Braze, "
        "best as `${BRAZE_API_KEY}`."
    )
    url: BaseUrl = Field(
        description="The REST endpoint of your instance, from Settings > APIs and Identifiers in Braze, such as "
        "`https://rest.iad-01.braze.com`."
    )
    id: Literal["external_id", "alias", "email", "phone"] | None = Field(
        None,
        description="What the user id is there; default: `email` or `phone` with that `user_id`, and else "
        "`external_id`. An `alias` needs `alias_label`.",
    )
    alias_label: str | None = Field(None, description="The label of the user aliases.")
    update_only: bool = Field(False, description="Create no users: a call for an unknown user does nothing.")
    rate_limit: Rate | None = Field(1000.0, description="Maximum number of requests per second, minute or hour.")
    event_name_bytes = 255
    paths = ("/users/track", "/users/merge")

    @property
    def identifier(self) -> str:
        return self.id or self.identifier_or("external_id")

    @property
    def id_kind(self) -> str:
        kind = f"{self.identifier} {self.alias_label}" if self.alias_label else self.identifier
        return "" if kind == self.identifier_or("external_id") else kind

    @model_validator(mode="after")
    def _label_of_aliases(self) -> Self:
        if (self.id == "alias") != (self.alias_label is not None):
            raise ValueError("`id: alias` and `alias_label` need each other")
        return self


class BrazeDestination(JsonApiDestination):
    Options = BrazeOptions
    options: BrazeOptions
    deletion = "delete the user by Braze's `POST /users/delete`"
    bounds = ItemLimits(
        service="Braze",
        message_bytes=100_000,
        name_characters=255,
        text_characters=255,
        list_items=500,
        reserved_prefix="$",
        reserved=frozenset(
            {"external_id", "user_alias", "braze_id", "_update_existing_only", "app_id", "push_tokens"}
            | {"push_token_import"}
        ),
    )
    names: ClassVar[Mapping[str, str]] = {"firstName": "first_name", "lastName": "last_name", "timezone": "time_zone"}
    batch_messages = 75
    batch_bytes = 4_000_000
    statuses = StatusTable(
        hints={
            **dict.fromkeys(
                (401, 404), "the key is not accepted: does it belong to the instance in `destinations.NAME.url`?"
            ),
            403: "the key may not do this, or the account is not active. It needs `users.track`, and `users.merge` for "
            "previous ids",
        }
    )
    body_rules = (
        BodyRule(  # some connectors have seen this with 401, the status of a wrong key
            status=401,
            pointer="/message",
            pattern="^Valid data must be provided",
            meaning=Meaning.REFUSED,
            hint="Braze accepted no object of the request",
        ),
        BodyRule(
            status=2,
            pointer="/message",
            pattern="(?i)^(?!success$|queued$)",
            given="/errors",
            meaning=Meaning.REFUSED,
            hint="Braze accepted no object of the request",
        ),
    )
    profile_fields = frozenset(
        {"externalid", "useralias", "brazeid", "email", "phone", "country", "currentlocation", "dateoffirstsession"}
        | {"dateoflastsession", "dob", "emailsubscribe", "emailopentrackingdisabled", "emailclicktrackingdisabled"}
        | {"facebook", "firstname", "lastname", "gender", "homecity", "imageurl", "language", "markedemailasspamat"}
        | {"pushsubscribe", "pushtokens", "pushtokenimport", "subscriptiongroups", "timezone", "twitter", "bio"}
        | {"updateexistingonly", "appid"}
    )
    checks_nested = True

    def __init__(self, options: BrazeOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self.user_field = "" if options.identifier == "alias" else options.identifier
        self.has_alias = options.identifier in ("external_id", "alias")
        self.remarks = (BLOCKLIST,) if self.has_alias else (BLOCKLIST, NO_MERGES)

    @property
    def credentials(self) -> Mapping[str, str]:
        return bearer(self.options.api_key)

    @property
    def address(self) -> str:
        return f"{self.base_url}/users/track"

    @property
    def item(self) -> Item:
        begin, end = (f'{{"{self.options.identifier}":', ""), ""
        if self.options.identifier == "alias":
            begin = ('{"user_alias":{"alias_name":', f',"alias_label":{json_text(self.options.alias_label)}}}')
            end = ',"_update_existing_only":false'  # for an alias the default is true
        if self.options.update_only:
            end = ',"_update_existing_only":true'
        return (begin[0], Part.USER, begin[1] + end, Part.FIELDS)

    def _identifier(self, user_id: str) -> dict[str, Any]:
        if self.options.identifier != "alias":
            return {self.options.identifier: user_id}
        return {"user_alias": {"alias_name": user_id, "alias_label": self.options.alias_label}}

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        body = {
            **self._identifier(user_id),
            "name": self.event_name(event),
            "time": event.timestamp,
            "properties": self.event_properties(event),
        }
        if self.options.update_only or self.options.identifier == "alias":
            body["_update_existing_only"] = self.options.update_only
        return self.event(user_id, event, body)

    def encode_alias(self, user_id: str, alias: Alias) -> Merge:
        body = {
            "identifier_to_merge": self._identifier(alias.previous_id),
            "identifier_to_keep": self._identifier(user_id),
        }
        return self.merge(user_id, alias, body)

    def value_problem(self, name: str, value: str) -> str:
        """Objects that Braze reads as an operation, or drops whole because a part of them is null."""
        if value[0] not in "{[":
            return ""
        found = orjson.loads(value)
        if isinstance(found, dict) and not OPERATORS.isdisjoint(found):
            return "is an object that Braze would read as an operation on the stored value"
        return "has an object with null, which Braze drops whole" if _has_null(found) else ""

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        groups = split_kinds(messages)
        return list(
            chain.from_iterable(
                divide(group, MERGES if isinstance(group[0], Merge) else self.batch_messages) for group in groups
            )
        )

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        if isinstance(messages[0], Merge):
            return self.post("/users/merge", _joined({"merge_updates": messages}))
        users, events = _arrays(messages)
        body = _joined({"attributes": [each for _, each in users], "events": [each for _, each in events]})
        batch = {"X-Braze-Batch": "true"} if len(messages) > 1 else {}
        return self.post("/users/track", body, batch)

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        users, events = _arrays(messages)
        arrays = {"attributes": users, "events": events}
        found: list[tuple[object, str]] = []
        for error in objects_at(body, "/errors"):
            array, index = arrays.get(str(error.get("input_array")), []), error.get("index")
            if isinstance(index, int) and 0 <= index < len(array):
                found.append((array[index][0], str(error.get("type", ""))))
        return reasons_by_index(found)


def _arrays(messages: Sequence[Message]) -> tuple[list[tuple[int, Message]], list[tuple[int, Message]]]:
    """Return the users and the events of a request, each with its index among all messages."""
    indexed = list(enumerate(messages))
    return (
        [(index, each) for index, each in indexed if not isinstance(each, Event)],
        [(index, each) for index, each in indexed if isinstance(each, Event)],
    )


def _joined(arrays: Mapping[str, Sequence[Message]]) -> bytes:
    found = [b'"%s":%s' % (name.encode(), json_list(messages)) for name, messages in arrays.items() if messages]
    return b"{" + b",".join(found) + b"}"


def _has_null(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_null, value))
    return isinstance(value, dict) and any(each is None or _has_null(each) for each in value.values())
