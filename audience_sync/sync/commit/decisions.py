"""Record the decisions that a run carries out: what a person asked for, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from audience_sync.model import HoldStatus
from audience_sync.store.runs.decisions import Decision, record_decision
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.request import Request, Resync, Retire, Retry, RunRequest, Seed, Undo
from audience_sync.sync.values.run_plan import RunPlan


def record_decisions(connection: Connection, plan: RunPlan, secrets: Sequence[str]) -> None:
    """Write one decision for each command or exception in the plan's request. ``secrets`` are masked in the reason."""
    reason, asked = plan.request.reason, [*_of_command(plan.request), *_of_exceptions(plan.request, plan.changes)]
    if not asked and reason and plan.request.command == "sync":
        asked.append(("sync", _listed(plan.request.selection.audiences or ())))
    for command, subject in asked:
        record_decision(connection, Decision(command, subject, reason, plan.run), secrets)


def _of_command(request: RunRequest) -> Iterator[tuple[str, str | None]]:
    """The command of the request, and its subject; nothing for a sync, which a schedule may start."""
    match request:
        case Seed(key=key) | Retire(key=key):
            yield request.command, key
        case Undo(undone_run=run):
            yield "undo", f"run {run}"
        case Retry(destination=destination):
            yield request.command, destination
        case Resync(selection=selection, destination=destination):
            keys = _listed(selection.audiences or ())
            yield request.command, f"{keys} at {destination}" if keys and destination else keys or destination


def _of_exceptions(request: Request, changes: ChangeSet) -> Iterator[tuple[str, str | None]]:
    """What a person approves, accepts or moves. A hold whose snapshot has changed since is not approved."""
    exceptions = request.exceptions
    passed = [each for each, status in changes.ended_holds.items() if status is HoldStatus.APPROVED]
    if approved := _listed(each.key for each in passed if each.id in exceptions.approved_holds):
        yield "approve", approved
    if exceptions.accepted:
        yield "accept", _listed(exceptions.accepted)
    if moved := [f"{old}={new}" for old, new in request.moves.items() if old in changes.retired]:
        yield "move-key", _listed(moved)
    if exceptions.accept_clock:
        yield "accept-clock", None


def _listed(keys: Iterable[str]) -> str | None:
    return ", ".join(keys) or None
