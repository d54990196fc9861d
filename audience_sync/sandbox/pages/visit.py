"""Define what a page gets (the open file, the address) and what it gives (a template and its values)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audience_sync.sandbox.answers import Plan
from audience_sync.sandbox.fields import number_of
from audience_sync.sandbox.state.filters import FEED_FIELDS, CallFilter
from audience_sync.sandbox.state.read import Reader

#: The largest number in an address.
LARGEST = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What every page has. ``address``: without a slash at its end. ``keep``: how many calls are kept in full."""

    address: str
    file: str
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request for a page. ``now``: seconds since 1970. ``plans``: the planned answers."""

    reader: Reader
    site: Site
    now: float
    query: Mapping[str, str] = field(default_factory=dict)
    plans: Sequence[Plan] = ()

    def text(self, name: str, default: str = "") -> str:
        """A value of the address; an empty one counts as missing."""
        return self.query.get(name) or default

    def number(self, name: str) -> int | None:
        """A whole number of the address; None without one. Raises WrongQueryError."""
        return number_of(name, text, 0, LARGEST) if (text := self.text(name).strip()) else None

    def call_filter(self) -> CallFilter:
        """The filter of the feed. Raises WrongQueryError."""
        values: dict[str, Any] = {name: self.text(name) for name in FEED_FIELDS}
        return CallFilter(**values, before=self.number("before"))


@dataclass(frozen=True, slots=True)
class Page:
    """A template with its values."""

    template: str
    context: Mapping[str, Any]
