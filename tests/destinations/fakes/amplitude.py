"""Play Amplitude: ``POST /2/httpapi`` refuses a request whole and names the indexes, and drops short ids silently."""

from __future__ import annotations

import json
from typing import Any

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, said

EVENTS, BATCH_BYTES, TEXT_CHARACTERS, SHORTEST_ID = 2_000, 1_000_000, 1_024, 5
NO_USERS = ("anonymous", "null", "nil", "undefined")


def answer(state: State, request: Received) -> Outcome:
    """Answer; ``quota`` is what each user has left for today."""
    body = json.loads(request.body)
    if body["api_key"] != state.key:
        return state, said(400, {"code": 400, "error": f"Invalid API key: {body['api_key']}"})
    events = body["events"]
    if len(request.body) >= min(BATCH_BYTES, state.most_bytes) or len(events) >= EVENTS:
        return state, said(413, {"code": 413, "error": "Payload too large"})
    if state.limited:
        return state.limits_once(), said(429, {"code": 429, "error": "Too many requests"})
    if state.quota == 0 and (over := [each["user_id"] for each in events if each["user_id"] in state.blocked]):
        quotas = {"code": 429, "error": "Too many requests", "exceeded_daily_quota_users": dict.fromkeys(over, 500_001)}
        return state, said(429, quotas)
    if invalid := [index for index, each in enumerate(events) if each["user_id"] in state.blocked]:
        fields = {"code": 400, "error": "Invalid field", "events_with_invalid_fields": {"user_id": invalid}}
        return state, said(400, fields)
    shortest = body.get("options", {}).get("min_id_length", SHORTEST_ID)
    stored = [each for each in events if len(each["user_id"]) >= shortest and each["user_id"].lower() not in NO_USERS]
    draft = Draft(state)
    for each in stored:
        _accept(draft, each)
    return draft.finished(), said(200, {"code": 200, "events_ingested": len(stored)})


def _accept(draft: Draft, event: dict[str, Any]) -> None:
    user = event["user_id"]
    if event["event_type"] != "$identify":
        properties = event["event_properties"]
        key = properties["audience_key"]
        draft.add(StoredEvent(user, event["event_type"], key, properties[key]), event["insert_id"])
        return
    operations = event["user_properties"]
    values = {name: _cut(value) for name, value in operations.get("$set", {}).items()}
    draft.set(user, {**values, **dict.fromkeys(operations.get("$unset", {}))})


def _cut(value: Any) -> Any:
    return value[:TEXT_CHARACTERS] if isinstance(value, str) else value
