"""Configure Alembic: it runs the migrations on the connection, and in the transaction, that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.util import load_python_file

from audience_sync.store.tables import metadata


def is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
    """Whether Alembic compares it: not views, which only migrations create, and not the tables of other programs."""
    return not (kind == "table" and reflected and name not in metadata.tables)


#: A role named as the schema of the views would otherwise create tables there, and not next to the others.
SAME_SCHEMA = sa.text(
    "select set_config('search_path', n.nspname, true) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where c.oid = to_regclass('alembic_version')"
)

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(SAME_SCHEMA)
load_python_file(str(Path(__file__).parent), "store_0022.py").set_aside(connection)
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_object=is_ours,
    transaction_per_migration=False,
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
