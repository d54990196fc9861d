"""Play Iterable: its 200 names the users it refused by identifier, and the fields that it did not store."""

from __future__ import annotations

import json
import re
from typing import Any

from destinations.receiver import Received

from .state import Draft, Outcome, State, StoredEvent, kind_of, said

BATCH_BYTES, USERS = 4_000_000, 1_001
#: A user id: at most 52 printable characters of ASCII, with no blank at its end.
USER_ID = re.compile(r"[\x20-\x7e]{0,51}[\x21-\x7e]")


def answer(state: State, request: Received) -> Outcome:
    if request.headers.get("api-key") != state.key:
        return state, said(401, {"code": "BadApiKey", "msg": "Invalid API key", "params": None})
    if state.limited:
        return state.limits_once(), said(429, {"code": "RateLimitExceeded", "msg": "Too many requests"})
    if len(request.body) > min(BATCH_BYTES, state.most_bytes):
        return state, said(413, {"code": "BatchTooLarge", "msg": "Request too large"})
    body = json.loads(request.body)
    if request.path.endswith("/users/merge"):
        return _merge(state, body)
    if request.path.endswith("/events/trackBulk"):
        return _track(state, body["events"])
    return _update(state, body)


def _user(item: dict[str, Any]) -> str:
    return str(item.get("userId", item.get("email", "")))


def _failures(**named: list[str]) -> dict[str, Any]:
    """The body of an answer; each name is a list of ``failedUpdates`` without its end."""
    lists = ("invalid", "notFound", "invalidData", "conflict", "forgotten")
    failed: dict[str, list[str]] = {f"{each}{kind}": [] for each in lists for kind in ("Emails", "UserIds")}
    for each, users in named.items():
        failed[f"{each}UserIds"] = [user for user in users if "@" not in user]
        failed[f"{each}Emails"] = [user for user in users if "@" in user]
    return {"failCount": sum(map(len, named.values())), "failedUpdates": failed}


def _update(state: State, body: dict[str, Any]) -> Outcome:
    users = body["users"]
    if len(users) > USERS:
        return state, said(400, {"code": "BatchTooLarge", "msg": "Too many users", "params": None})
    draft, invalid, forgotten, mistyped, dropped = Draft(state), list[str](), list[str](), list[str](), set[str]()
    creates = body.get("createNewFields", state.creates_fields)
    for item in users:
        user, fields = _user(item), item["dataFields"]
        if not USER_ID.fullmatch(user):
            invalid.append(user)
        elif user in state.blocked:
            forgotten.append(user)
        elif any(draft.types.get(name, kind_of(value)) != kind_of(value) for name, value in _values(fields).items()):
            mistyped.append(user)
        else:
            unheard = {name for name in fields if name not in draft.types}
            if not creates:
                dropped |= unheard
                fields = {name: value for name, value in fields.items() if name not in unheard}
            draft.types |= {name: kind_of(value) for name, value in _values(fields).items()}
            draft.set(user, fields)
    named = _failures(invalid=invalid, forgotten=forgotten, invalidData=mistyped)
    counted = {"successCount": len(users) - named["failCount"], **named, "filteredOutFields": sorted(dropped)}
    return draft.finished(), said(200, counted)


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _track(state: State, events: list[dict[str, Any]]) -> Outcome:
    draft, forgotten = Draft(state), list[str]()
    for each in events:
        user, properties = _user(each), each["dataFields"]
        if user in state.blocked:
            forgotten.append(user)
            continue
        key = properties["audience_key"]
        draft.add(StoredEvent(draft.id_of(user), each["eventName"], key, properties[key]), each["id"])
    return draft.finished(), said(200, {"successCount": len(events) - len(forgotten), **_failures(forgotten=forgotten)})


def _merge(state: State, body: dict[str, Any]) -> Outcome:
    previous = str(body.get("sourceUserId", body.get("sourceEmail")))
    user = str(body.get("destinationUserId", body.get("destinationEmail")))
    draft = Draft(state)
    if previous in state.blocked or user in state.blocked:
        return state, said(409, {"code": "ForgottenUserError", "msg": "the user is forgotten", "params": None})
    if previous not in draft.users:
        return state, said(400, {"code": "UnknownUserIdError", "msg": f"User {previous} not found", "params": None})
    draft.merge(previous, user)
    return draft.finished(), said(200, {"code": "Success", "msg": "", "params": None})
