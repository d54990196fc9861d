"""Which runs were there when?"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.store.tables import runs


def last_run_by(connection: Connection, at: datetime) -> int:
    """The last run that had started by then; 0 where there was none."""
    return connection.execute(select(func.max(runs.c.id)).where(runs.c.started_at <= at)).scalar() or 0
