"""Withhold calls to suppressed users, and keep their values until the users are allowed again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from sqlalchemy import Connection

from audience_sync.model import DestinationId, PropertyId, UserId
from audience_sync.sql import TableName
from audience_sync.store.connection.bulk import delete_rows, insert_rows
from audience_sync.store.tables import withheld_values
from audience_sync.workspace import Workspace

#: Seconds for which the list of users suppressed during a run is cached.
CACHE_SECONDS = 1.0
_KEY = ("destination_id", "user_id", "property_id")
_COLUMNS = (*_KEY, "value", "run_id", "former_names")


class RecentSuppressions:
    """The users who were suppressed during a run. All senders share the list.

    ``read`` queries the store. Its error is raised, so that nothing is sent on a stale list.
    """

    def __init__(self, read: Callable[[], Collection[UserId]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._users: Collection[UserId] = ()
        self._until = clock()

    def __call__(self) -> Collection[UserId]:
        with self._lock:
            if self._clock() >= self._until:
                self._users = frozenset(self._read())
                self._until = self._clock() + CACHE_SECONDS
            return self._users


def store_withheld(
    connection: Connection,
    workspace: Workspace,
    table: TableName,
    destination: DestinationId,
    property_ids: Mapping[str, PropertyId],
) -> None:
    """Store the values that suppressed users are not sent.

    ``table``: it has the columns ``user_id``, ``key``, ``value``, ``run_id`` and ``former_names``.
    """
    query = f"select user_id, key, value, run_id, former_names from {table} order by user_id, key"
    for batch in workspace.stream(query):
        rows = [(destination, user, property_ids[key], *others) for user, key, *others in batch]
        delete_rows(connection, withheld_values, _KEY, [[row[:3] for row in rows]])
        insert_rows(connection, withheld_values, _COLUMNS, [rows])
