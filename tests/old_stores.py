"""Make a store with schema 0022, the last before the first release, as commit 3ee0fb6 made it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

DUMPS = Path(__file__).parent / "store" / "schema_0022"


def load_schema_0022(url: str) -> None:
    """Fill an empty database.

    The store has four runs, with a hold, a freeze, a holdout, a missing member who stays, a refused, a pending and a
    withheld call, half a seed, and missed notifications.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(address.database))) as connection:
            connection.executescript((DUMPS / "sqlite.sql").read_text("utf-8"))
        return
    with create_engine(address, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql((DUMPS / "postgresql.sql").read_text("utf-8"))
