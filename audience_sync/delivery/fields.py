"""Require that a destination has a field for every property of its pending calls, or create the missing ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from audience_sync.delivery.mapping import DestinationMapping
from audience_sync.delivery.pending.calls import PendingCalls
from audience_sync.destinations.base import Destination, FieldKind
from audience_sync.errors import FieldError
from audience_sync.model import ALIAS_KEY
from audience_sync.sql import quote_literal
from audience_sync.workspace import Workspace

_NUMBERS = "('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE')"
#: A day, which a source's column of dates has as its first moment in UTC; and a day or a time.
_DAY = r"\d{4}-\d\d-\d\d(T00:00:00(\.0+)?Z)?"
_TIME = r"\d{4}-\d\d-\d\d(T[0-9:.]+(Z|[+-][0-9:]+)?)?"


def missing_fields(
    workspace: Workspace, table: str, destination: Destination, mapping: DestinationMapping
) -> list[str]:
    """Return the names of pending properties without a field there. Raises FieldError if it can't list its fields."""
    if not destination.has_fields:
        return []
    return list(destination.missing_fields(sorted(_sent_names(workspace, table, mapping))))


def require_fields(
    workspace: Workspace, pending: PendingCalls, destination: Destination, mapping: DestinationMapping
) -> FieldError | None:
    """Create the missing fields. Return why nothing can be sent, or None.

    The fields of all slices are created before the first one is sent: their values decide the kind of a field.
    """
    if not destination.has_fields:
        return None
    try:
        keys = dict[str, str]()
        for own, part in pending.tables(workspace):
            keys |= _sent_names(own, part.table, mapping)
        if missing := list(destination.missing_fields(sorted(keys))):
            wanted = {name: keys.get(name, name) for name in missing}
            destination.create_fields(_kinds(workspace, pending, wanted))
    except FieldError as error:
        return error
    return None


def _kinds(workspace: Workspace, pending: PendingCalls, keys: Mapping[str, str]) -> dict[str, FieldKind]:
    """Return the kind of each field. ``keys``: our keys by the names of fields."""
    found: dict[str, list[FieldKind | None]] = {name: [] for name in keys}
    for own, part in pending.tables(workspace):
        for name, key in keys.items():
            found[name].append(_kind(own, part.table, key))
    return {name: _common_kind(kinds) for name, kinds in found.items()}


def _common_kind(kinds: Iterable[FieldKind | None]) -> FieldKind:
    """Return the kind that values of these kinds have together; None has no value."""
    different = set(kinds) - {None}
    if different == {FieldKind.DATE, FieldKind.DATETIME}:
        return FieldKind.DATETIME
    return (different.pop() if len(different) == 1 else None) or FieldKind.TEXT


def _sent_names(workspace: Workspace, table: str, mapping: DestinationMapping) -> dict[str, str]:
    """Return the key of each property of the pending calls by its name at the destination."""
    rows = workspace.stream(f"select distinct unnest(json_keys(traits)) from {table}")  # as others read meanwhile
    keys = [key for found in rows for (key,) in found]
    sent = [*mapping.identifiers, *(key for key in keys if key != ALIAS_KEY)]
    return {mapping.name_of(key): key for key in sent}


def _kind(workspace: Workspace, table: str, key: str) -> FieldKind | None:
    """Return the kind that all values of a property have; None without a value."""
    pointer = quote_literal("/" + key.replace("~", "~0").replace("/", "~1"))
    values = (
        f"select json_type(traits, {pointer}) as kind, json_extract_string(traits, {pointer}) as value "
        f"from {table} where json_type(traits, {pointer}) <> 'NULL'"
    )
    is_text = "kind = 'VARCHAR'"
    conditions = {
        FieldKind.BOOLEAN: "kind = 'BOOLEAN'",
        FieldKind.NUMBER: f"kind in {_NUMBERS}",
        FieldKind.DATE: f"{is_text} and regexp_full_match(value, '{_DAY}')",
        FieldKind.DATETIME: f"{is_text} and regexp_full_match(value, '{_TIME}')",
    }
    query = f"select {', '.join(f'bool_and({each})' for each in conditions.values())} from ({values})"
    ((found,),) = workspace.stream(query)
    if None in found:
        return None
    return next((kind for kind, holds in zip(conditions, found, strict=True) if holds), FieldKind.TEXT)
