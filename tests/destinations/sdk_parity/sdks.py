"""Send a fact by a vendor's own SDK. In an environment with the SDKs (requirements.txt)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import amplitude
import customerio
import hubspot
import hubspot.crm.contacts
import hubspot.events.send
import mixpanel
import posthog
import requests

from destinations.sdk_parity.facts import KEYS, MILLISECONDS, MIXPANEL_SECRET, TIMESTAMP, Fact

MOMENT = datetime.fromisoformat(TIMESTAMP)


def send_by_amplitude(url: str, fact: Fact) -> None:
    config = amplitude.Config(
        server_url=f"{url}/2/httpapi",
        min_id_length=1,
        flush_interval_millis=500,
        event_log_level=amplitude.constants.EventLogLevel.NONE,
    )
    client = amplitude.Amplitude(KEYS["amplitude"], config)
    for user in fact.users:
        if fact.event:
            client.track(
                amplitude.BaseEvent(fact.event, user_id=user, time=MILLISECONDS, event_properties=fact.event_properties)
            )
            continue
        identify = amplitude.Identify()
        for name, value in fact.traits.items():
            if value is None:
                identify.unset(name)
            else:
                identify.set(name, value)
        client.identify(identify, amplitude.EventOptions(user_id=user, time=MILLISECONDS))
    for future in client.flush():
        future.result()
    client.shutdown()


class PlainAdapter(requests.adapters.HTTPAdapter):
    """Send to a recorder without TLS what a client sends to ``https://``."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


def send_by_customerio(url: str, fact: Fact) -> None:
    """Send users by ``batch`` (v2), one user's properties, an event and a merge by their own methods (v1)."""
    host, port = url.removeprefix("http://").split(":")
    client = customerio.CustomerIO("site_id", KEYS["customerio"], host=host, port=int(port))
    client.http.mount("https://", PlainAdapter())
    traits = {name: _moment(value) for name, value in fact.traits.items()}
    (user, *others) = fact.users
    if fact.event:
        client.track(user, fact.event, fact.event_properties, id="01KAS5F1MWX7", timestamp=MOMENT)
    elif fact.previous_id:
        client.merge_customers(customerio.constants.ID, user, customerio.constants.ID, fact.previous_id)
    elif others:
        client.batch(
            [
                {"type": "person", "action": "identify", "identifiers": {"id": each}, "attributes": traits}
                for each in fact.users
            ]
        )
    else:
        client.identify(user, **traits)
    client.close()


def send_by_hubspot(url: str, fact: Fact) -> None:
    client = hubspot.Client.create(access_token=KEYS["hubspot"], host=url)
    if fact.event:
        request = hubspot.events.send.BehavioralEventHttpCompletionRequest(
            event_name=fact.event,
            email=fact.users[0],
            occurred_at=MOMENT,
            properties={"audience_key": "vip"},
        )
        batch = hubspot.events.send.BatchedBehavioralEventHttpCompletionRequest(inputs=[request])
        client.events.send.batch_api.send(batch)
        return
    inputs = [
        hubspot.crm.contacts.SimplePublicObjectBatchInputUpsert(
            id=user,
            id_property="email",
            properties={name: _text(value) for name, value in fact.traits.items()},
        )
        for user in fact.users
    ]
    client.crm.contacts.batch_api.upsert(
        hubspot.crm.contacts.BatchInputSimplePublicObjectBatchInputUpsert(inputs=inputs)
    )


def send_by_mixpanel(url: str, fact: Fact) -> None:
    consumer = mixpanel.BufferedConsumer(people_url=f"{url}/engage", import_url=f"{url}/import")
    client = mixpanel.Mixpanel(KEYS["mixpanel"], consumer)
    for user in fact.users:
        if fact.event:
            client.import_data(None, user, fact.event, MILLISECONDS, fact.event_properties, api_secret=KEYS["mixpanel"])
            continue
        if fact.previous_id:
            client.merge(None, user, fact.previous_id, api_secret=MIXPANEL_SECRET)
            continue
        values = {name: value for name, value in fact.traits.items() if value is not None}
        if values:
            client.people_set(user, values, {"$ignore_time": True, "$ip": 0})
        if len(values) < len(fact.traits):
            client.people_unset(user, [name for name, value in fact.traits.items() if value is None])
    consumer.flush()


def send_by_posthog(url: str, fact: Fact) -> None:
    client = posthog.Posthog(KEYS["posthog"], host=url, flush_at=100, flush_interval=0.01)
    for user in fact.users:
        lost = [name for name, value in fact.traits.items() if value is None]
        values = {name: value for name, value in fact.traits.items() if value is not None}
        if fact.event:
            client.capture(fact.event, distinct_id=user, properties=fact.event_properties, timestamp=MOMENT)
        elif fact.previous_id:
            client.alias(fact.previous_id, user, timestamp=MOMENT)
        elif lost:
            properties = {"$unset": lost} | ({"$set": values} if values else {})
            client.capture("$set", distinct_id=user, properties=properties, timestamp=MOMENT)
        else:
            client.set(distinct_id=user, properties=values, timestamp=MOMENT)
    client.shutdown()


def _moment(value: Any) -> Any:
    is_date = isinstance(value, str) and value.startswith("2026-")
    return datetime.fromisoformat(value) if is_date else value


def _text(value: Any) -> str:
    """Return a value as HubSpot documents it for its type: a date in milliseconds since 1970."""
    value = _moment(value)
    if isinstance(value, datetime):
        return str(int(value.timestamp() * 1000))
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Sdk(NamedTuple):
    label: str
    package: str
    send: Callable[[str, Fact], None]


SDKS: Mapping[str, Sdk] = {
    "amplitude": Sdk("Amplitude", "amplitude-analytics", send_by_amplitude),
    "customerio": Sdk("Customer.io", "customerio", send_by_customerio),
    "hubspot": Sdk("HubSpot", "hubspot-api-client", send_by_hubspot),
    "mixpanel": Sdk("Mixpanel", "mixpanel", send_by_mixpanel),
    "posthog": Sdk("PostHog", "posthog", send_by_posthog),
}
