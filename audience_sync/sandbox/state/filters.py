"""Define the filters of calls and of users, and read them from an address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from audience_sync.sandbox.fields import number_of
from audience_sync.web.errors import WrongQueryError

#: The most filters of a kind in one address.
MOST_FILTERS = 20
#: The fields of the feed's filter.
FEED_FIELDS = ("destination", "user", "property", "value", "type", "answer", "problem")


class Comparison(StrEnum):
    """How a property is compared, by the word in the address."""

    IS = "is"
    IS_NOT = "is_not"
    GREATER = "greater"
    AT_LEAST = "at_least"
    LESS = "less"
    AT_MOST = "at_most"
    CONTAINS = "contains"
    CONTAINS_NOT = "contains_not"
    EXISTS = "exists"
    MISSING = "missing"


WORDS = {
    Comparison.IS: "is",
    Comparison.IS_NOT: "is not",
    Comparison.GREATER: "is greater than",
    Comparison.AT_LEAST: "is at least",
    Comparison.LESS: "is less than",
    Comparison.AT_MOST: "is at most",
    Comparison.CONTAINS: "contains",
    Comparison.CONTAINS_NOT: "does not contain",
    Comparison.EXISTS: "exists",
    Comparison.MISSING: "does not exist",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls the feed shows. ``before``: only those with a smaller number; ``after``: only with a larger one."""

    destination: str = ""
    user: str = ""
    property: str = ""
    value: str = ""
    type: str = ""
    answer: str = ""
    problem: str = ""
    before: int | None = None
    after: int | None = None

    def fields(self) -> dict[str, str]:
        """The fields of the address, without the part of the feed that is shown."""
        return {name: value for name in FEED_FIELDS if (value := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """A property and how its value is compared. ``value`` is JSON, or else a text: ``true``, ``12``, ``pro``."""

    property: str
    comparison: Comparison = Comparison.IS
    value: str = "true"

    def words(self) -> str:
        """``vip is true``."""
        has_value = self.comparison not in (Comparison.EXISTS, Comparison.MISSING)
        return " ".join([self.property, WORDS[self.comparison], *([self.value] if has_value else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Whether a user did an event, in the last ``days`` (None: ever), with a property if there is a ``where``."""

    event: str
    did: bool = True
    days: int | None = 7
    where: PropertyFilter | None = None

    def words(self) -> str:
        """``did Order Completed in the last 7 days``."""
        when = "ever" if self.days is None else f"in the last {self.days} days" if self.days > 1 else "in the last day"
        where = f" where {self.where.words()}" if self.where else ""
        return f"{'did' if self.did else 'did not do'} {self.event}{where} {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Which users are shown. ``any``: one of the filters by property or event is enough; otherwise all have to hold."""

    destination: str = ""
    id_part: str = ""
    properties: tuple[PropertyFilter, ...] = ()
    events: tuple[EventFilter, ...] = ()
    any: bool = False

    def words(self) -> str:
        """``vip is true and did Order Completed in the last 7 days``."""
        words = [*(each.words() for each in self.properties), *(each.words() for each in self.events)]
        return (" or " if self.any else " and ").join(words)


def read_user_filter(fields: Mapping[str, str]) -> UserFilter:
    """Read the filter of an address: ``property``, ``is`` and ``value``, then ``property2``, ``is2`` and so on.

    Raises WrongQueryError.
    """
    return UserFilter(
        destination=fields.get("destination", ""),
        id_part=fields.get("id", ""),
        properties=tuple(
            _property_filter(fields, f"property{number}", f"is{number}", f"value{number}")
            for number in _numbers(fields, "property")
        ),
        events=tuple(_event_filter(fields, number) for number in _numbers(fields, "event")),
        any=fields.get("match", "all") == "any",
    )


def _numbers(fields: Mapping[str, str], name: str) -> list[str]:
    """Return the numbers of the fields that are called ``name`` and are not empty; the first has none."""
    found = [match[1] for field, value in fields.items() if value and (match := re.fullmatch(rf"{name}(\d*)", field))]
    if len(found) > MOST_FILTERS:
        raise WrongQueryError(f"There are {len(found)} fields `{name}`: {MOST_FILTERS} are the most.")
    return sorted(found, key=lambda number: (len(number), number))


def _property_filter(fields: Mapping[str, str], name: str, comparison: str, value: str) -> PropertyFilter:
    word = fields.get(comparison) or Comparison.IS
    if word not in tuple(Comparison):
        raise WrongQueryError(f"`{comparison}` is {word[:40]!r}: it has to be one of {', '.join(Comparison)}.")
    return PropertyFilter(fields[name], Comparison(word), fields.get(value, "true") or '""')


def _event_filter(fields: Mapping[str, str], number: str) -> EventFilter:
    days = fields.get(f"days{number}", "").strip() or "7"
    names = (f"event_property{number}", f"event_is{number}", f"event_value{number}")
    return EventFilter(
        event=fields[f"event{number}"],
        did=fields.get(f"did{number}", "did") != "did_not",
        days=None if days == "ever" else number_of(f"days{number}", days, 1, 3_650),
        where=_property_filter(fields, *names) if fields.get(names[0]) else None,
    )


def literal(text: str) -> Any:
    """Return the value that a text means: JSON, or else the text. An integer over 64 bits is a float, as in SQLite."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    is_large = isinstance(found, int) and not isinstance(found, bool) and not -(2**63) <= found < 2**63
    return float(found) if is_large else found
