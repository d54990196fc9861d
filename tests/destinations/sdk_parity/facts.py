"""The facts that an SDK and audience-sync send to a vendor. Both environments import them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: 2026-11-23 20:51:29.084 in UTC.
TIMESTAMP = "2026-11-23T20:51:29.084Z"
MILLISECONDS = 1795467089084
#: The keys of ``destinations.vendors``.
KEYS = {
    "amplitude": "invented-key",
    "customerio": "api_key",
    "hubspot": "invented-token",
    "mixpanel": "invented-token",
    "posthog": "phc_invented",
}
ANA = "ana@example.com"
MIXPANEL_SECRET = "invented-secret"
#: Names of events as HubSpot requires them.
ENTERED_NAME = "pe123456_entered"
EXITED_NAME = "pe123456_exited"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Properties of users, an audience event of a user (``event``), or the previous id of a user."""

    name: str
    users: tuple[str, ...] = (ANA,)
    traits: Mapping[str, Any] = field(default_factory=dict)
    event: str = ""
    previous_id: str = ""

    @property
    def entered(self) -> bool:
        return self.event == ENTERED_NAME

    @property
    def event_properties(self) -> dict[str, Any]:
        return {"audience_key": "vip", "vip": self.entered}


ENTERED = Fact(name="an entry", traits={"vip": True})
EXITED = Fact(name="an exit", traits={"vip": False})
PROPERTIES = Fact(
    name="values",
    traits={
        "plan": "pro",
        "total_revenue": 120.5,
        "visits": 3,
        "city": "Łódź",
        "last_order_at": "2026-11-20T10:00:00Z",
    },
)
UNSET = Fact(name="a value that was lost", traits={"plan": None})
SET_AND_UNSET = Fact(name="an entry with a value that was lost", traits={"vip": True, "plan": None})
BATCH = Fact(name="three users", users=(ANA, "ben@example.com", "o'hara+1@example.com"), traits={"vip": True})
ENTERED_EVENT = Fact(name="an entered event", event=ENTERED_NAME)
EXITED_EVENT = Fact(name="an exited event", event=EXITED_NAME)
ALIAS = Fact(name="a previous id", previous_id="anon-1")

IDENTIFIES = (ENTERED, EXITED, PROPERTIES, UNSET, SET_AND_UNSET, BATCH)
EVENTS = (ENTERED_EVENT, EXITED_EVENT)
#: What each vendor's destination can send.
FACTS: Mapping[str, tuple[Fact, ...]] = {
    "amplitude": (*IDENTIFIES, *EVENTS),
    "customerio": (*IDENTIFIES, *EVENTS, ALIAS),
    "hubspot": (*IDENTIFIES, *EVENTS),
    "mixpanel": (*IDENTIFIES, *EVENTS, ALIAS),
    "posthog": (*IDENTIFIES, *EVENTS, ALIAS),
}
#: How a server answers each vendor's client, so that it accepts the call.
ANSWERS: Mapping[str, Any] = {
    "amplitude": {"code": 200, "events_ingested": 3, "payload_size_bytes": 100, "server_upload_time": 1795467089084},
    "customerio": {},
    "hubspot": {
        "status": "COMPLETE",
        "startedAt": TIMESTAMP,
        "completedAt": TIMESTAMP,
        "results": [
            {
                "id": "1",
                "properties": {},
                "createdAt": TIMESTAMP,
                "updatedAt": TIMESTAMP,
                "archived": False,
                "new": True,
            }
        ]
        * 3,
    },
    "mixpanel": {"status": 1, "error": None},
    "posthog": {"status": "Ok"},
}


def slug(fact: Fact) -> str:
    """Return the part of a URL that names a fact."""
    return fact.name.replace(" ", "-")
