"""Under which ids is a user known? Each of a row's ids is a user of its own."""

from __future__ import annotations

from dataclasses import replace

from audience_sync.sources.base import Rows, Wanted
from audience_sync.workspace import quoted


def identified(rows: Rows, wanted: Wanted) -> Rows:
    """The rows once for each of their ids (`ids` of the config), all in one read. A row without the first id stays one
    row without any: it is rejected."""
    further = [quoted(key) for key, trait in wanted.traits.items() if trait.is_id]
    if not further:
        return rows
    columns = ["name"] if wanted.name else []
    columns += [quoted(key) for key, trait in wanted.traits.items() if not trait.is_id]
    ids = f"list_filter([user_id, {', '.join(further)}], lambda each: each is not null)"
    each = f"unnest(case when user_id is null then [null::varchar] else {ids} end) as user_id"
    return replace(rows, select=f"select {', '.join([each, *columns])} from ({rows.select})")
