"""Fakes of the vendors: pure functions that keep an account's state, and fail as the vendors' documents describe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import amplitude, braze, customerio, hubspot, iterable, mixpanel, onesignal, posthog
from .state import Properties, State, Vendor

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def from_text(value: Any) -> Any:
    """The value that a vendor keeps as a text."""
    if value in ("true", "false") or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        return json.loads(value)
    return value


@dataclass(frozen=True, kw_only=True)
class Fake:
    """A vendor's fake, the key of its accounts, and the options of a destination at it.

    ``value``: a stored value in the snapshots' type. ``names``: standard traits by the vendor's name.
    """

    answer: Vendor
    key: str
    options: Mapping[str, Any]
    value: Callable[[Any], Any] = lambda value: value
    names: Mapping[str, str] = field(default_factory=dict)

    def users(self, state: State) -> dict[str, Properties]:
        """The users' properties, in the snapshots' types and names."""
        return {
            user: {self.names.get(name, name): self.value(value) for name, value in properties.items()}
            for user, properties in state.users.items()
        }

    def destination(self, vendor: str, url: str, **options: Any) -> dict[str, Any]:
        """The config of a destination whose fake is at this address."""
        return {"type": vendor, **self.options, "rate_limit": "1000/s", "url": url, **options}


TOKEN = "0123456789abcdef0123456789abcdef"
FAKES: Mapping[str, Fake] = {
    "amplitude": Fake(answer=amplitude.answer, key="key-1a2b3c", options={"api_key": "key-1a2b3c"}),
    "braze": Fake(answer=braze.answer, key="key-1a2b3c", options={"api_key": "key-1a2b3c"}),
    "customerio": Fake(
        answer=customerio.answer,
        key="site-1a2b3c:key-1a2b3c",
        options={"site_id": "site-1a2b3c", "api_key": "key-1a2b3c"},
    ),
    "hubspot": Fake(
        answer=hubspot.answer,
        key="pat-1a2b3c",
        options={"token": "pat-1a2b3c", "id_property": "customer_id", "create_fields": True},
        value=from_text,
    ),
    "iterable": Fake(answer=iterable.answer, key="key-1a2b3c", options={"api_key": "key-1a2b3c"}),
    "mixpanel": Fake(
        answer=mixpanel.answer,
        key=TOKEN,
        options={"token": TOKEN, "api_secret": mixpanel.SECRET},
        names={"$email": "email"},
    ),
    "onesignal": Fake(
        answer=onesignal.answer, key="key-1a2b3c", options={"app_id": "app-1", "api_key": "key-1a2b3c"}, value=from_text
    ),
    "posthog": Fake(answer=posthog.answer, key="phc_1a2b3c", options={"api_key": "phc_1a2b3c"}),
}
