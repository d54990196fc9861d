"""Keep what the newest run depended on, with its result, so that the next run can repeat it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from audience_sync.model import RunId
from audience_sync.store.tables import lease, runs

#: Stands for inputs that may never be kept, since a person has changed something during or after the run.
_DISCARDED = ""


def read_inputs(connection: Connection) -> tuple[RunId, str] | None:
    """The newest run and its inputs; None if it has none."""
    row = connection.execute(select(runs.c.id, runs.c.inputs).order_by(runs.c.id.desc()).limit(1)).first()
    return (RunId(row.id), row.inputs) if row and row.inputs else None


def keep_inputs(connection: Connection, run: RunId, inputs: str) -> None:
    """Keep the inputs of a run, unless they were discarded since it began."""
    connection.execute(update(runs).where(runs.c.id == run, runs.c.inputs.is_(None)).values(inputs=inputs))


def move_inputs(connection: Connection, before: RunId, after: RunId, inputs: str) -> None:
    """Move the inputs from a run to the run that repeats it."""
    connection.execute(update(runs).where(runs.c.id == before).values(inputs=None))
    keep_inputs(connection, after, inputs)


def discard_inputs(connection: Connection) -> None:
    """Let the next run read its sources, because a person changes something outside of runs."""
    connection.execute(select(lease.c.token).with_for_update())  # a run that repeats another locks it until its end
    newest = select(func.max(runs.c.id)).scalar_subquery()
    connection.execute(update(runs).where(runs.c.id == newest).values(inputs=_DISCARDED))
