"""Every recorded case of a vendor: the same request for the same call, and the same reading of an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from audience_sync.destinations.base import Answer, FieldKind, HttpDestination, HttpRequest, Message
from audience_sync.destinations.json_api.fields import FieldsDestination
from audience_sync.model import Alias, AudienceEvent, IdentifyCall, UserId

from .vendors import ABOUT, vendor

FOLDER = Path(__file__).parents[1] / "cases" / "destinations"
TIMESTAMP = "2026-11-23T20:51:29.084Z"
#: Fields with the time of a run or an id made from it, which no recording shares with a test.
OF_THE_MOMENT = ("timestamp", "time", "uuid", "insert_id")
#: Cases of another way to send, with the reason why the program does not send so.
NOT_USED = {
    ("iterable", "list subscribe"): "lists of users come with list-type destinations; the property `vip` does the same",
    ("iterable", "list unsubscribe"): "as above",
    ("amplitude", "identify API"): "it drops no repeats and names no single event; `$identify` events do both",
}
#: Options that a case needs and does not name.
OPTIONS = {("onesignal", "tags"): {"update_only": True}}


def cases(kind: str) -> list[Any]:
    """The recorded cases of a kind, with the vendor of each."""
    recorded = [
        (file.stem, case) for file in sorted(FOLDER.glob("*.json")) for case in json.loads(file.read_text())["cases"]
    ]
    return [
        pytest.param(name, case, id=f"{name}: {case['name']}")
        for name, case in recorded
        if case["kind"] == kind and (name, case["name"]) not in NOT_USED
    ]


def messages_of(destination: HttpDestination, calls: list[dict[str, Any]]) -> list[Message]:
    messages: list[Message] = []
    for number, call in enumerate(calls, 1):
        user = call.get("email", call["user_id"])
        if "event" in call:
            event = AudienceEvent(call["key"], True, f"m-{number}", TIMESTAMP)
            messages.append(destination.encode_event(user, event))
        else:
            messages += destination.encode(IdentifyCall(user, json.dumps(call["traits"]), f"m-{number}", TIMESTAMP))
    return messages


def request_of(name: str, destination: HttpDestination, case: dict[str, Any]) -> HttpRequest:
    if case["name"] == "create the property":
        assert isinstance(destination, FieldsDestination)
        return destination.field_request("vip", FieldKind.BOOLEAN)
    messages = messages_of(destination, case["call"])
    if name == "posthog":  # the recording has an event and an alias, too
        messages.append(destination.encode_event("C-00001", AudienceEvent("vip", True, "m-3", TIMESTAMP)))
        messages.append(destination.encode_alias("C-00001", Alias(UserId("anon-1"), "m-4", TIMESTAMP)))
    return destination.request(messages)


def without_moments(value: Any) -> Any:
    if isinstance(value, list):
        return [without_moments(each) for each in value]
    if not isinstance(value, dict):
        return value
    is_event = value.get("action") == "event"  # its id is a ULID of the run's time
    left_out = (*OF_THE_MOMENT, "id") if is_event else OF_THE_MOMENT
    return {key: without_moments(each) for key, each in value.items() if key not in left_out}


def filled(text: str) -> str:
    """The placeholders of the recordings with the invented values of the tests."""
    basic = "c2l0ZV9pZDphcGlfa2V5"  # site_id:api_key
    return text.replace("<base64 of site_id:api_key>", basic).replace("{app_id}", "app-1")


@pytest.mark.parametrize(("name", "case"), cases("request"))
def test_a_call_becomes_the_recorded_request(name: str, case: dict[str, Any]) -> None:
    options = {**OPTIONS.get((name, case["name"]), {}), **case.get("options", {})}
    request = request_of(name, vendor(name, **options), case)
    url = urlsplit(request.url)
    recorded = case["request"]
    assert request.method == recorded["method"]
    assert url.path + (f"?{url.query}" if url.query else "") == filled(recorded["path"])
    headers = {key: filled(value) for key, value in recorded["headers"].items()}
    assert dict(request.headers) == headers
    assert without_moments(json.loads(request.body)) == without_moments(recorded["body"])


@pytest.mark.parametrize(("name", "case"), cases("answer"))
def test_an_answer_is_judged_as_read(name: str, case: dict[str, Any]) -> None:
    destination = vendor(name, ABOUT, **({"id_property": "customer_id"} if name == "hubspot" else {}))
    calls = [{"user_id": f"C-{number:05}", "traits": {"vip": True}} for number in range(1, 6)]
    named = case["reading"].get("named") or case["reading"].get("refused") or []
    messages = messages_of(destination, calls[: 5 if "named" in case["reading"] else 2])
    body = json.dumps(case["answer"]["body"]).encode()
    judgement = destination.judge(Answer(case["answer"]["status"], body, headers=case["answer"]["headers"]), messages)
    assert judgement.meaning.name == case["reading"]["meaning"]
    assert judgement.retry_after == case["reading"].get("wait")
    if named or judgement.meaning.name == "DELIVERED":
        assert sorted(judgement.refused) == named
