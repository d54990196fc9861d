"""Read requests to Zendesk Connect's API (Outbound), and answer as it did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from audience_sync.sandbox.json_text import storable, written
from audience_sync.sandbox.keys import ConnectKey, connect_key, key_digest
from audience_sync.sandbox.receive.body import BodyError, parsed, unpacked
from audience_sync.sandbox.receive.checks import (
    address_problem,
    epoch_problem,
    object_of,
    property_problems,
    timezone_problem,
    token_problem,
)
from audience_sync.sandbox.values import Answer, Call, ListChange, Problem, Reading, Request, Service

#: Items that are accepted in a batch, and that are shown of a longer one.
MOST_ITEMS, SHOWN_ITEMS = 100, 1_000
MOST_EVENT_CHARACTERS = 200
TOKENS = ("apns", "gcm", "fcm")
TEXTS = ("first_name", "last_name", "email", "phone_number", "timezone")
IDS = ("previous_id", "group_id")
USER_FIELDS = frozenset({"user_id", "anon_id", "group_attributes", "attributes", "timestamp", *IDS, *TEXTS, *TOKENS})
EVENT_FIELDS = frozenset({"user_id", "anon_id", "event", "properties", "timestamp", "user"})
#: Endpoints below ``/v2``, and whether they accept a batch.
ENDPOINTS: Mapping[str, bool] = {
    "identify": False,
    "identify/batch": True,
    "track": False,
    "track/batch": True,
    **{f"{token}/{what}": False for token in TOKENS for what in ("register", "disable")},
    **{f"{what}/{which}": False for what in ("subscribe", "unsubscribe") for which in ("all", "campaigns")},
}
SUCCESS = Answer()


def error(status: int, message: str) -> Answer:
    """Return an error in Connect's form."""
    return Answer(status, json.dumps({"error": {"Message": message, "Code": status}}, ensure_ascii=False).encode())


def read_connect(request: Request, endpoint: str, now: datetime) -> Reading:
    """Read a request below ``/v2``. One wrong item refuses the request, as the service documents it."""
    key, refusal, problems = _authorised(request)
    destination = "connect"
    if key is not None and key.environment != "development":
        text = request.headers.get("x-outbound-key", "")
        destination = f"connect {key.environment}" if key.environment else f"connect ({key_digest(text)})"

    def reading(answer: Answer, calls: Sequence[Call] = ()) -> Reading:
        return Reading(
            service=Service.CONNECT,
            destination=destination,
            calls=tuple(calls),
            problems=tuple(problems),
            answer=answer,
            request_id=request.headers.get("x-outbound-guid", ""),
        )

    try:
        document = parsed(unpacked(request))
    except BodyError as failure:
        problems.append(failure.problem)
        is_large = failure.problem.code == "body_too_large"
        return reading(
            refusal or (error(413, failure.problem.text) if is_large else error(500, "the body is not JSON"))
        )
    is_batch = ENDPOINTS[endpoint]
    items = document if is_batch and isinstance(document, list) else [document]
    if is_batch and (problem := _batch_problem(document)):
        problems.append(problem)
    calls = [_read_item(each, endpoint.partition("/batch")[0], now) for each in items[:SHOWN_ITEMS]]
    if refusal:
        return reading(refusal, calls)
    wrong = [each for each in problems if each.is_fatal]
    if not wrong:
        wrong = [each for call in calls for each in call.problems if each.is_fatal]
        if wrong and len(calls) > 1:
            problems.append(Problem("batch_refused", "one item is wrong, and the service refuses the whole batch"))
    return reading(error(400, wrong[0].text) if wrong else SUCCESS, calls)


def _batch_problem(document: Any) -> Problem | None:
    if not isinstance(document, list):
        return Problem("batch_not_list", "the body of a batch is not a JSON array")
    if not document:
        return Problem("empty_batch", "the batch is empty")
    if len(document) > MOST_ITEMS:
        return Problem("batch_too_long", f"the batch has {len(document):,} items: 100 are accepted")
    return None


def _authorised(request: Request) -> tuple[ConnectKey | None, Answer | None, list[Problem]]:
    """Return the key, the refusal if it can't be used, and its problems."""
    text = request.headers.get("x-outbound-key", "")
    if not text:
        return None, error(401, "Unauthorized"), [Problem("no_key", "the header X-Outbound-Key is missing")]
    key = connect_key(text)
    if key is None:
        what = "X-Outbound-Key does not look like a key: 32 hex digits, with or without `pub-` before a public one"
        return None, error(401, "Unauthorized"), [Problem("malformed_key", what)]
    is_device = _is_device(request)
    if key.is_public and not is_device:
        what = "this is the public key, which is for browsers and phones: a server needs the private key"
        return key, error(401, "Unauthorized"), [Problem("public_key", what)]
    if key.is_public is False and "origin" in request.headers:
        what = "a browser sent the private key, so every visitor can read it: use the public key there"
        return key, None, [Problem("private_key_in_browser", what, False)]
    return key, None, []


def _is_device(request: Request) -> bool:
    """Whether a browser or a phone sent the request."""
    client = request.headers.get("x-outbound-client", "").lower()
    return "origin" in request.headers or "referer" in request.headers or client.startswith(("ios", "android"))


