"""Send a vendor's facts by audience-sync's destination and transport: ``send_facts VENDOR URL``.

The base URL of a request names the fact.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from audience_sync.destinations.base import HttpDestination, Meaning, Message
from audience_sync.model import Alias, AudienceEvent, IdentifyCall, UserId
from destinations.sdk_parity.facts import ENTERED_NAME, EXITED_NAME, FACTS, MIXPANEL_SECRET, TIMESTAMP, Fact, slug
from destinations.vendors import vendor

#: Options without which a fact can't be sent.
OPTIONS: Mapping[str, Mapping[str, Any]] = {"mixpanel": {"api_secret": MIXPANEL_SECRET}}
EVENT_NAMES = {"entered": ENTERED_NAME, "exited": EXITED_NAME}


def messages_of(destination: HttpDestination, fact: Fact) -> list[Message]:
    (user, *_) = fact.users
    if fact.event:
        return [destination.encode_event(user, AudienceEvent("vip", fact.entered, "m-1", TIMESTAMP))]
    if fact.previous_id:
        return [destination.encode_alias(user, Alias(UserId(fact.previous_id), "m-1", TIMESTAMP))]
    traits = json.dumps(fact.traits, ensure_ascii=False, separators=(",", ":"))
    calls = [IdentifyCall(UserId(each), traits, f"m-{number}", TIMESTAMP) for number, each in enumerate(fact.users)]
    return [message for call in calls for message in destination.encode(call)]


def main(name: str, url: str) -> int:
    for fact in FACTS[name]:
        destination = vendor(name, url=f"{url}/{slug(fact)}", events=EVENT_NAMES, **OPTIONS.get(name, {}))
        transport = destination.open()
        for part in destination.parts(messages_of(destination, fact)):
            judgement = transport.send(part)
            assert judgement.meaning is Meaning.DELIVERED, (name, fact.name, judgement)
        transport.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
