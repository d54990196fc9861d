"""Withhold calls to suppressed users, and keep their values until the users are allowed again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select

from audience_sync.model import IdentifyCall
from audience_sync.store.connection.bulk import delete_rows, insert_rows
from audience_sync.store.tables import withheld_values
from audience_sync.workspace import Workspace

#: Seconds for which the list of users suppressed during a run is cached.
CACHE_SECONDS = 1.0
_KEY = ("destination_id", "user_id", "property_id")
_COLUMNS = (*_KEY, "value", "run_id")


class RecentSuppressions:
    """The users who were suppressed during a run. All senders share the list.

    ``read`` queries the store. Its error is raised, so that nothing is sent on a stale list.
    """

    def __init__(self, read: Callable[[], Collection[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._users: Collection[str] = ()
        self._until = clock()

    def __call__(self) -> Collection[str]:
        with self._lock:
            if self._clock() >= self._until:
                self._users = frozenset(self._read())
                self._until = self._clock() + CACHE_SECONDS
            return self._users


def store_withheld(
    connection: Connection, workspace: Workspace, table: str, destination: int, property_ids: Mapping[str, int]
) -> None:
    """Store the values that suppressed users are not sent (``user_id``, ``key``, ``value``, ``run_id``)."""
    query = f"select user_id, key, value, run_id from {table} order by user_id, key"
    for batch in workspace.stream(query):
        rows = [(destination, user, property_ids[key], value, run) for user, key, value, run in batch]
        delete_rows(connection, withheld_values, _KEY, [[row[:3] for row in rows]])
        insert_rows(connection, withheld_values, _COLUMNS, [rows])


def withheld_users(connection: Connection, destination: int, users: ColumnElement[bool]) -> set[str]:
    """Return the users with withheld values. ``users``: a condition that an index supports."""
    here = (withheld_values.c.destination_id == destination) & users
    return set(connection.execute(select(withheld_values.c.user_id).where(here).distinct()).scalars())


def delete_withheld(
    connection: Connection,
    destination: int,
    calls: Sequence[IdentifyCall],
    users: ColumnElement[bool],
    property_ids: Mapping[str, int],
) -> None:
    """Delete the withheld values that these calls carried. ``users``: a condition that an index supports."""
    here = (withheld_values.c.destination_id == destination) & users
    carried: list[dict[str, Any]] = [
        {"user": call.user_id, "property": property_ids[key]} for call in calls for key in call.traits
    ]
    if carried:
        value = (withheld_values.c.user_id == bindparam("user")) & (
            withheld_values.c.property_id == bindparam("property")
        )
        connection.execute(delete(withheld_values).where(here, value), carried)