def _read_item(item: Any, endpoint: str, now: datetime) -> Call:
    text = written(item)
    if not isinstance(item, dict):
        return Call("request", "", text, problems=(Problem("not_an_object", "the item is not a JSON object"),))
    problems: list[Problem] = []
    user = _user_of(item, problems)
    kind, _, rest = endpoint.partition("/")
    match kind:
        case "identify":
            call = _identify(item, user, text, problems)
        case "track":
            call = _track(item, user, text, problems, now)
        case "subscribe" | "unsubscribe":
            call = Call(kind, user, text, lists=_subscription(item, kind, rest, problems))
        case _:
            call = Call(rest, user, text, lists=tuple(_device(item, kind, rest, problems)))
    return call._replace(problems=tuple(problems))


def _user_of(item: Mapping[str, Any], problems: list[Problem]) -> str:
    for field in ("user_id", "anon_id"):
        value = item.get(field)
        if value is None:
            continue
        if value == "":
            problems.append(Problem("user_id_empty", f"`{field}` is empty"))
        elif not _is_id(value):
            problems.append(Problem("user_id_type", f"`{field}` is neither a text nor a number"))
        else:
            return storable(str(value))
        return ""
    problems.append(Problem("user_id_required", "`user_id` is required"))
    return ""


def _is_id(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _unknown_fields(item: Mapping[str, Any], known: Set[str], of: str, place: str) -> Iterator[Problem]:
    for name in item:
        if name not in known:
            what = f"`{storable(name)}` is not a field of {of} and is ignored: it belongs into `{place}`"
            yield Problem("unknown_field", what, False)


def _identify(item: Mapping[str, Any], user: str, text: str, problems: list[Problem]) -> Call:
    problems += _unknown_fields(item, USER_FIELDS, "Connect's user", "attributes")
    wrong = {field: "not_text" for field in TEXTS if not isinstance(item.get(field), str | None)}
    wrong |= {field: "tokens_not_list" for field in TOKENS if not isinstance(item.get(field), list | None)}
    wrong |= {field: "id_type" for field in IDS if item.get(field) is not None and not _is_id(item[field])}
    problems += [Problem(code, f"`{field}` {_WRONG[code]}") for field, code in wrong.items()]
    fields = {field: value for field, value in item.items() if field not in wrong}
    problems += filter(None, [address_problem(fields.get("email")), timezone_problem(fields.get("timezone"))])

    sets = {field: fields[field] for field in TEXTS if field in fields}
    if fields.get("group_id") is not None:
        sets["group_id"] = fields["group_id"]
    group_sets = object_of(item, "group_attributes", problems)
    if group_sets and "group_id" not in sets:
        problems.append(Problem("group_without_id", "`group_attributes` without `group_id` are ignored", False))
    for name, value in object_of(item, "attributes", problems).items():
        is_field = name in TEXTS or name in TOKENS
        if is_field:
            what = f"the attribute `{name}` is not the user's {name.replace('_', ' ')}: that is a field of the user"
            problems.append(Problem("attribute_is_field", what, False))
        sets[f"attributes.{name}" if is_field else name] = value
    problems += property_problems({name: value for name, value in sets.items() if name != "timezone"})

    tokens = {field: fields[field] for field in TOKENS if fields.get(field)}  # they are added, as by `register`
    problems += [found for field in tokens for each in tokens[field] if (found := token_problem(field, each))]
    previous = "" if fields.get("previous_id") is None else storable(str(fields["previous_id"]))
    return Call(
        "alias" if previous and not sets and not tokens else "identify",
        user,
        text,
        sets=sets,
        lists=tuple(ListChange(field, True, tuple(values)) for field, values in tokens.items()),
        group_sets=group_sets,
        previous_id=previous,
    )


_WRONG = {
    "not_text": "is not a text",
    "tokens_not_list": "is not a list: it is one also for a single token",
    "id_type": "is neither a text nor a number",
}


def _track(item: Mapping[str, Any], user: str, text: str, problems: list[Problem], now: datetime) -> Call:
    problems += _unknown_fields(item, EVENT_FIELDS, "an event", "properties")
    event = item.get("event")
    if not isinstance(event, str) or not event:
        problems.append(Problem("event_required", "`event` is required"))
        event = ""
    elif len(event) > MOST_EVENT_CHARACTERS:
        problems.append(Problem("event_too_long", f"`event` has {len(event):,} characters: 200 are accepted"))
    if (moment := item.get("timestamp")) is not None and (found := epoch_problem("timestamp", moment, now)):
        problems.append(found)
    return Call("track", user, text, event=storable(event), properties=object_of(item, "properties", problems))


def _device(item: Mapping[str, Any], token: str, what: str, problems: list[Problem]) -> Iterator[ListChange]:
    if what == "disable" and item.get("all") is True:
        yield ListChange(token, False)
        return
    if found := token_problem("token", item.get("token")):
        problems.append(found)
        return
    if isinstance(replaced := item.get("replace"), str):
        yield ListChange(token, False, (replaced,))
    yield ListChange(token, what == "register", (item["token"],))


def _subscription(item: Mapping[str, Any], kind: str, which: str, problems: list[Problem]) -> tuple[ListChange, ...]:
    if which == "all":
        return (ListChange("unsubscribed", kind == "unsubscribe", ("all",)),)
    campaigns = item.get("campaign_ids")
    if not isinstance(campaigns, list) or not campaigns:
        problems.append(Problem("campaigns_required", "`campaign_ids` is required: a list with at least one id"))
        return ()
    return (ListChange("unsubscribed", kind == "unsubscribe", tuple(campaigns)),)
