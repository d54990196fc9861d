"""Send to HubSpot by ``POST /crm/v3/objects/contacts/batch/upsert``, and create the properties that it needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import orjson
from msgspec.structs import replace
from pydantic import Field, model_validator

from audience_sync.config.sections.base import Rate
from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import (
    Answer,
    Audiencing,
    Event,
    FieldKind,
    HttpRequest,
    Judgement,
    Meaning,
    Message,
)
from audience_sync.destinations.http.credentials import bearer
from audience_sync.destinations.http.statuses import StatusTable, status_reason
from audience_sync.destinations.json_api.answers import (
    BodyRule,
    objects_at,
    parsed_body,
    reasons_by_identifier,
    value_at,
    values_at,
)
from audience_sync.destinations.json_api.destination import divide, split_kinds
from audience_sync.destinations.json_api.fields import FieldsDestination, FieldsOptions
from audience_sync.destinations.json_api.ids import message_uuid
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_list, json_text
from audience_sync.errors import UnsendableError
from audience_sync.model import USER_ID, AudienceEvent

PROPERTIES = "/crm/v3/properties/contacts"
#: ``type`` and ``fieldType`` of a property of each kind.
PROPERTY_TYPES = {
    FieldKind.BOOLEAN: ("bool", "booleancheckbox"),
    FieldKind.NUMBER: ("number", "number"),
    FieldKind.DATE: ("date", "date"),
    FieldKind.DATETIME: ("datetime", "date"),
    FieldKind.TEXT: ("string", "text"),
}
YES_NO = [
    {"label": "Yes", "value": "true", "displayOrder": 0, "hidden": False},
    {"label": "No", "value": "false", "displayOrder": 1, "hidden": False},
]
NOTHING_WRITTEN = "HubSpot answered with a success and wrote nothing"
NO_CONTACT = "HubSpot has no such contact"
CREATES = "every user whom HubSpot does not have becomes a contact there; `update_only: true` creates none"
#: Seconds to wait once the daily quota is used up: longer than a run waits, so that a later run sends the rest.
DAILY_WAIT = 3_600.0
#: The form of an e-mail address. HubSpot refuses a whole request for one that has another.
ADDRESS = r"[^@\s]+@[^@\s]+\.[^@\s]+"
#: The full name of a custom event.
EVENT_NAME = re.compile(r"pe\d+_.+")


class HubSpotOptions(FieldsOptions):
    paths = ("/crm/v3", "/events/v3")

    type: Literal["hubspot"] = Field("hubspot", description="Contacts of HubSpot's CRM.")
    token: Key = Field(
        description="The token of a private app, from Settings > Integrations > Private Apps in HubSpot, best as "
        "`${HUBSPOT_TOKEN}`."
    )
    id_property: str = Field(
        "email", description="The property that a user id is: `email`, or one that was created with unique values."
    )
    update_only: bool = Field(False, description="Create no contacts: a call for an unknown user is refused.")
    property_group: str = Field("contactinformation", description="The group of the properties that are created.")
    rate_limit: Rate | None = Field(10.0, description="Maximum number of requests per second, minute or hour.")

    @property
    def known_by(self) -> str:
        return self.user_id or ("email" if self.id_property == "email" else USER_ID)

    @property
    def id_kind(self) -> str:
        return "" if self.id_property == "email" else self.id_property

    @model_validator(mode="after")
    def _events_by_full_name(self) -> Self:
        if self.events and self.id_property != "email":
            raise ValueError("HubSpot's events name a contact by e-mail: `events` needs `id_property: email`")
        if self.events and not all(map(EVENT_NAME.fullmatch, (self.events.entered, self.events.exited))):
            raise ValueError(
                "HubSpot's events have full names such as `pe123456_entered`: define both there, and set "
                "`events: {entered: ..., exited: ...}`"
            )
        return self


class HubSpotDestination(FieldsDestination):
    Options = HubSpotOptions
    options: HubSpotOptions
    deletion = "delete the contact in HubSpot (permanently, for the GDPR)"
    hosts: ClassVar[Mapping[str, str]] = {"": "https://api.hubapi.com"}
    bounds = ItemLimits(
        service="HubSpot",
        message_bytes=1_000_000,
        name_characters=100,
        text_characters=65_536,
        name_pattern="[a-z][a-z0-9_]*",
        reserved=frozenset({"hs_object_id", "createdate", "lastmodifieddate"}),
    )
    types = ValueTypes(as_text=True, null="empty", dates="milliseconds")
    names: ClassVar[Mapping[str, str]] = {"firstName": "firstname", "lastName": "lastname"}
    batch_messages = 100
    batch_bytes = 3_000_000
    statuses = StatusTable(dict.fromkeys((409, 423, 477), Meaning.RETRY))
    body_rules = (
        BodyRule(
            status=400,
            pointer="/category",
            pattern="^(INVALID_AUTHENTICATION|EXPIRED_AUTHENTICATION|MISSING_SCOPES)$",
            meaning=Meaning.STOP,
            hint="the token is not accepted, or lacks a scope. Correct `destinations.NAME.token`",
        ),
        BodyRule(
            status=404,
            pointer="/category",
            pattern="^OBJECT_NOT_FOUND$",
            meaning=Meaning.REFUSED,
            hint=NO_CONTACT,
        ),
        BodyRule(
            status=400,
            pointer="",
            pattern="PROPERTY_DOESNT_EXIST|[Pp]roperty .* does not exist",
            meaning=Meaning.STOP,
            hint="a property does not exist. Create it in HubSpot, or let the next run do so by "
            "`destinations.NAME.create_fields: true`",
        ),
        BodyRule(
            status=400,
            pointer="",
            pattern="(?i)non-unique",
            meaning=Meaning.STOP,
            hint="`destinations.NAME.id_property` names a property without unique values",
        ),
        BodyRule(
            status=429,
            pointer="/policyName",
            pattern="DAILY",
            meaning=Meaning.SLOW_DOWN,
            hint="the account's daily quota is used up until midnight in its time zone",
            wait=DAILY_WAIT,
        ),
        BodyRule(
            status=429,
            pointer="/policyName",
            pattern="TEN_SECONDLY",
            meaning=Meaning.SLOW_DOWN,
            hint="rate limited: too many requests in 10 s",
            wait=10,
        ),
    )
    profile_fields = frozenset(
        {"email", "firstname", "lastname", "phone", "mobilephone", "company", "website", "address", "city", "state"}
        | {"zip", "country", "jobtitle", "lifecyclestage", "createdate", "lastmodifieddate", "hsobjectid", "industry"}
        | {"annualrevenue", "numemployees", "salutation", "fax", "notes", "message"}
    )
    remarks: tuple[str, ...] = (
        "every property has to exist in HubSpot: `create_fields: true` creates those that do not",
        "contacts can't be merged by user id: previous ids are not sent",
    )

    def __init__(self, options: HubSpotOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        if not options.update_only:
            self.remarks = (*self.remarks, CREATES)
        self._contacts = f"/crm/v3/objects/contacts/batch/{'update' if options.update_only else 'upsert'}"

    @property
    def own_values(self) -> frozenset[str]:
        return super().own_values | {self.options.id_property}

    @property
    def credentials(self) -> Mapping[str, str]:
        return bearer(self.options.token)

    @property
    def address(self) -> str:
        return self.base_url + self._contacts

    @property
    def item(self) -> Item:
        id_property = f',"idProperty":{json_text(self.options.id_property)},"objectWriteTraceId":'
        return ('{"id":', Part.USER, id_property, Part.MESSAGE_ID, ',"properties":', Part.TRAITS, "}")

    def check_user(self, user_id: str) -> None:
        super().check_user(user_id)
        if self.options.id_property != "email" or re.fullmatch(ADDRESS, user_id):
            return
        if self.options.known_by == USER_ID:
            raise UnsendableError(
                "the user id is not an e-mail address: set `id_property` to the property that has the user ids"
            )
        raise UnsendableError(
            f"the user's {self.options.known_by} is not an e-mail address, by which HubSpot knows contacts"
        )

    def user_conditions(self) -> Sequence[str]:
        return (f"regexp_full_match(user_id, '{ADDRESS}')",) if self.options.id_property == "email" else ()

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        """Return a custom event: its definition has to exist, with the property ``audience_key``."""
        body = {
            "eventName": self.event_name(event),
            "email": user_id,
            "occurredAt": event.timestamp,
            "uuid": message_uuid(event.message_id),
            "properties": {"audience_key": event.key},
        }
        return self.event(user_id, event, body)

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        """Put a contact that is named twice into another request: HubSpot refuses a request with both."""
        parts: list[Sequence[Message]] = []
        for group in split_kinds(messages, events_apart=True):
            if isinstance(group[0], Event):
                parts.append(group)
                continue
            rounds: list[dict[bytes, Message]] = [{}]
            for message in group:
                contact = message.body[: message.body.find(b',"idProperty"')].lower()
                free = next((each for each in rounds if contact not in each), None)
                if free is None:
                    free = {}
                    rounds.append(free)
                free[contact] = message
            parts += [list(each.values()) for each in rounds]
        return [part for group in parts for part in divide(group, self.batch_messages)]

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        path = "/events/v3/send/batch" if isinstance(messages[0], Event) else self._contacts
        return self.post(path, b'{"inputs":' + json_list(messages) + b"}")

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        """Return the contacts that an answer names: by our message id or, where none exists, by their own id."""
        errors = list(objects_at(body, "/errors"))
        by_id = [(each, _reason(error)) for error in errors for each in values_at(error, "/context/ids")]
        by_trace = [
            (each, _reason(error)) for error in errors for each in values_at(error, "/context/objectWriteTraceId")
        ]
        return {
            **reasons_by_identifier(messages, "/id", by_id, ignores_case=True),
            **reasons_by_identifier(messages, "/objectWriteTraceId", by_trace),
        }

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        """Judge; a success that does not account for every contact is a refusal, which is halved."""
        judgement = super().judge(answer, messages)
        if judgement.meaning is Meaning.SLOW_DOWN and judgement.retry_after is None:
            wait = _wait_seconds(answer)
            return replace(judgement, retry_after=wait, has_own_wait=wait == DAILY_WAIT)
        if judgement.meaning is not Meaning.DELIVERED or not messages or isinstance(messages[0], Event):
            return judgement
        results = value_at(parsed_body(answer), "/results")
        written = len(results) if isinstance(results, list) else 0
        if written + len(judgement.refused) >= len(messages):
            return judgement
        reason = f"{written} of {len(messages)} contacts were written" if written else NOTHING_WRITTEN
        return replace(judgement, meaning=Meaning.REFUSED, reason=status_reason(answer.status or 0, reason))

    def fields_request(self) -> HttpRequest:
        return self.post(PROPERTIES, b"", method="GET")

    def field_names(self, body: Any) -> Collection[str] | None:
        found = {str(each.get("name")) for each in objects_at(body, "/results")}
        return found if isinstance(value_at(body, "/results"), list) else None

    def own_fields(self) -> Collection[str]:
        """Return the property of the user id; ``email`` is in every account."""
        return [] if self.options.id_property == "email" else [self.options.id_property]

    def field_request(self, name: str, kind: FieldKind) -> HttpRequest:
        kind_type, field_type = PROPERTY_TYPES[kind]
        body: dict[str, Any] = {
            "name": name,
            "label": label(name),
            "groupName": self.options.property_group,
            "type": kind_type,
            "fieldType": field_type,
        }
        if kind is FieldKind.BOOLEAN:
            body["options"] = YES_NO
        if name == self.options.id_property:
            body["hasUniqueValue"] = True
        return self.post(PROPERTIES, orjson.dumps(body))


def _reason(error: Mapping[str, Any]) -> str:
    """Return the reason of an error of one contact."""
    if error.get("category") == "OBJECT_NOT_FOUND":
        return NO_CONTACT
    return str(error.get("message", ""))


def _wait_seconds(answer: Answer) -> float | None:
    """Return the seconds to wait that HubSpot's headers of a rate limit mean."""
    if answer.headers.get("x-hubspot-ratelimit-daily-remaining") == "0":
        return DAILY_WAIT
    text = answer.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
    return int(text) / 1_000 if text.isascii() and text.isdigit() else None


def label(name: str) -> str:
    """Return a label for people: ``total_revenue`` becomes ``Total revenue``; a short word is an abbreviation."""
    text = name.replace("_", " ")
    return text.upper() if len(text) <= 3 else text.capitalize()
