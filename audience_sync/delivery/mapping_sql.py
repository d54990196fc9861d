"""Write the mapping of a destination in SQL, for the calls that DuckDB encodes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from audience_sync.delivery.hashing import PHONES
from audience_sync.delivery.mapping import DestinationMapping
from audience_sync.destinations.messages.identify import json_text
from audience_sync.sql import Condition, Query, quote_literal

#: Without escapes and nested objects, a quoted name before a colon is nothing but a key.
_FLAT = "not contains(traits, '\\') and not contains(substr(traits, 2), '{')"
#: The column of identifiers, and the same condition; they then have no list either.
_IDENTIFIERS = (
    "identifiers",
    "not contains(identifiers, '\\') and not contains(substr(identifiers, 2), '{') and not contains(identifiers, ':[')",
)
#: More texts of former names than this are left to Python.
MOST_FORMER = 16


def carries_sql(key: str) -> Condition:
    """Return whether a call carries a property, in SQL over its ``versions``."""
    return Condition(f"contains(',' || versions, {quote_literal(f',{key}@')})")


def mapped_calls(mapping: DestinationMapping, calls: Query, former: Sequence[str] = ()) -> Query:
    """Return a query for what a destination is sent of these calls: ``user_id`` and ``traits`` are its own.

    One of them is NULL in a call that only ``DestinationMapping.apply`` can map. The result has all columns of
    ``calls``, and the call's own id and traits as ``own_id`` and ``own_traits``. ``former``: the different texts in the
    column ``former``.
    """
    own = "user_id as own_id, traits as own_traits, cast(null as varchar) as hashed"
    query = Query(f"select *, {own} from ({calls})")
    for column, expression in _steps(mapping, former):
        query = Query(f"select * replace ({expression} as {column}) from ({query})")
    if not mapping.current_traits:
        return query
    last = " or ".join(
        f"(contains(own_traits, {_name(key, missing)}) and contains(identifiers, {_name(key)}))"
        for key in mapping.current_traits
        for missing in ("null", '""')
    )
    return Query(f"select * replace (case when not ({last}) then user_id end as user_id) from ({query})")


def _steps(mapping: DestinationMapping, former: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield columns to replace, one after another, with their expressions."""
    if mapping.user_id is not None:
        carried, other = (_value(*each, mapping.user_id) for each in (("traits", _FLAT), _IDENTIFIERS))
        yield "user_id", f"case when {carries_sql(mapping.user_id)} then {carried} else {other} end"
        yield "user_id", _hash_of_id(mapping.user_id) if mapping.hashes_id else _TEXT_OF_ID
    if mapping.identifiers and not mapping.places_identifiers:
        yield "traits", _with_identifiers(mapping)
    elif mapping.identifiers:
        yield "traits", f"case when {_has_identifier(mapping)} then traits end"
    if not (mapping.rename or mapping.hashed or mapping.skips_null or former):
        return
    yield "traits", _WITHOUT_NULL if mapping.skips_null else f"case when {_FLAT} then traits end"
    for key in sorted(mapping.hashed):
        yield "hashed", f"""split_part(split_part(traits, '"{key}":"', 2), '"', 1)"""
        yield "traits", _with_hash(key)
    if mapping.rename:
        yield "traits", _renamed("traits", mapping.rename)
    if former:
        yield "traits", _with_former_names(mapping, former)


def _value(column: str, condition: str, key: str) -> str:
    """Return the JSON text of a value in an object."""
    return f"""case when {condition} then regexp_extract({column}, '"{key}":("[^"]*"|[^",}}]+)', 1) end"""


#: The text of a JSON value if it is surely the same in Python: a text with a letter, or a whole number.
_TEXT_OF_ID = (
    """case when regexp_full_match(user_id, '"[^"]*[!#-~][^"]*"') then user_id[2:-2] """
    "when regexp_full_match(user_id, '0|-?[1-9][0-9]{0,17}') then user_id end"
)


def _hash_of_id(key: str) -> str:
    if key in PHONES:
        return "cast(null as varchar)"
    return f"""case when regexp_full_match(user_id, '"[ !#-~]+"') then {_digest("user_id[2:-2]")} end"""


def _digest(text: str) -> str:
    """Return the SHA-256 of a text in printable ASCII, or the text in lower case if it is one already."""
    is_hash = f"strlen({text}) >= 64 and regexp_full_match(trim({text}), '[0-9a-fA-F]{{64}}')"
    has_spaces = f"starts_with({text}, ' ') or ends_with({text}, ' ')"  # a test is a tenth of a trim
    plain = f"lower(case when {has_spaces} then trim({text}) else {text} end)"
    return f"case when {is_hash} then {plain} else sha256({plain}) end"


