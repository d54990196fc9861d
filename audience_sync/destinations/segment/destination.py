"""Send to Segment's HTTP tracking API, within its limits, with or without ``context.personas``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.base import Audiencing, Event, Meaning, Message
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.messages.identify import (
    json_bytes,
    message_tail,
    split_traits,
    track_bytes,
    with_context_traits,
)
from audience_sync.destinations.messages.split import MessageLimits, partial_message
from audience_sync.destinations.segment.personas import personas_context
from audience_sync.destinations.segment.tracking_api import (
    PROFILE_FIELDS,
    TrackingDestination,
    TrackingOptions,
    TrackingUrl,
)
from audience_sync.model import AudienceEvent, IdentifyCall


class SegmentOptions(TrackingOptions):
    type: Literal["segment"] = Field("segment", description="Segment's HTTP tracking API, or a compatible server.")
    write_key: Key = Field(description="The write key of the source, best as `${SEGMENT_WRITE_KEY}`.")
    url: TrackingUrl = Field(
        "https://api.segment.io",
        description="Where the API is; `https://events.eu1.segmentapis.com` for a workspace in the EU.",
    )
    envelope: Literal["plain", "personas"] = Field(
        "plain",
        description="`plain`: one message per user. `personas`: one per user and property, with "
        "`context.personas`, as destinations that take audiences need it.",
    )
    external_audience_ids: dict[str, str] = Field(
        default_factory=dict,
        description="With `envelope: personas`: the id of each audience at the destination behind Segment, by key.",
    )
    integrations: dict[str, JsonValue] | None = Field(
        None, description="Which destinations in Segment get the calls, such as `{All: false, Braze: true}`."
    )


class SegmentDestination(TrackingDestination):
    Options = SegmentOptions
    deletion = (
        "Segment deletes users by regulation (SUPPRESS_WITH_DELETE): in its Privacy Portal, or by its Public API; it "
        "asks its own destinations to delete, too, and does not guarantee that they do"
    )
    options: SegmentOptions
    #: Segment documents 32 KB, and its own clients use 32 KiB. It answers 200 to a larger message and drops it, and
    #: also drops an identify of 300 traits or more.
    bounds = MessageLimits("Segment", message_bytes=32_768, message_traits=299)
    batch_bytes = 500_000
    batch_messages = 2_500
    #: Like Segment's own clients; 400, 413 and 422 are final.
    statuses = StatusTable({410: Meaning.RETRY, 460: Meaning.RETRY})
    profile_fields = PROFILE_FIELDS | {"audiencekey", "traitkey"}  # fields of its audiences

    def __init__(self, options: SegmentOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self._end = b'],"writeKey":' + json_bytes(options.write_key.get_secret_value()) + b"}"
        self.places_identifiers = options.envelope == "personas"
        self._tails: dict[tuple[str, bool], str] = {}
        self._keys = {name: key for key, name in options.rename.items()}

    def encode(self, call: IdentifyCall) -> list[Message]:
        if self.options.envelope == "plain":
            return super().encode(call)
        identifiers = split_traits(call.identifiers)
        messages = {}
        for key, value in split_traits(call.traits_json):
            tail = self._personas_tail(key, is_boolean=value in ("true", "false"))
            traits = [(key, value), *(pair for pair in identifiers if pair[0] != key)]
            messages[key] = partial_message(call, traits, with_context_traits(tail, call.identifiers))
        self.bounds.check_sizes({key: len(message.body) for key, message in messages.items()})
        return list(messages.values())

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        if self.options.envelope == "plain":
            return super().encode_event(user_id, event)
        tail = self._personas_tail(event.key, is_boolean=True)
        return Event(event.message_id, track_bytes(user_id, self.event_name(event), event, tail))

    def encode_sql(self) -> str | None:
        return super().encode_sql() if self.options.envelope == "plain" else None

    def _personas_tail(self, name: str, *, is_boolean: bool) -> str:
        """Return the end of a message about one property. It is cached, because it is the same for every user.

        A former name has no id there: the audience of that id has the present name.
        """
        tail = self._tails.get((name, is_boolean))
        if tail is None:
            key = self._keys.get(name, name)
            personas = personas_context(self.about, key, name=name, is_boolean=is_boolean)
            if key in self.options.external_audience_ids and self.options.rename.get(key, key) == name:
                personas["external_audience_id"] = self.options.external_audience_ids[key]
            tail = self._tails[name, is_boolean] = message_tail({"personas": personas}, self._more)
        return tail
