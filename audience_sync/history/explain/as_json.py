"""Write an explanation as the document of ``explain --json``."""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec.structs import asdict

from audience_sync.history.explain.calls import Call, CallOutcome
from audience_sync.history.explain.explain import DestinationView, Explanation
from audience_sync.history.explain.status import PropertyStatus
from audience_sync.history.explain.value_history import UNKNOWN, ValueChange, ValueHistory
from audience_sync.model import PropertyKind

#: Runs refuse deeper values, but an earlier version stored them; Python can neither read nor write them.
MAX_DEPTH = 100
_SIGNS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def explanation_json(found: Explanation) -> dict[str, Any]:
    """Build the document that docs/commands/explain.md defines."""
    members = [each for each in found.versions.values() if each.definition.kind is PropertyKind.AUDIENCE]
    traits = [each for each in found.versions.values() if each.definition.kind is PropertyKind.COMPUTED_TRAIT]
    return {
        "user_id": found.user_id,
        "at": found.at,
        "known": found.is_known,
        "new_id": found.current_id and found.current_id.new_id,
        "erased_at": found.erased_at,
        "suppressed": found.is_suppressed,
        "suppressions": [asdict(each) for each in found.suppressions],
        "audiences": [_property_json(found, each) for each in members if each.was_ever_present],
        "never_in": [each.definition.key for each in members if not each.was_ever_present] if found.is_known else [],
        "computed_traits": [_property_json(found, each) for each in traits if each.was_ever_present],
        "destinations": [_destination_json(found, each) for each in found.destinations] if found.is_known else [],
        "held_out": [
            {"key": key, "run": each.run, "since": each.since, "holdout": each.share}
            for key, each in found.holdouts.items()
        ],
        "requests_kept_after_run": found.forgotten or None,
    }


def value_json(version: ValueChange) -> dict[str, Any]:
    """Build the value; ``value_kept`` is false if the store no longer has it."""
    if version.value == UNKNOWN:
        return {"value": None, "value_kept": False}
    return {"value": None if version.value is None else _parsed(version.value)}


def _parsed(text: str) -> Any:
    """Parse a stored value; return the text of one that is too deep or too long to parse."""
    if _depth(text) > MAX_DEPTH:
        return text
    try:
        return json.loads(text)
    except ValueError:  # an integer of thousands of digits
        return text


def _depth(text: str) -> int:
    """Count how deep lists and objects are nested in a JSON text."""
    deepest = depth = 0
    for sign in _SIGNS.finditer(text):
        depth += 1 if sign[0] in "[{" else -1 if sign[0] in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


def _property_json(found: Explanation, versions: ValueHistory) -> dict[str, Any]:
    snapshot, now = found.snapshots[versions.definition.key], versions.latest
    confirmed, missing = snapshot.confirmed_by, found.absences.get(versions.definition.key)
    history = [each for each in (versions.first, *versions.changes) if each.value is not None or each.run == now.run]
    return {
        "key": versions.definition.key,
        "name": versions.definition.name,
        "retired": versions.definition.retired,
        **value_json(now),
        **_run_json(found, now),
        "snapshot": {**snapshot.counts, "loaded_from": versions.latest_loaded_from},
        "confirmed": confirmed and {"run": confirmed, "at": found.times[confirmed]},
        "problem": snapshot.problem,
        "missing": missing and {"run": missing.run, "since": missing.since, "min_stay": missing.min_stay},
        "history": [{**value_json(each), **_run_json(found, each)} for each in history],
    }


def _run_json(found: Explanation, version: ValueChange) -> dict[str, Any]:
    return {"since": found.times[version.run], "run": version.run}


def _destination_json(found: Explanation, view: DestinationView) -> dict[str, Any]:
    refusal = view.replay.refusals[-1] if view.replay.refusals else None
    return {
        "name": view.name,
        "type": view.type,
        "last_delivery": view.last and asdict(view.last),
        "unanswered_since_run": view.unanswered_since,
        "properties": [_status_json(each) for each in view.statuses],
        "refusal": refusal and {**_answer_json(refusal), "attempts": len(view.replay.refusals)},
        "calls": [_call_json(found, view, each) for each in view.replay.calls],
    }


def _status_json(line: PropertyStatus) -> dict[str, Any]:
    sent = line.sent and {**value_json(line.sent.values[line.key]), **_answer_json(line.sent)}
    due = line.pending and {**value_json(line.pending), "since_run": line.pending.run}
    return {"key": line.key, "state": line.state, "sent": sent, "due": due, "ended_run": line.ended_run}


def _call_json(found: Explanation, view: DestinationView, call: Call) -> dict[str, Any]:
    sent = {**call.values, **view.last_identifiers(call, found.versions)}
    values = {key: value_json(each)["value"] for key, each in sorted(sent.items())}
    forms = sorted(view.forms(call).items())
    if not forms:
        return {**_answer_json(call), "outcome": call.outcome, "properties": values}
    sent_as = {
        "user_id": view.sent_id(call, found.versions) or found.user_id,
        "names": {key: form.name for key, form in forms if form.name},
        "hashed": [key for key, form in forms if form.hashed],
    }
    return {**_answer_json(call), "outcome": call.outcome, "properties": values, "sent_as": sent_as}


def _answer_json(call: Call) -> dict[str, Any]:
    request = call.request
    found = {"request": request.id, "run": request.run, "at": request.answered_at}
    return {**found, "http_status": http_status(call), "answer": reason(call)}


def http_status(call: Call) -> int | None:
    """Return the status of the user's own call: a request with refused calls has had several answers."""
    if call.request.unaccepted and call.outcome is not CallOutcome.DELIVERED:
        return call.request.unaccepted.http_status
    return None if call.request.refused else call.request.http_status


def reason(call: Call) -> str | None:
    """Return the destination's answer to the call, if it had a text."""
    if call.request.unaccepted and call.outcome is not CallOutcome.DELIVERED:
        return call.request.unaccepted.reason
    return None if call.request.refused else call.request.answer
