"""Read one message of Segment's specification: identify, track, page, screen, group, alias."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from audience_sync.sandbox.json_text import storable, written
from audience_sync.sandbox.receive.checks import iso_problem, object_of, property_problems, timezone_problem
from audience_sync.sandbox.values import Call, Problem

MESSAGE_BYTES = 32_768
MOST_TRAITS = 299
MOST_ID_CHARACTERS = 100
TYPES = ("identify", "track", "page", "screen", "group", "alias")
NO_ID = Problem("no_user_anon_id", "neither `userId` nor `anonymousId`: one of them is required")
_TOO_LONG = "`messageId` has {count} characters: over 100 the message is dropped without notice"
_TOO_LARGE = "the message has {count:,} bytes: 32,768 (32 KB) are accepted"
_TOO_MANY = "{count} traits: 299 are accepted, and a message with more is dropped without notice"


def read_message(item: Any, kind: str, now: datetime, *, is_segment: bool = True) -> Call:
    """Return the call of a message. ``kind`` is the type that the address names; empty in a batch.

    ``is_segment``: Segment's limits drop a message; of others they are warnings, and traits may be in
    ``context.traits``, where RudderStack's clients put them.
    """
    text = written(item)
    if not isinstance(item, dict):
        return Call("request", "", text, problems=(Problem("not_an_object", "the message is not a JSON object"),))
    problems: list[Problem] = []
    kind = kind or _type_of(item, problems)
    user = _user_of(item, problems)
    if len(text) > MESSAGE_BYTES // 4 and (count := len(text.encode())) > MESSAGE_BYTES:
        problems.append(Problem("message_too_large", _TOO_LARGE.format(count=count), is_segment))
    message_id = item.get("messageId")
    if isinstance(message_id, str):
        if len(message_id) > MOST_ID_CHARACTERS:
            problems.append(Problem("message_id_too_long", _TOO_LONG.format(count=len(message_id)), is_segment))
    elif message_id is not None:
        problems.append(Problem("message_id_not_text", "`messageId` is not a text: repeats can't be recognised", False))
    if (value := item.get("timestamp")) is not None and (problem := iso_problem("timestamp", value, now)):
        problems.append(problem)
    context = item.get("context")
    if context is not None and not isinstance(context, dict):
        problems.append(Problem("context_not_object", "`context` is not an object"))
    context = context if isinstance(context, dict) else {}
    event, previous = "", ""
    sets: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    match kind:
        case "identify":
            sets = _traits(item, context, problems, is_segment=is_segment)
            if context:
                _check_context(context, problems)
        case "track":
            event = _name(item, "event", "event_required", "the name of the event is required", problems)
            properties = object_of(item, "properties", problems)
        case "page" | "screen":
            name = item.get("name") or item.get("category") or ""
            title = "Page" if kind == "page" else "Screen"
            event = storable(f"Viewed {name} {title}") if isinstance(name, str) and name else f"Viewed a {title}"
            properties = object_of(item, "properties", problems)
        case "group":
            group = _name(item, "groupId", "group_id_required", "a group call names its group", problems)
            sets = {"group_id": group} if group else {}
            object_of(item, "traits", problems)
        case "alias":
            previous = _name(item, "previousId", "previous_id_required", "an alias names both ids", problems)
    return Call(
        kind,
        user,
        text,
        message_id=storable(message_id) if isinstance(message_id, str) else "",
        event=event,
        sets=sets,
        properties=properties,
        previous_id=previous,
        problems=tuple(problems),
    )


def _type_of(item: Mapping[str, Any], problems: list[Problem]) -> str:
    found = item.get("type")
    if found in TYPES:
        return str(found)
    what = f"`type` is {written(found)[:40]}" if "type" in item else "`type` is missing"
    problems.append(Problem("unknown_type", f"{what}: it has to be one of {', '.join(TYPES)}"))
    return "request"


def _user_of(item: Mapping[str, Any], problems: list[Problem]) -> str:
    """Return the user id, or the anonymous id of a person who has none."""
    found, is_missing = "", True
    for field in ("userId", "anonymousId"):
        value = item.get(field)
        if value is None:
            continue
        is_missing = False
        if not isinstance(value, str) or not value:
            text = f"`{field}` was an empty string or not a string ({written(value)[:40]})"
            problems.append(Problem("id_not_string", text))
            found = found or (written(value) if value else "")
        else:
            found = found or storable(value)
    if is_missing:
        problems.append(NO_ID)
    return found


def _traits(
    item: Mapping[str, Any], context: Mapping[str, Any], problems: list[Problem], *, is_segment: bool
) -> Mapping[str, Any]:
    traits = object_of(item, "traits", problems)
    if not traits and not is_segment and isinstance(context.get("traits"), dict):
        traits = context["traits"]
    if len(traits) > MOST_TRAITS:
        problems.append(Problem("too_many_traits", _TOO_MANY.format(count=len(traits)), is_segment))
    problems += property_problems(traits)
    return traits


def _name(item: Mapping[str, Any], field: str, code: str, why: str, problems: list[Problem]) -> str:
    """Return a text that is required; empty, with a problem, if it is missing."""
    found = item.get(field)
    if isinstance(found, str) and found:
        return storable(found)
    problems.append(Problem(code, f"`{field}` is missing: {why}"))
    return ""


def _check_context(context: Mapping[str, Any], problems: list[Problem]) -> None:
    if "timezone" in context and (problem := timezone_problem(context["timezone"])):
        problems.append(problem)
    device = context.get("device")
    if isinstance(device, dict) and device.get("token") and device.get("type") not in ("ios", "android"):
        text = "`context.device.token` without `type` `ios` or `android`: the token is dropped"
        problems.append(Problem("device_without_type", text, False))
