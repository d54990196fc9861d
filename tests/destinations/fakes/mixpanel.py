"""Play Mixpanel: profiles by ``POST /engage``, which answers 200 to nearly everything, and events by ``/import``."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, said

UPDATES, BATCH_BYTES, TEXT_BYTES, NAME_CHARACTERS, ID_CHARACTERS = 2_000, 2_097_152, 255, 255, 255
#: The operations of an update: an object has one.
OPERATIONS = ("$set", "$unset")
#: The form of a token; one of another form is refused, with a 200.
TOKEN = re.compile("[0-9a-f]{32}")
#: The secret of the project.
SECRET = "secret-1a2b3c"
INSERT_ID = re.compile("[A-Za-z0-9-]{1,36}")
LIMITED = "Project exceeded rate limits. Please retry the request with exponential backoff."


def answer(state: State, request: Received) -> Outcome:
    if len(request.body) > min(BATCH_BYTES, state.most_bytes):
        return state, said(413, {"error": "request exceeds max limit of 2097152 bytes", "status": 0})
    if state.limited:
        return state.limits_once(), said(429, {"code": 429, "error": LIMITED, "status": "Too Many Requests"})
    items = json.loads(request.body)
    if len(items) > UPDATES:
        return state, said(400, {"error": "too many records", "status": 0})
    return _import(state, request, items) if "/import" in request.path else _engage(state, items)


def _engage(state: State, updates: list[dict[str, Any]]) -> Outcome:
    """Store the updates of this project. Those with the token of another are accepted, and stored elsewhere."""
    if not TOKEN.fullmatch(updates[0]["$token"]):
        return state, said(200, {"status": 0, "error": "$engage: token is invalid"})
    draft = Draft(state)
    stored = [each for each in updates if each["$token"] == state.key and _is_valid(state, each)]
    for each in stored:
        user = each["$distinct_id"]
        if "$set" in each:
            draft.set(user, {name: _cut(value) for name, value in each["$set"].items()})
        else:
            draft.set(user, dict.fromkeys(each["$unset"]))
    if not stored and updates[0]["$token"] == state.key:
        return state, said(200, {"status": 0, "error": "no valid update"})
    return draft.finished(), said(200, {"status": 1, "error": None})


def _is_valid(state: State, update: dict[str, Any]) -> bool:
    user = update["$distinct_id"]
    has_one = sum(name in update for name in OPERATIONS) == 1
    return has_one and 0 < len(user) <= ID_CHARACTERS and user not in state.blocked


def _cut(value: Any) -> Any:
    """A text over the limit is truncated without an error."""
    return value.encode()[:TEXT_BYTES].decode(errors="ignore") if isinstance(value, str) else value


def _import(state: State, request: Received, events: list[dict[str, Any]]) -> Outcome:
    """Store events, each once by its insert id. A merge needs the secret of the project instead of its token."""
    merges = [each for each in events if each["event"] == "$merge"]
    if request.headers.get("authorization") != _basic(SECRET if merges else state.key):
        return state, said(401, {"error": "Invalid credentials", "status": 0})
    draft, failed = Draft(state), list[dict[str, Any]]()
    for each in merges:
        user, previous = each["properties"]["$distinct_ids"]
        draft.merge(previous, user)
    for index, event in enumerate(events if not merges else ()):
        properties = event["properties"]
        user, key = properties["distinct_id"], properties["audience_key"]
        if user in state.blocked or not INSERT_ID.fullmatch(properties["$insert_id"]):
            failed.append({"index": index, "insert_id": properties["$insert_id"], "field": "x", "message": "invalid"})
        else:
            draft.add(StoredEvent(user, event["event"], key, properties[key]), properties["$insert_id"])
    imported = len(events) - len(failed)
    if failed:
        body = {"code": 400, "num_records_imported": imported, "status": "Bad Request", "failed_records": failed}
        return draft.finished(), said(400, body)
    return draft.finished(), said(200, {"code": 200, "num_records_imported": imported, "status": "OK"})


def _basic(user: str) -> str:
    return f"Basic {b64encode(f'{user}:'.encode()).decode()}"
