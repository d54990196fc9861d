"""Write the destinations of a config that sends to the sandbox."""

from __future__ import annotations

from audience_sync.sandbox.keys import CONNECT_PAIRS, SEGMENT_KEY, WEBHOOK_SECRET

ADDRESS = "http://127.0.0.1:8790"
_DESTINATIONS = """\
# Where the identify calls go: to the sandbox, which stands in for the real services. Start it in another terminal:
#
#     audience-sync sandbox         and open {address}
#
# Its keys are the same everywhere and protect nothing. While it is not running, a run waits for `give_up_after`.
destinations:
  segment:
    type: segment
    url: {address}
    write_key: {tracking}
    give_up_after: 30s
  connect:
    type: zendesk_connect
    url: {address}
    private_key: {connect}
    events: true                               # also an event for each user who enters or leaves later
    give_up_after: 30s
  webhook:
    type: webhook
    url: {address}/hooks/identify
    body: batch
    secret: {webhook}
    give_up_after: 30s
"""


def sandbox_destinations(address: str = ADDRESS) -> str:
    """Return the section ``destinations`` with its comment."""
    return _DESTINATIONS.format(
        address=address, tracking=SEGMENT_KEY, connect=CONNECT_PAIRS[0].private, webhook=WEBHOOK_SECRET
    )
