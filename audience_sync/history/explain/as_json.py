"""How is an explanation said to a program? The document of ``explain --json``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from audience_sync.history.explain.explain import DestinationView, Explanation
from audience_sync.history.explain.replay import Call, CallOutcome
from audience_sync.history.explain.status import PropertyStatus
from audience_sync.history.explain.value_history import UNKNOWN, ValueChange, ValueHistory
from audience_sync.model import PropertyKind

#: Runs reject deeper values, an earlier version accepted them; Python can neither read nor write them.
MOST_LEVELS = 100
_SIGNS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def explanation_json(found: Explanation) -> dict[str, Any]:
    """The contract of ``explain --json`` (docs/commands/explain.md)."""
    members = [each for each in found.versions.values() if each.of.kind is PropertyKind.AUDIENCE]
    traits = [each for each in found.versions.values() if each.of.kind is PropertyKind.COMPUTED_TRAIT]
    return {
        "user_id": found.user_id,
        "at": found.at,
        "known": found.is_known,
        "new_id": found.joined and found.joined.new_id,
        "erased_at": found.erased_at,
        "suppressed": found.is_suppressed,
        "suppressions": [asdict(each) for each in found.suppressions],
        "audiences": [_property(found, each) for each in members if each.ever],
        "never_in": [each.of.key for each in members if not each.ever] if found.is_known else [],
        "computed_traits": [_property(found, each) for each in traits if each.ever],
        "destinations": [_destination(each) for each in found.destinations] if found.is_known else [],
        "held_out": [
            {"key": key, "run": each.run, "since": each.since, "holdout": each.share}
            for key, each in found.holdouts.items()
        ],
        "requests_kept_after_run": found.forgotten or None,
    }


def value_json(version: ValueChange) -> dict[str, Any]:
    """``value_kept`` is false where the store no longer has the value."""
    if version.value == UNKNOWN:
        return {"value": None, "value_kept": False}
    return {"value": None if version.value is None else _plain(version.value)}


def _plain(text: str) -> Any:
    """A stored value; of one that an earlier version accepted and no program reads easily, its text."""
    if _levels(text) > MOST_LEVELS:
        return text
    try:
        return json.loads(text)
    except ValueError:  # an integer of thousands of digits
        return text


def _levels(text: str) -> int:
    """How deep lists and objects are nested in a JSON text."""
    deepest = depth = 0
    for sign in _SIGNS.finditer(text):
        depth += 1 if sign[0] in "[{" else -1 if sign[0] in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


def _property(found: Explanation, versions: ValueHistory) -> dict[str, Any]:
    snapshot, now = found.snapshots[versions.of.key], versions.now
    confirmed, missing = snapshot.confirmed_by, found.absences.get(versions.of.key)
    history = [each for each in (versions.first, *versions.changes) if each.value is not None or each.run == now.run]
    return {
        "key": versions.of.key,
        "name": versions.of.name,
        "retired": versions.of.retired,
        **value_json(now),
        **_since(found, now),
        "snapshot": {**snapshot.counts, "loaded_from": versions.now_from},
        "confirmed": confirmed and {"run": confirmed, "at": found.times[confirmed]},
        "problem": snapshot.problem,
        "missing": missing and {"run": missing.run, "since": missing.since, "min_stay": missing.min_stay},
        "history": [{**value_json(each), **_since(found, each)} for each in history],
    }


def _since(found: Explanation, version: ValueChange) -> dict[str, Any]:
    return {"since": found.times[version.run], "run": version.run}


def _destination(view: DestinationView) -> dict[str, Any]:
    refusal = view.told.refusals[-1] if view.told.refusals else None
    return {
        "name": view.name,
        "type": view.type,
        "last_delivery": view.last and asdict(view.last),
        "unanswered_since_run": view.unanswered_since,
        "properties": [_line(each) for each in view.lines],
        "refusal": refusal and {**_answer(refusal), "attempts": len(view.told.refusals)},
        "calls": [_call(each) for each in view.told.calls],
    }


def _line(line: PropertyStatus) -> dict[str, Any]:
    told = line.told and {**value_json(line.told.values[line.key]), **_answer(line.told)}
    due = line.due and {**value_json(line.due), "since_run": line.due.run}
    return {"key": line.key, "state": line.state, "told": told, "due": due, "ended_run": line.ended_run}


def _call(call: Call) -> dict[str, Any]:
    values = {key: value_json(each)["value"] for key, each in sorted(call.values.items())}
    return {**_answer(call), "outcome": call.outcome, "properties": values}


def _answer(call: Call) -> dict[str, Any]:
    request = call.request
    found = {"request": request.id, "run": request.run, "at": request.answered_at}
    return {**found, "http_status": http_status(call), "answer": reason(call)}


def http_status(call: Call) -> int | None:
    """That of the user's own call: a request some of whose calls were refused has had several answers."""
    if call.request.untaken and call.outcome is not CallOutcome.DELIVERED:
        return call.request.untaken.http_status
    return None if call.request.refused else call.request.http_status


def reason(call: Call) -> str | None:
    """What the destination said of the call, where it said something."""
    if call.request.untaken and call.outcome is not CallOutcome.DELIVERED:
        return call.request.untaken.reason
    return None if call.request.refused else call.request.answer
