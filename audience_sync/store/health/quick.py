"""Check the small tables of a SQLite store, and their indexes, before a run relies on them."""

from __future__ import annotations

from audience_sync.errors import StoreDamagedError
from audience_sync.store.engine import Store

#: What decides whether anything is sent, and to whom; a few rows each, so that the check takes milliseconds.
SMALL = (
    *("installation", "lease", "chains", "properties", "segments", "destinations", "feeds", "told_ranges"),
    *("subscriptions", "subscription_terms", "held_snapshots", "freezes", "pruned_history"),
)


def refuse_damaged(store: Store) -> None:
    """Raise StoreDamagedError where a small table and its index don't say the same. PostgreSQL has its own checks."""
    if not store.is_sqlite:
        return
    with store.reading() as connection:
        for table in SMALL:
            found = connection.exec_driver_sql(f"PRAGMA integrity_check('{table}')").scalars().all()
            if found != ["ok"]:
                raise StoreDamagedError(
                    f"The store {store.label} is damaged (table {table}: {found[0]}). Nothing was changed or sent. "
                    "Restore a backup of the store, then: audience-sync resync. What is damaged: audience-sync db check"
                )
