"""Send to Mixpanel by ``POST /engage``, and audience events by ``POST /import``."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from audience_sync.destinations.base import Audiencing, Event, HttpRequest, Meaning, Message
from audience_sync.destinations.http.option_types import Key
from audience_sync.destinations.json_api.answers import BodyRule, listed
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions, split_kinds
from audience_sync.destinations.json_api.ids import epoch_milliseconds, message_uuid
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_text
from audience_sync.model import AudienceEvent


class MixpanelOptions(JsonApiOptions):
    type: Literal["mixpanel"] = Field("mixpanel", description="Mixpanel's user profiles.")
    token: Key = Field(description="The project token, best as `${MIXPANEL_TOKEN}`.")
    region: Literal["us", "eu", "in"] = Field("us", description="The data residency of the project.")


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
        item_bytes=256_000,
        properties=2_000,
        user_bytes=255,
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
    body_rules = (
        BodyRule(
            status=2,
            pointer="",
            pattern="^0$",
            meaning=Meaning.REFUSED,
            hint="Mixpanel accepted no update of the batch",
        ),
        BodyRule(
            status=2,
            pointer="/status",
            pattern="^0$",
            meaning=Meaning.REFUSED,
            hint="Mixpanel accepted no update of the batch",
        ),
        BodyRule(
            status=400,
            pointer="/error",
            pattern="(?i)invalid (project )?token|token, missing or empty",
            meaning=Meaning.STOP,
            hint="the project token is not accepted. Correct `destinations.NAME.token`",
        ),
    )
    profile_fields = frozenset(
        {"email", "phone", "name", "firstname", "lastname", "avatar", "created", "createdat", "distinctid", "bucket"}
        | {"token", "mpfirsteventtime"}
    )
    remarks = (
        "Mixpanel answers 200 to a wrong token or region: look for the first call in Mixpanel's Users",
        "profiles can't be merged by this API: previous ids are not sent",
    )

    def __init__(self, options: MixpanelOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        key = options.token.get_secret_value()
        basic = b64encode(f"{key}:".encode()).decode()
        self._who = f'{{"$token":{json_text(key)},"$distinct_id":'
        self._headers = {"Authorization": f"Basic {basic}"}
        self._secrets = (*about.secrets, key, basic)

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

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        return split_kinds(messages, events_apart=True)

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        body = b"[" + b",".join(message.body for message in messages) + b"]"
        if isinstance(messages[0], Event):
            return self.post("/import?strict=1", body, self._headers)
        return self.post("/engage?strict=1&verbose=1&ip=0", body, {})

    def item_errors(self, body: Any, messages: Sequence[Message]) -> Mapping[int, str]:
        """Return those of ``failed_records`` (by index), as of ``/import``; the rest of the batch is accepted."""
        return {
            each["index"]: f"{each.get('field', '')}: {each.get('message', '')}"
            for each in listed(body, "/failed_records")
            if isinstance(each.get("index"), int)
        }
