"""Send to PostHog by ``POST /batch/``: ``$set`` events, audience events and ``$create_alias``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import Audiencing, Event, HttpRequest, Meaning, Message
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.json_api.answers import BodyRule
from audience_sync.destinations.json_api.destination import JsonApiDestination, JsonApiOptions
from audience_sync.destinations.json_api.ids import message_uuid
from audience_sync.destinations.json_api.item import Item, Part
from audience_sync.destinations.json_api.limits import ItemLimits
from audience_sync.destinations.json_api.values import ValueTypes
from audience_sync.destinations.messages.identify import json_bytes, json_list
from audience_sync.model import Alias, AudienceEvent

#: The end of each event: without it PostHog would store the place of this server for the person.
SERVER = '"$geoip_disable":true,"$is_server":true}}'
GEOIP = "audience events store the place of this server for the person, unless GeoIP is off in the project"
WRONG_TOKEN = "the project token is not accepted: is it `phc_...`, and is `destinations.NAME.region` right?"
#: Ids that mean no user: PostHog merges no such person and may drop the event.
NO_USERS = frozenset(
    {"anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email", "undefined", "true"}
    | {"false", "[object object]", "nan", "none", "null", "0"}
)


class PostHogOptions(JsonApiOptions):
    paths = ("/batch", "/capture", "/i/v0")

    type: Literal["posthog"] = Field("posthog", description="PostHog's capture API, in the cloud or self-hosted.")
    api_key: Key = Field(
        description="The project token (`phc_...`), from Settings > Project > General in PostHog, best as "
        "`${POSTHOG_API_KEY}`."
    )
    region: Literal["us", "eu"] = Field("us", description="The region of the project; `url` for your own server.")


class PostHogDestination(JsonApiDestination):
    Options = PostHogOptions
    options: PostHogOptions
    deletion = "delete the person in PostHog (People), or by `DELETE /api/projects/{id}/persons/{id}`"
    hosts: ClassVar[Mapping[str, str]] = {"us": "https://us.i.posthog.com", "eu": "https://eu.i.posthog.com"}
    bounds = ItemLimits(
        service="PostHog", message_bytes=900_000, user_characters=200, no_users=NO_USERS, reserved_prefix="$"
    )
    types = ValueTypes(null="unset")
    batch_messages = 1_000
    batch_bytes = 5_000_000
    statuses = StatusTable(hints={401: WRONG_TOKEN})
    body_rules = (
        BodyRule(
            status=2,
            pointer="/quota_limited",
            pattern='"events"',
            meaning=Meaning.SLOW_DOWN,
            hint="the event quota of the project is used up, and PostHog dropped the batch. Raise its billing limit",
            wait=3_600,
        ),
        BodyRule(
            status=4,
            pointer="/code",
            pattern="invalid_api_key",
            meaning=Meaning.STOP,
            hint=WRONG_TOKEN,
        ),
        BodyRule(
            status=2,
            pointer="/status",
            pattern="^(0|[Ee]rror)$",
            meaning=Meaning.REFUSED,
            hint="PostHog accepted no event of the batch",
        ),
    )
    profile_fields = frozenset({"email", "name", "phone", "distinctid", "id", "groups"})
    has_alias = True
    remarks: tuple[str, ...] = (
        "persons are always created: PostHog drops properties that may not create a profile",
        "over the billing limit PostHog answers 200 and drops everything: watch its usage page",
        "older servers answer 200 to a wrong project token: look for the first call in PostHog's activity",
        "a batch is accepted as a whole; PostHog shows events that it drops as ingestion warnings only",
    )

    def __init__(self, options: PostHogOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        key = options.api_key.get_secret_value()
        self._begin = b'{"api_key":' + json_bytes(key) + b',"historical_migration":false,"batch":'
        if options.events:
            self.remarks = (*self.remarks, GEOIP)

    @property
    def own_values(self) -> frozenset[str]:
        return super().own_values | {"$set", "$create_alias"}

    @property
    def address(self) -> str:
        return f"{self.base_url}/batch/"

    def items(self, *, sets: bool, unsets: bool) -> Sequence[Item]:
        begin: Item = ('{"event":"$set","distinct_id":', Part.USER, ',"timestamp":', Part.TIME, ',"uuid":', Part.UUID)
        traits: Item = ('"$set":', Part.TRAITS, ",") if sets else ()
        unset: Item = ('"$unset":', Part.UNSET_NAMES, ",") if unsets else ()
        return [(*begin, ',"properties":{', *traits, *unset, SERVER)]

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        body = _event(self.event_name(event), user_id, event, self.event_properties(event))
        return self.event(user_id, event, body)

    def encode_alias(self, user_id: str, alias: Alias) -> Message:
        properties = {"distinct_id": alias.previous_id, "alias": user_id}
        merge = self.merge(user_id, alias, _event("$create_alias", alias.previous_id, alias, properties))
        return Message(*merge)  # it may share a request with the others

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        return self.post("/batch/", self._begin + json_list(messages) + b"}")


def _event(name: str, user_id: str, about: AudienceEvent | Alias, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "event": name,
        "distinct_id": user_id,
        "timestamp": about.timestamp,
        "uuid": message_uuid(about.message_id),
        "properties": properties,
    }
