"""How far back does the history go? Further back than that nothing can be said."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from audience_sync.errors import HistoryPrunedError
from audience_sync.model import HistoryKind
from audience_sync.store.runs.pruning import pruned_through
from audience_sync.store.runs.runs import last_run_started_by
from audience_sync.store.tables import runs


def run_at(connection: Connection, at: datetime) -> int:
    """The last run that had started by then. Raises ForgottenError where not all is kept of what was so then."""
    run, forgotten = last_run_started_by(connection, at), pruned_through(connection)[HistoryKind.CHANGES]
    if run < forgotten:
        since = connection.execute(select(runs.c.started_at).where(runs.c.id == forgotten)).scalar_one()
        raise HistoryPrunedError(
            f"history before {since:%Y-%m-%d %H:%M:%S} UTC (run {forgotten}) was deleted by `retention`. "
            "Use that time or a later one."
        )
    return run
