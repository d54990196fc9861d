"""Open the store for a command that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate


@contextmanager
def open_store_to_read(url: str) -> Iterator[Store]:
    """The store for a command that changes nothing: one that isn't there yet is empty, in memory."""
    store = Store(url, reads_views=True)
    try:
        if store.is_sqlite and migrate.current(store) is None:
            store.close()
            store = Store("sqlite://")
            migrate.upgrade(store)
        migrate.require_current_schema(store)
        yield store
    finally:
        store.close()
