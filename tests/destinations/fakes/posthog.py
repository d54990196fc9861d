"""Play PostHog's capture API: ``POST /batch/`` accepts a batch whole, and drops events without an error."""

from __future__ import annotations

import json
from typing import Any

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, said

BATCH_BYTES, EVENT_BYTES, ID_CHARACTERS = 20_000_000, 1_000_000, 200
WRONG_KEY = {"type": "authentication_error", "code": "invalid_api_key", "detail": "Project API key invalid."}


def answer(state: State, request: Received) -> Outcome:
    body = json.loads(request.body)
    if body["api_key"] != state.key:
        return state, said(401, WRONG_KEY)
    if state.limited:
        return state.limits_once(), said(429, {"type": "throttled_error"}, Retry_After="0")
    if len(request.body) > min(BATCH_BYTES, state.most_bytes):
        return state, said(413, {"type": "validation_error", "code": "too_large"})
    draft = Draft(state)
    for event in body["batch"]:
        if _is_stored(state, event):
            _accept(draft, event)
    return draft.finished(), said(200, {"status": 1})


def _is_stored(state: State, event: dict[str, Any]) -> bool:
    """Whether an event becomes more than an ingestion warning."""
    user = event["distinct_id"]
    return (
        isinstance(user, str)
        and 0 < len(user) <= ID_CHARACTERS
        and user not in state.blocked
        and len(json.dumps(event).encode()) <= EVENT_BYTES
    )


def _accept(draft: Draft, event: dict[str, Any]) -> None:
    user, properties = event["distinct_id"], event["properties"]
    match event["event"]:
        case "$create_alias":
            draft.merge(user, properties["alias"], previous_wins=True)  # as PostHog's ingestion does
        case "$set":
            if properties.get("$process_person_profile", True):
                draft.set(user, {**properties.get("$set", {}), **dict.fromkeys(properties.get("$unset", ()))})
        case name:
            key = properties["audience_key"]
            draft.add(StoredEvent(draft.id_of(user), name, key, properties[key]), event["uuid"])
