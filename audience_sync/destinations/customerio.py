"""Send to Customer.io by ``POST /api/v2/batch`` of its Track API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from audience_sync.config.sections.base import Rate
from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import Audiencing, Event, HttpRequest, Merge, Message
from audience_sync.destinations.http.credentials import basic
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.json_api.answers import objects_at, reasons_by_index
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions, split_kinds
from audience_sync.destinations.json_api.ids import epoch_seconds, message_ulid
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_list
from audience_sync.model import Alias, AudienceEvent

#: Customer.io redirects the data of an account in the EU to its own address.
REDIRECTS = (301, 302, 303, 307, 308)
MERGES = "a merge of a previous id deletes that person in Customer.io and can't be undone"
NO_MERGES = "Customer.io merges no people by phone: previous ids are not sent"


class CustomerIoOptions(JsonApiOptions):
    type: Literal["customerio"] = Field("customerio", description="Customer.io's Track API.")
    site_id: Key = Field(
        description="The Site ID of the workspace, from Settings > Account Settings > API Credentials in Customer.io, "
        "best as `${CUSTOMERIO_SITE_ID}`."
    )
    api_key: Key = Field(
        description="The Track API key (no App API key), from Settings > Account Settings > API Credentials in "
        "Customer.io, best as `${CUSTOMERIO_API_KEY}`."
    )
    region: Literal["us", "eu"] = Field("us", description="The region of the account.")
    id: Literal["id", "email", "phone", "cio_id"] | None = Field(
        None, description="What the user id is there; default: `email` or `phone` with that `user_id`, and else `id`."
    )
    update_only: bool = Field(False, description="Create no people: a call for an unknown person does nothing.")
    rate_limit: Rate | None = Field(100.0, description="Maximum number of requests per second, minute or hour.")
    event_name_bytes = 100
    paths = ("/api/v1", "/api/v2")

    @property
    def identifier(self) -> str:
        return self.id or self.identifier_or("id")

    @property
    def id_kind(self) -> str:
        return "" if self.identifier == self.identifier_or("id") else self.identifier


class CustomerIoDestination(JsonApiDestination):
    Options = CustomerIoOptions
    options: CustomerIoOptions
    deletion = "delete the person in Customer.io (People), or by `POST /api/v2/entity` with the action `delete`"
    hosts: ClassVar[Mapping[str, str]] = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
    bounds = ItemLimits(
        service="Customer.io",
        message_bytes=32_000,
        message_traits=299,
        user_bytes=150,
        name_bytes=150,
        value_bytes=1_000,
        reserved=frozenset({"id", "cio_id", "_update", "anonymous_id", "cio_relationships"}),
    )
    types = ValueTypes(dates="seconds")
    names: ClassVar[Mapping[str, str]] = {"createdAt": "created_at"}
    batch_messages = 1_000
    batch_bytes = 500_000
    statuses = StatusTable(
        hints={
            401: "the key is not accepted: is it a Track API key, and is `destinations.NAME.region` right?",
            **dict.fromkeys(REDIRECTS, "the account is in the other region: correct `destinations.NAME.region`"),
        }
    )
    #: The last three would change where a campaign's e-mail goes, as properties of an event.
    profile_fields = frozenset(
        {"id", "cioid", "email", "phone", "update", "anonymousid", "unsubscribed", "createdat", "timezone", "language"}
        | {"ciorelationships", "ciosubscriptionpreferences", "recipient", "fromaddress", "replyto"}
    )

    def __init__(self, options: CustomerIoOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self.has_alias = options.identifier != "phone"
        self.remarks = (MERGES if self.has_alias else NO_MERGES,)

    @property
    def own_values(self) -> frozenset[str]:
        return super().own_values | {"person", "event", "merge"}

    @property
    def credentials(self) -> Mapping[str, str]:
        return basic(self.options.site_id, self.options.api_key)

    @property
    def address(self) -> str:
        return f"{self.base_url}/api/v2/batch"

    @property
    def item(self) -> Item:
        begin = f'{{"type":"person","action":"identify","identifiers":{{"{self.options.identifier}":'
        traits: Item = ('{"_update":true', Part.FIELDS) if self.options.update_only else (Part.TRAITS,)
        return (begin, Part.USER, '},"attributes":', *traits, ',"timestamp":', Part.SECONDS, "}")

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        body = {
            "type": "person",
            "action": "event",
            "identifiers": {self.options.identifier: user_id},
            "id": message_ulid(event.message_id, event.timestamp),
            "name": self.event_name(event),
            "timestamp": epoch_seconds(event.timestamp),
            "attributes": self.event_properties(event),
        }
        return self.event(user_id, event, body)

    def encode_alias(self, user_id: str, alias: Alias) -> Merge:
        primary, secondary = ({self.options.identifier: each} for each in (user_id, alias.previous_id))
        body = {"type": "person", "action": "merge", "primary": primary, "secondary": secondary}
        return self.merge(user_id, alias, body)

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        """Put merges into a request of their own after the people, because the primary person has to exist."""
        return split_kinds(messages)

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        return self.post("/api/v2/batch", b'{"batch":' + json_list(messages) + b"}")

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        return reasons_by_index((each.get("batch_index"), _reason(each)) for each in objects_at(body, "/errors"))


def _reason(error: Mapping[str, Any]) -> str:
    """``invalid attribute: attributes: value for attribute cannot be longer than 1000 bytes``"""
    return ": ".join(str(error[part]) for part in ("reason", "field", "message") if error.get(part))
