"""Find the current id of a user whose id was merged into another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from audience_sync.history.explain.value_history import UNKNOWN, ValueChange, read_versions
from audience_sync.model import ALIAS_KEY
from audience_sync.store.audiences.properties import Property, read_chains
from audience_sync.store.snapshots.chain import current_rows_query, download_chain, trait_column
from audience_sync.workspace import Workspace, quote_literal


@dataclass(frozen=True, slots=True)
class CurrentId:
    """The id that replaced another one. From ``run`` on nothing is sent under the previous id."""

    new_id: str
    run: int


def current_id(
    connection: Connection, workspace: Workspace, properties: Mapping[str, Property], user: str, run: int
) -> CurrentId | None:
    """Return the id that ``user`` had been merged into after a run; None if it was not merged.

    ``properties``: all stored properties by key. This reads all aliases, which list the previous ids of each new id. A
    user may have had several ids on the way to the last one; each of them lists the earlier ones.
    """
    if ALIAS_KEY not in properties:
        return None
    stored = properties[ALIAS_KEY]
    chain = download_chain(connection, workspace, read_chains(connection, [stored])[stored.chain_id])
    ids = f"""from_json({trait_column(ALIAS_KEY)}, '["VARCHAR"]')"""
    query = (
        f"select user_id, {ids} from ({current_rows_query(chain)}) where list_contains({ids}, {quote_literal(user)})"
    )
    since, then = list[int](), list[str]()
    for last, previous in workspace.all(query):
        for each in (last, *previous):
            found = read_versions(connection, workspace, {ALIAS_KEY: stored}, each)[ALIAS_KEY].until(run)
            if found is not None:
                since += [version.run for version in (found.first, *found.changes) if _lists_previous_id(version, user)]
                then += [each] if _lists_previous_id(found.latest, user) else []
    return CurrentId(then[0], min(since)) if then else None


def _lists_previous_id(version: ValueChange, user: str) -> bool:
    return version.value not in (None, UNKNOWN) and user in json.loads(version.value or "[]")
