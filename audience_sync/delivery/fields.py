"""Require that a destination has a field for every property of its pending calls, or create the missing ones."""

from __future__ import annotations

from audience_sync.delivery.mapping import mapping_of
from audience_sync.destinations.base import Destination, FieldKind
from audience_sync.errors import FieldError
from audience_sync.model import ALIAS_KEY
from audience_sync.workspace import Workspace, quote_literal

#: The kinds of JSON values of DuckDB's ``json_type``; the others are text.
_KINDS = {
    "BOOLEAN": FieldKind.BOOLEAN,
    "BIGINT": FieldKind.NUMBER,
    "UBIGINT": FieldKind.NUMBER,
    "HUGEINT": FieldKind.NUMBER,
    "DOUBLE": FieldKind.NUMBER,
}
_DATE = r"\d{4}-\d\d-\d\d(T[0-9:.]+(Z|[+-][0-9:]+)?)?"


def missing_fields(workspace: Workspace, table: str, destination: Destination) -> list[str]:
    """Return the names of pending properties without a field there. Raises FieldError if it can't list its fields."""
    if not destination.has_fields:
        return []
    return list(destination.missing_fields(sorted(_sent_names(workspace, table, destination))))


def require_fields(workspace: Workspace, table: str, destination: Destination) -> str:
    """Create the missing fields. Return why nothing can be sent, or nothing."""
    try:
        missing = missing_fields(workspace, table, destination)
        if missing:
            keys = _sent_names(workspace, table, destination)
            destination.create_fields({name: _kind(workspace, table, keys[name]) for name in missing})
    except FieldError as error:
        return str(error)
    return ""


def _sent_names(workspace: Workspace, table: str, destination: Destination) -> dict[str, str]:
    """Return the key of each property of the pending calls by its name at the destination."""
    mapping = mapping_of(destination)
    keys = [key for (key,) in workspace.all(f"select distinct unnest(json_keys(traits)) from {table}")]
    sent = [*mapping.identifiers, *(key for key in keys if key != ALIAS_KEY)]
    return {mapping.rename.get(key, key): key for key in sent}


def _kind(workspace: Workspace, table: str, key: str) -> FieldKind:
    """Return the kind of the first value of a property."""
    pointer = quote_literal("/" + key.replace("~", "~0").replace("/", "~1"))
    query = (
        f"select json_type(traits, {pointer}), regexp_full_match(json_extract_string(traits, {pointer}), '{_DATE}') "
        f"from {table} where json_type(traits, {pointer}) <> 'NULL' limit 1"
    )
    for json_type, is_date in workspace.all(query):
        return FieldKind.DATE if json_type == "VARCHAR" and is_date else _KINDS.get(json_type, FieldKind.TEXT)
    return FieldKind.TEXT
