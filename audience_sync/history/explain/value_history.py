"""Read the values of one user with their runs, and the id that the user was merged into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, select

from audience_sync.model import ALIAS_KEY, NO_RUN, PropertyKind, RunId, UserId
from audience_sync.sql import quote_literal
from audience_sync.store.audiences.properties import Property, read_chains
from audience_sync.store.snapshots.chain import current_rows_query, trait_column, trait_name
from audience_sync.store.snapshots.files import download_chain
from audience_sync.store.snapshots.point_lookup import base_rows
from audience_sync.store.tables import changes, installation, members
from audience_sync.workspace import Workspace

#: Stands for a first value that is not stored: an earlier version did not keep it, or `retention` deleted it.
UNKNOWN = "?"
TRUE, FALSE, EMPTY = "true", "false", '""'


class ValueChange(Struct, frozen=True):
    """A value since a run: JSON text, None for no value, or UNKNOWN."""

    run: RunId
    value: str | None


class ValueHistory(Struct, frozen=True):
    """The values of one user: the first one, from the run that created the property, and every change since."""

    definition: Property
    first: ValueChange
    changes: tuple[ValueChange, ...] = ()

    def until(self, run: RunId) -> ValueHistory | None:
        """Return the history up to a run; None before the run that created the property."""
        if run < self.first.run:
            return None
        return ValueHistory(self.definition, self.first, tuple(each for each in self.changes if each.run <= run))

    def last_value(self, run: RunId) -> ValueChange | None:
        """Return the last value up to a run that was not lost, if it is stored."""
        known = [each for each in (self.first, *self.changes) if each.run <= run]
        return next((each for each in reversed(known) if each.value not in (None, EMPTY, UNKNOWN)), None)

    @property
    def latest(self) -> ValueChange:
        return self.changes[-1] if self.changes else self.first

    @property
    def latest_loaded_from(self) -> str | None:
        """Return where the snapshot with the latest value was loaded from; None if it is not stored."""
        since = self.definition.loaded_from_run
        return self.definition.loaded_from if since is not None and self.latest.run >= since else None

    @property
    def was_ever_present(self) -> bool:
        """Return whether the user ever was a member or had a value."""
        return bool(self.changes) or self.first.value is not None

    @property
    def is_present(self) -> bool:
        """Return whether the user is a member now or has a value."""
        absent = FALSE if self.definition.kind is PropertyKind.AUDIENCE else None
        return self.latest.value not in (None, absent)


def read_versions(
    connection: Connection,
    workspace: Workspace,
    properties: Mapping[str, Property],
    user: UserId,
    *,
    forgotten: RunId = NO_RUN,
) -> dict[str, ValueHistory]:
    """Read the histories by key: from the log of changes, or from members and snapshots if nothing changed.

    ``forgotten``: of the changes up to this run, only the newest are stored.
    """
    log = _logged_changes(connection, user)
    unchanged = [each for each in properties.values() if each.id not in log]
    values = _from_members(connection, unchanged, user)
    rest = [each for each in unchanged if each.id not in values]
    rows = base_rows(connection, workspace, {each.chain_id for each in rest}, user)
    values |= {each.id: _from_base(each, rows.get(each.chain_id)) for each in rest}
    return {
        key: _history_from_log(each, log[each.id], forgotten)
        if each.id in log
        else ValueHistory(each, ValueChange(each.created_run, values[each.id]))
        for key, each in properties.items()
    }


def _logged_changes(connection: Connection, user: UserId) -> dict[int, list[Row[Any]]]:
    columns = (changes.c[name] for name in ("property_id", "run_id", "value", "previous_value"))
    found: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(select(*columns).where(changes.c.user_id == user).order_by(changes.c.run_id)):
        found.setdefault(row.property_id, []).append(row)
    return found


def _history_from_log(definition: Property, log: Sequence[Row[Any]], forgotten: RunId) -> ValueHistory:
    """Derive the first value from the first change: a user who left had been a member from the start."""
    before: str | None = log[0].previous_value
    first: str | None
    if log[0].run_id <= forgotten:
        first = UNKNOWN
    elif definition.kind is PropertyKind.AUDIENCE:
        first = TRUE if log[0].value == FALSE else None
    else:
        first = UNKNOWN if before is None else None if before == "null" else before
    return ValueHistory(
        definition, ValueChange(definition.created_run, first), tuple(ValueChange(row.run_id, row.value) for row in log)
    )


def _from_members(connection: Connection, properties: Sequence[Property], user: UserId) -> dict[int, str | None]:
    """Read the values of audiences from the table of members, if the store has it."""
    ids = [each.id for each in properties if each.kind is PropertyKind.AUDIENCE]
    if not connection.execute(select(installation.c.members_table)).scalar_one():
        return {}
    query = select(members.c.property_id).where(members.c.property_id.in_(ids), members.c.user_id == user)
    inside = set(connection.execute(query).scalars())
    return {each: TRUE if each in inside else None for each in ids}


def _from_base(definition: Property, row: Mapping[str, Any] | None) -> str | None:
    if row is None:
        return None
    value: str | None = TRUE if definition.kind is PropertyKind.AUDIENCE else row[trait_name(definition.key)]
    return value


class CurrentId(Struct, frozen=True):
    """The id that replaced another one. From ``run`` on nothing is sent under the previous id."""

    new_id: UserId
    run: RunId


def current_id(
    connection: Connection, workspace: Workspace, properties: Mapping[str, Property], user: UserId, run: RunId
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
    since, then = list[RunId](), list[UserId]()
    for last, previous in workspace.all(query):
        for each in (last, *previous):
            found = read_versions(connection, workspace, {ALIAS_KEY: stored}, each)[ALIAS_KEY].until(run)
            if found is not None:
                since += [version.run for version in (found.first, *found.changes) if _lists_previous_id(version, user)]
                then += [each] if _lists_previous_id(found.latest, user) else []
    return CurrentId(then[0], min(since)) if then else None


def _lists_previous_id(version: ValueChange, user: UserId) -> bool:
    return version.value not in (None, UNKNOWN) and user in json.loads(version.value or "[]")
