"""Send to OneSignal, one user a request: tags of a user, who is created if necessary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self
from urllib.parse import quote

import orjson
from pydantic import Field, model_validator

from audience_sync.config.sections.base import Rate
from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import Audiencing, Event, HttpRequest, Meaning, Message
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.json_api.answers import BodyRule
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions
from audience_sync.destinations.json_api.ids import message_uuid
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_text
from audience_sync.errors import UnsendableError
from audience_sync.model import AudienceEvent

CREATES = "every user whom OneSignal does not have is created there; `update_only: true` creates none"
UPDATES = "OneSignal may answer an update of a user whom it does not have with a success, and stores nothing then"
#: Ids that an address can't have: they mean the folder itself, and the one above.
NO_ADDRESSES = (".", "..")
#: Labels of the ids by which an event may name its user.
EVENT_LABELS = ("external_id", "onesignal_id")


class OneSignalOptions(JsonApiOptions):
    event_name_bytes = 128
    paths = ("/apps", "/api/v1")

    type: Literal["onesignal"] = Field("onesignal", description="Tags of OneSignal's users.")
    app_id: str = Field(
        pattern=r"^[0-9A-Za-z-]+$", description="The id of the app, from Settings > Keys & IDs in OneSignal."
    )
    api_key: Key = Field(
        description="The app's API key, from Settings > Keys & IDs in OneSignal, best as `${ONESIGNAL_API_KEY}`."
    )
    alias_label: str = Field("external_id", description="The label of the alias that a user id is.")
    update_only: bool = Field(False, description="Create no users: a call for an unknown user is refused or lost.")
    rate_limit: Rate | None = Field(1000.0, description="Maximum number of requests per second, minute or hour.")
    concurrency: int = Field(16, ge=1, le=64, description="Number of requests in flight at the same time.")

    @property
    def id_kind(self) -> str:
        return "" if self.alias_label == "external_id" else self.alias_label

    @model_validator(mode="after")
    def _label_of_the_calls(self) -> Self:
        if self.alias_label == "onesignal_id" and not self.update_only:
            raise ValueError("OneSignal gives each user a `onesignal_id` itself: this label needs `update_only: true`")
        if self.events and self.alias_label not in EVENT_LABELS:
            raise ValueError("OneSignal's events name a user by external id: `events` needs `alias_label: external_id`")
        return self


class OneSignalDestination(JsonApiDestination):
    Options = OneSignalOptions
    options: OneSignalOptions
    deletion = "delete the user by OneSignal's `DELETE /apps/{app_id}/users/by/{alias_label}/{alias_id}`"
    hosts: ClassVar[Mapping[str, str]] = {"": "https://api.onesignal.com"}
    bounds = ItemLimits(service="OneSignal", message_bytes=100_000, message_traits=100)
    types = ValueTypes(as_text=True, null="empty")
    batch_messages = 1
    batch_bytes = 200_000
    body_rules = (
        BodyRule(
            status=2,
            pointer="/errors/0",
            meaning=Meaning.REFUSED,
            hint="OneSignal answered with a success and did not accept this",
        ),
        BodyRule(
            status=4,
            pointer="/errors",
            pattern="entitlements-tag-limit",
            meaning=Meaning.REFUSED,
            hint="the user has as many tags as the plan allows",
        ),
        BodyRule(
            status=(400, 404),
            pointer="/errors",
            pattern=r"(?i)\bapp_id\b|\bapp not found|api key|authorization|\bauth-\d",
            meaning=Meaning.STOP,
            hint="the key or the app is not accepted. Correct `destinations.NAME.api_key` or `app_id`",
        ),
    )
    profile_fields = frozenset({"externalid", "onesignalid"})
    remarks: tuple[str, ...] = (
        "OneSignal accepts one user in a request, so that a first run of many users is slow",
        "the number of tags of a user is limited by the plan; a call over it is refused",
        "users can't be merged: previous ids are not sent",
    )

    def __init__(self, options: OneSignalOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self.remarks = (*self.remarks, UPDATES if options.update_only else CREATES)
        self._app = f"/apps/{options.app_id}"
        self.statuses = (
            StatusTable({404: Meaning.REFUSED}, hints={404: "OneSignal has no such user"})
            if options.update_only
            else StatusTable()
        )

    @property
    def credentials(self) -> Mapping[str, str]:
        return {"Authorization": f"Key {self.options.api_key.get_secret_value()}"}

    @property
    def address(self) -> str:
        return f"{self.base_url}{self._app}/users"

    @property
    def item(self) -> Item:
        begin = f'{{"identity":{{{json_text(self.options.alias_label)}:'
        return (begin, Part.USER, '},"properties":{"tags":', Part.TRAITS, "}}")

    def check_user(self, user_id: str) -> None:
        super().check_user(user_id)
        if self.options.update_only and user_id in NO_ADDRESSES:
            raise UnsendableError(f"the user id '{user_id}' can't be a part of an address, which `update_only` needs")

    def user_conditions(self) -> Sequence[str]:
        return ("user_id not in ('.', '..')",) if self.options.update_only else ()

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        body = {
            "name": self.event_name(event),
            self.options.alias_label: user_id,
            "timestamp": event.timestamp,
            "idempotency_key": message_uuid(event.message_id),
            "payload": self.event_properties(event),
        }
        return self.event(user_id, event, {"events": [body]})

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        """Return the request for one message. An update moves the user's id from the body into the address."""
        (message,) = messages
        if isinstance(message, Event):
            return self.post(f"{self._app}/custom_events", message.body)
        if not self.options.update_only:
            return self.post(f"{self._app}/users", message.body)
        user = orjson.loads(message.body)
        [(label, user_id)] = user.pop("identity").items()
        path = f"{self._app}/users/by/{quote(label, safe='')}/{quote(user_id, safe='')}"
        return self.post(path, orjson.dumps(user), method="PATCH")