def _with_identifiers(mapping: DestinationMapping) -> str:
    """Return the traits after the identifiers that have a value and are not among them. NULL if none has one."""
    keys, pairs = mapping.identifiers, []
    for key in keys:
        pair = f"{_name(key)} || {_value(*_IDENTIFIERS, key)}"
        if mapping.current_traits == (key,):
            pair = "substr(identifiers, 2, length(identifiers) - 2)"
        nothing = ", ".join((_name(key), _name(key, "null"), _name(key, '""'), "''"))
        pairs.append(f"case when not {carries_sql(key)} and {pair} not in ({nothing}) then {pair} end")
    merged = f"concat('{{', concat_ws(',', {', '.join(pairs)}, substr(traits, 2)))"
    carries_all = " and ".join(map(carries_sql, keys))
    is_exact = "traits != '{}'" if mapping.current_traits == keys[:1] else f"traits != '{{}}' and {_IDENTIFIERS[1]}"
    has_one = _has_identifier(mapping)
    return f"case when not ({has_one}) then null when {carries_all} then traits when {is_exact} then {merged} end"


def _has_identifier(mapping: DestinationMapping) -> str:
    """Return whether a user surely has one of the identifiers, in the call or besides it."""
    conditions = []
    for key in mapping.identifiers:
        for column, has_key in (("traits", carries_sql(key)), ("identifiers", f"contains(identifiers, {_name(key)})")):
            missing = [f"not contains({column}, {_name(key, each)})" for each in ("null", '""')]
            conditions.append(f"({' and '.join((has_key, *missing))})")
    return " or ".join(conditions)


#: The traits without those that are null. NULL if none is left. No text begins like the end of a key.
_WITHOUT_NULL = (
    f"""case when {_FLAT} and not contains(traits, ':":') and not contains(traits, ',":') then """
    """case when not contains(traits, '":null') then traits else """
    """nullif(regexp_replace(regexp_replace(traits, '"[^"]*":null,?', '', 'g'), ',}$', '}'), '{}') end end"""
)


def _with_hash(key: str) -> str:
    """Return the traits with the hash of one of them, whose text is in ``hashed``."""
    name = _name(key)
    missing = f"not contains(traits, {name}) or contains(traits, {_name(key, 'null')})"
    if key in PHONES:  # Python writes a number in E.164
        return f"case when {missing} then traits end"
    replaced = f"""replace(traits, {name} || '"' || hashed || '"', {name} || '"' || {_digest("hashed")} || '"')"""
    is_ascii = "strlen(hashed) = length(hashed)"
    return f"case when hashed != '' and {is_ascii} then {replaced} when {missing} then traits end"


def _renamed(traits: str, rename: Mapping[str, str]) -> str:
    """Return the traits with other names. A name that is also a key is written in two steps."""
    later = []
    for number, (key, name) in enumerate(rename.items()):
        written = _name(name)
        if name in rename:
            written = quote_literal(f'"\\{number}":')  # no key has an escape
            later.append((written, _name(name)))
        traits = f"replace({traits}, {_name(key)}, {written})"
    for written, name in later:
        traits = f"replace({traits}, {written}, {name})"
    return traits


def _with_former_names(mapping: DestinationMapping, former: Sequence[str]) -> str:
    """Return the traits and, after them, the former names that end."""
    cases = " ".join(
        f"when {quote_literal(text)} then concat(traits[:-2], {_ends(mapping, json.loads(text))}, '}}')"
        for text in former
    )
    return f"case when traits is null or former is null then traits else case former {cases} end end"


def _ends(mapping: DestinationMapping, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the former names of the carried properties, but not those that another of them has now."""
    ends = []
    for key, name in pairs:
        owners = {own for own, new in mapping.rename.items() if new == name}
        owners |= {name} - mapping.rename.keys()
        is_owned = " or ".join(carries_sql(each) for each in sorted(owners)) or "false"
        value = "false" if key in mapping.audiences else "null"
        written = quote_literal(f",{json_text(name)}:{value}")
        ends.append(f"case when {carries_sql(key)} and not ({is_owned}) then {written} end")
    return ", ".join(ends) or "''"


def _name(key: str, value: str = "") -> str:
    """Return a key and the colon after it, and the JSON text of its value, as an SQL text."""
    return quote_literal(f"{json_text(key)}:{value}")
