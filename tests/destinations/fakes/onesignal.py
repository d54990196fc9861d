"""Play OneSignal: one user a request, whose tags are texts, and an empty text deletes one."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, said

TAGS = 100
APP = re.compile(r"/apps/app-1/(users/by/[^/]+/([^/]+)|users|custom_events)$")
DENIED = "Access denied.  Please include an 'Authorization: ...' header with a valid API key."


def answer(state: State, request: Received) -> Outcome:
    if request.headers.get("authorization") != f"Key {state.key}":
        return state, said(401, {"errors": [DENIED]})
    if state.limited:
        return state.limits_once(), said(429, {"errors": [{"code": "Rate Limit Exceeded"}]}, Retry_After="0")
    found = APP.search(request.path)
    if found is None:
        return state, said(404, {"errors": ["No such app"]})
    body = json.loads(request.body)
    if found[1] == "custom_events":
        return _track(state, body["events"])
    if request.method == "PATCH":
        user = unquote(found[2])
        return _set(state, user, body) if user in state.users else (state, said(404, {"errors": ["No such user"]}))
    [user] = body["identity"].values()
    return _set(state, user, body)


def _set(state: State, user: str, body: dict[str, Any]) -> Outcome:
    tags = body["properties"]["tags"]
    if any(not isinstance(value, str) for value in tags.values()):
        return state, said(400, {"errors": [{"code": "invalid-tags", "title": "tags have to be texts"}]})
    if user in state.blocked:
        return state, said(400, {"errors": [{"code": "invalid-user", "title": "The user can't be written"}]})
    draft = Draft(state)
    draft.set(user, {name: value or None for name, value in tags.items()})
    if sum(value is not None for value in draft.users[user].values()) > TAGS:
        return state, said(409, {"errors": [{"code": "entitlements-tag-limit", "title": "Tag limit exceeded"}]})
    return draft.finished(), said(202, body)


def _track(state: State, events: list[dict[str, Any]]) -> Outcome:
    draft = Draft(state)
    for each in events:
        key = each["payload"]["audience_key"]
        user = each["external_id"]
        if user in state.blocked:
            return state, said(400, {"errors": [{"code": "invalid-user", "title": "The user can't be written"}]})
        draft.add(StoredEvent(user, each["name"], key, each["payload"][key]), None)
    return draft.finished(), said(202)
