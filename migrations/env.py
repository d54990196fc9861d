"""Configure Alembic: it runs the migrations on the connection, and in the transaction, that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import context
from alembic.util import load_python_file

from audience_sync.store.tables import metadata


def is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
    """Whether Alembic compares it: not views, which only migrations create, and not the tables of other programs."""
    return not (kind == "table" and reflected and name not in metadata.tables)


connection = context.config.attributes["connection"]
load_python_file(str(Path(__file__).parent), "store_0022.py").set_aside(connection)
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_object=is_ours,
    transaction_per_migration=False,
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
