"""Turn the filters of a campaign into conditions of SQL: a property, an event, and a property of that event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from audience_sync.web.errors import WrongQueryError

DAY = 86_400


class Comparison(StrEnum):
    """How a property is compared, by the word in the address."""

    IS = "is"
    IS_NOT = "is_not"
    EXISTS = "exists"
    MISSING = "missing"
    GREATER = "greater"
    LESS = "less"
    CONTAINS = "contains"


WORDS = {
    Comparison.IS: "is",
    Comparison.IS_NOT: "is not",
    Comparison.EXISTS: "exists",
    Comparison.MISSING: "does not exist",
    Comparison.GREATER: "is greater than",
    Comparison.LESS: "is less than",
    Comparison.CONTAINS: "contains",
}


class Condition(NamedTuple):
    """SQL with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


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
    """Which users are shown: all conditions hold. An empty text does not count."""

    destination: str = ""
    text: str = ""
    by_properties: tuple[PropertyFilter, ...] = ()
    by_event: EventFilter | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.destination or self.text or self.by_properties or self.by_event)


def read_user_filter(fields: Mapping[str, str]) -> UserFilter:
    """Read the filter of an address. Raises WrongQueryError."""
    where = _property(fields, "event_property", "event_is", "event_value")
    event = fields.get("event", "")
    days = fields.get("days", "").strip() or "7"
    return UserFilter(
        destination=fields.get("destination", ""),
        text=fields.get("id", ""),
        by_properties=tuple(found for each in ("", "2") if (found := _property(fields, *_names(each)))),
        by_event=EventFilter(
            event=event,
            did=fields.get("did", "did") != "did_not",
            days=None if days == "ever" else days_of(days),
            where=where,
        )
        if event
        else None,
    )


def _names(number: str) -> tuple[str, str, str]:
    """Return the fields of a property's filter: ``property2``, ``is2``, ``value2``."""
    return f"property{number}", f"is{number}", f"value{number}"


def days_of(text: str) -> int:
    """Return a number of days, from 1 to 3,650. Raises WrongQueryError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 3_650:
        raise WrongQueryError(f"`days` is {text!r}: it has to be a number from 1 to 3,650, or `ever`.")
    return int(text)


def _property(fields: Mapping[str, str], name: str, comparison: str, value: str) -> PropertyFilter | None:
    if not (found := fields.get(name, "")):
        return None
    word = fields.get(comparison, "") or "is"
    try:
        return PropertyFilter(found, Comparison(word), fields.get(value, "true"))
    except ValueError:
        known = ", ".join(Comparison)
        raise WrongQueryError(f"`{comparison}` is {word!r}: it has to be one of {known}.") from None


def user_condition(chosen: UserFilter, now: float) -> Condition:
    """Return the condition on ``users u``. ``now``: seconds since 1970."""
    parts = [Condition("1")]
    if chosen.destination:
        parts.append(Condition("u.destination = ?", (chosen.destination,)))
    if chosen.text:
        parts.append(Condition("instr(u.user_id, ?) > 0", (chosen.text,)))
    parts += [property_condition("u.properties", each, "[0]") for each in chosen.by_properties]
    if chosen.by_event:
        parts.append(_event_condition(chosen.by_event, now))
    return Condition(
        " and ".join(each.sql for each in parts), tuple(value for each in parts for value in each.parameters)
    )


def _event_condition(chosen: EventFilter, now: float) -> Condition:
    since = 0 if chosen.days is None else now - chosen.days * DAY
    of_user = "e.destination = u.destination and e.user_id = u.user_id and e.event = ?"
    if chosen.where is None:
        inner = Condition(f"select 1 from user_events e where {of_user} and e.last_at >= ?", (chosen.event, since))
    else:
        where = property_condition("e.properties", chosen.where)
        sql = f"select 1 from events e where {of_user} and e.at >= ? and {where.sql}"
        inner = Condition(sql, (chosen.event, since, *where.parameters))
    return Condition(f"{'' if chosen.did else 'not '}exists ({inner.sql})", inner.parameters)


def property_condition(column: str, chosen: PropertyFilter, within: str = "") -> Condition:
    """Return the condition on a JSON object in a column. ``within``: the path of the value below the member.

    A property that does not exist *is not* any value.
    """
    source, path, before = member(column, chosen.property)
    path += within
    kind, value = f"json_type({source}, ?)", f"json_extract({source}, ?)"
    at = (*before, path)
    match chosen.comparison:
        case Comparison.EXISTS:
            return Condition(f"coalesce({kind}, 'null') <> 'null'", at)
        case Comparison.MISSING:
            return Condition(f"coalesce({kind}, 'null') = 'null'", at)
        case Comparison.IS:
            return _is(kind, value, at, literal(chosen.value))
        case Comparison.IS_NOT:
            found = _is(kind, value, at, literal(chosen.value))
            return Condition(f"not coalesce({found.sql}, 0)", found.parameters)
        case Comparison.CONTAINS:
            text = chosen.value
            items = f"exists (select 1 from json_each({source}, ?) i where i.value = ?)"
            sql = f"(({kind} = 'text' and instr({value}, ?) > 0) or ({kind} = 'array' and {items}))"
            return Condition(sql, (*at, *at, text, *at, *at, text))
        case Comparison.GREATER | Comparison.LESS:
            sign = ">" if chosen.comparison is Comparison.GREATER else "<"
            limit = literal(chosen.value)
            is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
            kinds = "('integer', 'real')" if is_number else "('text')"
            compared = limit if is_number else chosen.value
            return Condition(f"({kind} in {kinds} and {value} {sign} ?)", (*at, *at, compared))


def _is(kind: str, value: str, at: tuple[Any, ...], wanted: Any) -> Condition:
    if wanted is None or isinstance(wanted, bool):
        word = {None: "null", True: "true", False: "false"}[wanted]
        return Condition(f"({kind} = '{word}')", at)
    if isinstance(wanted, str):
        return Condition(f"({kind} = 'text' and {value} = ?)", (*at, *at, wanted))
    if isinstance(wanted, int | float):
        return Condition(f"({kind} in ('integer', 'real') and {value} = ?)", (*at, *at, wanted))
    text = json.dumps(wanted, ensure_ascii=False, separators=(",", ":"))
    return Condition(f"({kind} in ('array', 'object') and {value} = ?)", (*at, *at, text))


def literal(text: str) -> Any:
    """Return the value that a text means: JSON, or else the text. A number over 64 bits is a text, too."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    is_large = isinstance(found, int) and not isinstance(found, bool) and not -(2**63) <= found < 2**63
    return text if is_large else found


def member(column: str, name: str) -> tuple[str, str, tuple[Any, ...]]:
    """Return a source, the path of a member in it, and the source's parameters.

    SQLite's paths have no escapes: a name that needs one is looked up by our own function ``member``.
    """
    if '"' in name or "\\" in name or not name.isprintable():
        return f"member({column}, ?)", "$", (name,)
    return column, f'$."{name}"', ()


def member_function(text: str, name: str) -> str | None:
    """The function ``member`` of SQL: the JSON of an object's member."""
    try:
        found = json.loads(text)
        return json.dumps(found[name]) if name in found else None
    except (ValueError, TypeError):
        return None
