"""Turn filters into conditions of SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from audience_sync.sandbox.json_text import json_value, storable, written
from audience_sync.sandbox.state.filters import CallFilter, Comparison, EventFilter, PropertyFilter, UserFilter, literal

DAY = 86_400
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?", re.ASCII)
_SIGNS = {Comparison.GREATER: ">", Comparison.AT_LEAST: ">=", Comparison.LESS: "<", Comparison.AT_MOST: "<="}
_OPPOSITES = {
    Comparison.IS_NOT: Comparison.IS,
    Comparison.CONTAINS_NOT: Comparison.CONTAINS,
    Comparison.MISSING: Comparison.EXISTS,
}


class Condition(NamedTuple):
    """SQL with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def joined(conditions: Iterable[Condition], word: str = "and") -> Condition:
    """Return conditions as one; none of them hold for every row."""
    found = list(conditions) or [Condition("1")]
    sql = f" {word} ".join(each.sql for each in found)
    return Condition(f"({sql})", tuple(value for each in found for value in each.parameters))


def call_condition(chosen: CallFilter) -> Condition:
    """Return the condition on ``calls``."""
    parts = []
    if chosen.before is not None:
        parts.append(Condition("call < ?", (chosen.before,)))
    if chosen.after is not None:
        parts.append(Condition("call > ?", (chosen.after,)))
    for column, value in (("destination", chosen.destination), ("user_id", chosen.user), ("type", chosen.type)):
        if value:
            parts.append(Condition(f"{column} = ?", (value,)))
    if chosen.answer:
        is_status = re.fullmatch(r"\d{1,9}", chosen.answer, re.ASCII)
        parts.append(Condition("status = ?" if is_status else "outcome = ?", (chosen.answer,)))
    if chosen.problem:
        has_code = "exists (select 1 from json_each({}problems) p where json_extract(p.value, '$[0]') = ?)"
        in_request = f"exists (select 1 from requests r where r.request = calls.request and {has_code.format('r.')})"
        parts.append(Condition(f"({has_code.format('calls.')} or {in_request})", (chosen.problem, chosen.problem)))
    if chosen.property or chosen.value:
        inner = [Condition("json_extract(c.value, '$[0]') = ?", (chosen.property,))] if chosen.property else []
        if chosen.value:
            new = ("json_type(c.value, '$[3]')", "json_extract(c.value, '$[3]')")
            inner.append(_same(*new, literal(chosen.value)))
        change = joined(inner)
        parts.append(Condition(f"exists (select 1 from json_each(changes) c where {change.sql})", change.parameters))
    return joined(parts)


def user_condition(chosen: UserFilter, now: float) -> Condition:
    """Return the condition on ``users u``. ``now``: seconds since 1970."""
    parts = []
    if chosen.destination:
        parts.append(Condition("u.destination = ?", (chosen.destination,)))
    if chosen.id_part:
        parts.append(Condition("instr(u.user_id, ?) > 0", (chosen.id_part,)))
    filters = [property_condition("u.properties", each, "[0]") for each in chosen.properties]
    filters += [_event_condition(each, now) for each in chosen.events]
    return joined([*parts, joined(filters, "or" if chosen.any else "and")])


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

    A property that does not exist *is not* any value, and does not contain any. ``null`` does not exist.
    """
    if opposite := _OPPOSITES.get(chosen.comparison):
        found = property_condition(column, PropertyFilter(chosen.property, opposite, chosen.value), within)
        return Condition(f"not coalesce({found.sql}, 0)", found.parameters)
    source, path, before = member(column, chosen.property)
    at = (*before, path + within)
    test = _test(chosen)
    if chosen.comparison is Comparison.CONTAINS:
        item = _same("i.type", "i.value", literal(chosen.value))
        in_list = f"kind = 'array' and exists (select 1 from json_each({source}, ?) i where {item.sql})"
        test = Condition(f"{test.sql} or ({in_list})", (*test.parameters, *at, *item.parameters))
    value = f"select json_type({source}, ?) as kind, json_extract({source}, ?) as value"
    return Condition(f"(select {test.sql} from ({value}))", (*test.parameters, *at, *at))


def _test(chosen: PropertyFilter) -> Condition:
    """Return the condition on a value, whose JSON type is ``kind``."""
    wanted = literal(chosen.value)
    match chosen.comparison:
        case Comparison.EXISTS:
            return Condition("kind <> 'null'")
        case Comparison.CONTAINS:
            text = wanted if isinstance(wanted, str) else chosen.value
            return Condition("(kind = 'text' and instr(value, ?) > 0)", (text,))
        case Comparison.IS:
            return _same("kind", "value", wanted)
    sign = _SIGNS[chosen.comparison]
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return Condition(f"(kind in ('integer', 'real') and value {sign} ?)", (wanted,))
    text = wanted if isinstance(wanted, str) else chosen.value
    if _ISO_DATE.fullmatch(text):  # times of several zones are compared as moments
        is_date = "value glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
        return Condition(f"(kind = 'text' and {is_date} and julianday(value) {sign} julianday(?))", (text,))
    return Condition(f"(kind = 'text' and value {sign} ?)", (text,))


def _same(kind: str, value: str, wanted: Any) -> Condition:
    """Return whether a value is the same JSON: ``true`` is neither ``1`` nor ``"true"``."""
    if wanted is None or isinstance(wanted, bool):
        return Condition(f"({kind} = '{written(wanted)}')")
    if isinstance(wanted, str):
        return Condition(f"({kind} = 'text' and {value} = ?)", (wanted,))
    if isinstance(wanted, int | float):
        return Condition(f"({kind} in ('integer', 'real') and {value} = ?)", (wanted,))
    return Condition(f"({kind} in ('array', 'object') and {value} = ?)", (written(wanted),))


def member(column: str, name: str) -> tuple[str, str, tuple[Any, ...]]:
    """Return a source, the path of a member in it, and the source's parameters.

    SQLite's paths have no escapes: a name that needs one is looked up by our own function ``member``.
    """
    if '"' in name or "\\" in name or not name.isprintable():
        return f"member({column}, ?)", "$", (name,)
    return column, f'$."{name}"', ()


def member_function(text: str, name: str) -> str | None:
    """The function ``member`` of SQL: the JSON of an object's member."""
    found = {storable(key): value for key, value in json_value(text).items()}
    return written(found[name]) if name in found else None
