"""How Alembic runs the migrations: on the connection and transaction it is given."""

from __future__ import annotations

from typing import Any

from alembic import context

from audience_sync.store.tables import metadata


def is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
    """Views are made by migrations and aren't in the metadata; a guest's table is none of our business."""
    return not (kind == "table" and reflected and name not in metadata.tables)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=is_ours,
    transaction_per_migration=False,
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
