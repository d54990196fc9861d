"""Replace previous ids by current ones, and make a row for each id of a row."""

from __future__ import annotations

from msgspec.structs import replace

from audience_sync.model import ChangeCounts
from audience_sync.sources.base import HAS_INVALID_VALUE, SnapshotRequest, SnapshotRows
from audience_sync.sql import Query, TableName, quote_identifier
from audience_sync.sync.values.run_context import AliasMap
from audience_sync.workspace import Workspace

#: The column of a traits snapshot that is true for a row under a previous id.
MOVED = "came under a previous id"


def ignore_renamed_users(
    workspace: Workspace, aliases: AliasMap, difference: str, members: str, *, guarded: Query, counts: ChangeCounts
) -> tuple[Query, ChangeCounts]:
    """``guarded`` (a query for ``user_id`` and ``present``) and its counts without users who only have a new id.

    Guards don't count these users. ``difference``: a table with ``user_id`` and ``present``. ``members``: a query for
    the ``user_id`` of members before the run.
    """
    moved = _moved(workspace, aliases, difference, members)
    if moved is None:
        return guarded, counts
    rest = Query(f"from (select user_id, present {guarded}) anti join {moved} using (user_id)")
    both = "count(*) filter (where present), count(*) filter (where not present)"
    entered, left = workspace.one(f"select {both} from ({rest})")
    return rest, counts._replace(entered=entered, left=left)


def _moved(workspace: Workspace, aliases: AliasMap, difference: str, members: str) -> TableName | None:
    """A table of the previous and new ids (``user_id``) of users who only have a new id, or None."""
    if aliases.pairs is None:
        return None
    gone = f"select user_id as previous_id from {difference} where not present"
    leaving = workspace.table("leaving", f"from {aliases.pairs} semi join ({gone}) using (previous_id)")
    if not workspace.one(f"select count(*) from {leaving}")[0]:
        return None
    left = f"select user_id from {difference} where not present"
    stay = f"select user_id from ({members}) anti join ({left}) using (user_id)"
    there = f"select user_id from {difference} where present union all {stay}"
    return workspace.table(
        "moves",
        f"with moved as materialized (from {leaving} semi join ({there}) using (user_id)) "
        "select previous_id as user_id from moved union select user_id from moved",
    )


def resolve_ids(rows: SnapshotRows, wanted: SnapshotRequest, aliases: AliasMap) -> SnapshotRows:
    """The rows, one for each of their ids (`ids` of the config), with current ids in place of previous ones.

    A row without its first id stays one invalid row. For traits, ``MOVED`` is true in rows under a previous id.
    """
    further = [quote_identifier(key) for key, trait in wanted.traits.items() if trait.is_id]
    rows = replace(rows, unchecked=None)  # these ids have to be checked before they are replaced
    columns = ["name"] if wanted.name else []
    columns += [quote_identifier(key) for key, trait in wanted.traits.items() if not trait.is_id]
    columns += [quote_identifier(HAS_INVALID_VALUE)] if rows.may_have_invalid_values else []
    if further:
        ids = f"list_filter([user_id, {', '.join(further)}], lambda each: each is not null)"
        each = f"unnest(case when user_id is null then [null::varchar] else {ids} end) as user_id"
        rows = replace(rows, select=f"select {', '.join([each, *columns])} from ({rows.select})")
    if aliases.pairs is None:
        return rows
    names = ["coalesce(a.user_id, s.user_id) as user_id", *(f"s.{column}" for column in columns)]
    if wanted.traits:
        names.append(f"a.user_id is not null as {quote_identifier(MOVED)}")
    joined = f"({rows.select}) s left join {aliases.pairs} a on s.user_id = a.previous_id"
    return replace(rows, select=f"select {', '.join(names)} from {joined}")
