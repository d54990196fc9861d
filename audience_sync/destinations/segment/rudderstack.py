"""Send to RudderStack's gateway: Segment's protocol with its own limits and answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from audience_sync.config.sections.http_options import Key
from audience_sync.destinations.http.statuses import StatusTable
from audience_sync.destinations.messages.split import MessageLimits
from audience_sync.destinations.segment.tracking_api import TrackingDestination, TrackingOptions, TrackingUrl

DISABLED = "the source is switched off in RudderStack, or nothing accepts calls at this address. Check both"


class RudderStackOptions(TrackingOptions):
    type: Literal["rudderstack"] = Field("rudderstack", description="RudderStack's HTTP API.")
    write_key: Key = Field(description="The write key of the source, best as `${RUDDERSTACK_WRITE_KEY}`.")
    url: TrackingUrl = Field(
        description="The data plane; it has no default, every account has its own.",
        examples=["https://example.dataplane.rudderstack.com"],
    )


class RudderStackDestination(TrackingDestination):
    """The key is sent as basic authorisation only, because the gateway reads that header.

    One invalid call fails its whole batch with a 400 that does not name the call. So 400 and 413 are refusals, and the
    batch is halved until the call is found. Source of limits and answers: rudder-server, gateway/response/response.go
    and gateway/handle.go.
    """

    Options = RudderStackOptions
    deletion = (
        "RudderStack deletes users by regulation (suppress_with_delete): by its User Suppression API, at those of its "
        "own destinations that the regulation names"
    )
    options: RudderStackOptions
    bounds = MessageLimits("RudderStack", message_bytes=32_768)
    batch_bytes = 4_000_000
    #: RudderStack documents no number; this is Segment's. Finding one refused call in so many needs 24 requests at
    #: most.
    batch_messages = 2_500
    statuses = StatusTable(hints={404: DISABLED})
