"""Put queries with masked ids in the place of PostgreSQL's views, for a person's query where ids are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audience_sync.dashboard.masks import ID_COLUMNS, TEXT_COLUMNS
from audience_sync.sql import quote_identifier


def masked_prefix(columns: Mapping[str, Sequence[str]], *, schema: str, mask_id: str, mask_text: str) -> str:
    """Write ``with view as (...), ...``: each view that has such columns, with these columns masked.

    ``mask_id`` and ``mask_text``: the SQL of a masked value, with ``{}`` for the column.
    """
    queries = []
    for view, names in columns.items():
        if not {*names} & (ID_COLUMNS | TEXT_COLUMNS):
            continue
        shown = ", ".join(_column(each, mask_id, mask_text) for each in names)
        queries.append(f"{view} as (select {shown} from {schema}.{view})")
    return f"with {', '.join(queries)} " if queries else ""


def _column(name: str, mask_id: str, mask_text: str) -> str:
    quoted = quote_identifier(name)
    if name in ID_COLUMNS:
        return f"{mask_id.format(quoted)} as {quoted}"
    return f"{mask_text.format(quoted)} as {quoted}" if name in TEXT_COLUMNS else quoted
