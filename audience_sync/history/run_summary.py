"""Summarise one run as a document for programs: its status, counts and holds, and no user."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from audience_sync.command_line import to_paste, with_options
from audience_sync.errors import UnknownNameError
from audience_sync.history.view_rows import Row, read
from audience_sync.model import HoldKind, RunId, RunStatus
from audience_sync.store.connection.lease import is_run_in_progress
from audience_sync.text import iso_time

#: The most audiences and holds in a summary; the first are those that need a person, then those that changed.
MOST_AUDIENCES = 1_000
_RUN = """
    select run, command, status, started_at, finished_at, seconds, audiences, trait_users_changed, error
    from {views}sync_runs where run = :run
"""
_AUDIENCES = """
    select audience_key as key, status, members_after as members, entered, "left", invalid, error
    from {views}audience_syncs where run = :run
    order by case when status in ('failed', 'held') then 0 when entered + "left" > 0 then 1 else 2 end, audience_key
    limit :most
"""
_DESTINATIONS = """
    select destination as name, calls, delivered, refused, pending, requests, retries, seconds, error
    from {views}deliveries where run = :run order by destination
"""
#: How a run ends that holds something: a failure is worse, and an interruption can come after it.
_MAY_HOLD = (RunStatus.HELD, RunStatus.FAILED, RunStatus.INTERRUPTED)
#: What the run held, also if it was decided since.
_HOLDS = """
    select kind, key, entered, "left", reason from {views}holds where run <= :run and last_run >= :run
    order by kind, key limit :most
"""


def run_summary(connection: Connection, run: RunId, *, options: str = "") -> dict[str, Any]:
    """Read the summary of a run, with the fields of ``sync --json`` where both have them.

    ``options``: those that the commands in it need to find the same project. Raises UnknownNameError if there is no
    such run.
    """
    found = read(connection, _RUN, run=run)
    if not found:
        raise UnknownNameError(f"There is no run {run}. The last ones: audience-sync history")
    row, status = found[0], found[0]["status"]
    if status == RunStatus.RUNNING and not is_run_in_progress(connection):
        status = RunStatus.INTERRUPTED.value
    audiences = read(connection, _AUDIENCES, run=run, most=MOST_AUDIENCES)
    holds = read(connection, _HOLDS, run=run, most=MOST_AUDIENCES) if status in _MAY_HOLD else []
    return {
        "run": run,
        "command": row["command"],
        "status": status,
        "started_at": _time(row["started_at"]),
        "finished_at": _time(row["finished_at"]),
        "seconds": row["seconds"],
        "error": row["error"],
        "audiences": audiences,
        "audiences_left_out": max(0, row["audiences"] - len(audiences)),
        "traits": {"changed": row["trait_users_changed"]},
        "destinations": read(connection, _DESTINATIONS, run=run),
        "holds": [{**hold, "commands": _commands(run, hold, options)} for hold in holds],
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_time(moment)


def _commands(run: RunId, hold: Row, options: str) -> list[str]:
    which = [] if hold["kind"] == HoldKind.SUPPRESSED else [hold["key"]]
    return [with_options(to_paste(verb, run, *which), options) for verb in ("approve", "reject")]
