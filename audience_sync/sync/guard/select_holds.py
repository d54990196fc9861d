"""Select the waiting holds of a run that a person approves or rejects."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from audience_sync.command_line import to_paste
from audience_sync.errors import RetiredError, UnknownNameError
from audience_sync.model import HoldStatus, RunId
from audience_sync.store.audiences.holds import Hold, HoldKey, latest_holds, read_holds_of
from audience_sync.store.audiences.properties import read_properties
from audience_sync.sync.guard.messages import retired_message


def select_holds(connection: Connection, run: RunId, keys: Collection[str]) -> list[Hold]:
    """The waiting holds of the run, or those with these keys.

    Raises UnknownNameError, with the holds there are, if none or not all of them wait; RetiredError for a retired key.
    """
    of_run, last, properties = read_holds_of(connection, run), latest_holds(connection), read_properties(connection)
    if not of_run:
        waiting = [hold for hold in last.values() if hold.needs_decision]
        if not waiting:
            raise UnknownNameError(
                f"Run {run} held nothing, and no other run is waiting for a decision.\n"
                "What needs a person: audience-sync status"
            )
        raise UnknownNameError(f"Run {run} held nothing.{_waiting(waiting)}")
    unknown = sorted(set(keys) - {hold.key for hold in of_run})
    if unknown:
        held = ", ".join(hold.key for hold in of_run)
        raise UnknownNameError(f"Run {run} held no {', '.join(unknown)}. It held: {held}")
    meant = [hold for hold in of_run if not keys or hold.key in keys]
    waiting = [hold for hold in meant if hold.needs_decision]
    if not waiting or (keys and len(waiting) < len(meant)):
        closed = [hold.key for hold in meant if (known := properties.get(hold.key)) and known.retired]
        if closed:
            raise RetiredError(retired_message(*closed))
        fates = "; ".join(f"{hold.key} was {_fate(hold, last)}" for hold in meant if not hold.needs_decision)
        raise UnknownNameError(f"{fates}. Nothing was done.{_waiting(last.values())}")
    return waiting


def _fate(hold: Hold, last: Mapping[HoldKey, Hold]) -> str:
    newest = last[hold.subject]
    match hold.status:
        case HoldStatus.APPROVED:
            return f"approved already, by run {hold.ended_run}"
        case HoldStatus.SUPERSEDED:
            return f"superseded: run {hold.ended_run} met another snapshot"
        case _ if newest.needs_decision:
            return f"rejected already (run {newest.first_run} held it again)"
        case _:
            return "rejected already (if it is right after all, `audience-sync sync` holds it again)"


def _waiting(last: Collection[Hold]) -> str:
    commands = [to_paste("approve", hold.last_run, hold.key) for hold in last if hold.needs_decision]
    return "".join(f"\n  To decide: {each}" for each in commands) or " No run is waiting for a decision."
