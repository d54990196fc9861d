"""The pages of the sandbox, and what it answers to calls, forms and scripts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from web.asgi import Answer

from audience_sync.sandbox.app import sandbox_app
from audience_sync.sandbox.receiver import Sandbox
from audience_sync.sandbox.state.state import State

from .support import AT, DEVELOPMENT, ask, basic

PAGE = {"accept": "text/html"}
ODD = ["<script>alert(1)</script>", "' or 1=1 --", "😀" * 625, "\u202etxt.exe", 'a"b&c=d#e', "a/b?c"]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Sandbox]:
    state = State(tmp_path / "sandbox.db")
    built = sandbox_app(state, address="http://127.0.0.1:8790", clock=lambda: AT)
    yield built
    built.close()


def send(app: Sandbox, *items: dict[str, Any]) -> Answer:
    body = json.dumps({"batch": items}).encode()
    return ask(app, "/v1/batch", method="POST", headers=basic("sandbox-segment"), body=body)


def identify(user: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "traits": traits}


def post(app: Sandbox, path: str, headers: Mapping[str, str] | None = None, /, **fields: object) -> Answer:
    return ask(app, path, method="POST", headers=headers or {}, body=urlencode(fields).encode())


def get(app: Sandbox, path: str, **fields: object) -> Answer:
    return ask(app, path, query=urlencode(fields), headers=PAGE)


def test_an_empty_sandbox_shows_how_to_send_to_it(app: Sandbox) -> None:
    page = get(app, "/")
    assert page.status == 200
    assert "Waiting for the first call" in page.text
    assert "audience-sync init --sandbox shop" in page.text


def test_the_feed_shows_what_a_call_changed_and_what_is_wrong(app: Sandbox) -> None:
    send(app, identify("C-1", vip=True))
    send(app, identify("C-1", vip=False), identify("C-2", vip=[]), {"type": "identify", "traits": {"vip": True}})
    page = get(app, "/").text
    assert "4 calls</span> in the last 24 hours" in page
    assert "vip <s>true →</s> <b>false</b>" in page
    assert "200 dropped" in page
    assert "neither <code>userId</code> nor <code>anonymousId</code>" in page
    assert [each["user"] for each in get(app, "/calls.json", property="vip", value="false").json["calls"]] == ["C-1"]
    assert [each["user"] for each in get(app, "/calls.json", problem="no_user_anon_id").json["calls"]] == [""]


def test_the_feed_is_live_unless_its_address_pauses_it(app: Sandbox) -> None:
    send(app, identify("C-1", vip=True))
    assert 'data-live="/live?after=1&amp;user=C-1"' in get(app, "/", user="C-1").text
    paused = get(app, "/", user="C-1", live=0).text
    assert "data-live" not in paused
    assert '<a href="/?user=C-1">Resume</a>' in paused


def test_a_call_is_shown_with_request_answer_and_curl_whose_key_is_a_variable(app: Sandbox) -> None:
    send(app, identify("C-1", name="O'Hara"))
    page = get(app, "/calls/1").text
    assert "POST /v1/batch" in page
    assert "$SEGMENT_WRITE_KEY:" in page
    assert "sandbox-segment" not in page
    assert "sandbox-segment:" in get(app, "/calls/1", keys="shown").text
    assert get(app, "/calls/1.json").json["changes"] == [{"property": "name", "old": None, "new": "O'Hara"}]
    for number, status in (("2", 404), ("9" * 30, 400), ("1e3", 400), ("²", 400)):
        assert get(app, f"/calls/{quote(number)}").status == status
        assert get(app, f"/calls/{quote(number)}.json").status == status


@pytest.mark.parametrize("user", ODD)
def test_a_page_for_any_id_is_right(app: Sandbox, user: str) -> None:
    send(app, identify(user, vip=True))
    send(app, {"type": "track", "userId": user, "event": user, "properties": {user: user}})
    assert [each["user"] for each in get(app, "/calls.json", user=user).json["calls"]] == [user, user]
    for path, fields in (
        ("/", {}),
        ("/user", {"id": user}),
        ("/users", {"property": "vip", "event": user}),
        ("/events", {}),
        ("/calls/1", {}),
        ("/calls/2", {}),
        ("/events", {"start": f"event:{user}", "goal": user}),
    ):
        page = get(app, path, **fields)
        assert page.status == 200, page.text
        assert "<script>alert" not in page.text
    assert "<title>1 user: vip is true and did " in get(app, "/users", property="vip", event=user).text


def test_users_are_found_by_property_and_event_and_saved_as_csv(app: Sandbox) -> None:
    send(
        app, identify("C-1", vip=True), identify("C-2", vip=False), {"type": "track", "userId": "C-1", "event": "Paid"}
    )
    page = get(app, "/users", property="vip", value="true", event="Paid").text
    assert "1 user: vip is true and did Paid in the last 7 days" in page
    rows = get(app, "/users.csv", property="vip", value="false").text.splitlines()
    assert rows[0] == "destination,user_id,first_received,last_received,calls,vip"
    assert rows[1].startswith("segment,C-2,")
    assert get(app, "/users", property="vip", **{"is": "nearly"}).status == 400
    assert get(app, "/users", event="Paid", days="many").status == 400


def test_the_form_of_the_users_has_each_filter_and_an_empty_one(app: Sandbox) -> None:
    send(app, identify("C-1", vip=True, plan="pro"))
    page = get(app, "/users", property="vip", property2="plan", is2="contains", value2="r", match="any").text
    for field in ("property", "property2", "property3", "event"):
        assert f'name="{field}"' in page
    assert '<option value="contains" selected>' in page
    assert '<option value="any" selected>' in page
    assert "/users.csv?property=vip&amp;property2=plan&amp;is2=contains&amp;value2=r&amp;match=any" in page


def test_a_user_without_calls_is_a_404_that_explains(app: Sandbox) -> None:
    page = get(app, "/user", id="nobody")
    assert page.status == 404
    assert "There is no such user" in page.text


@pytest.mark.parametrize(
    ("answer", "status", "header"),
    [("429", 429, ("retry-after", "2")), ("500", 500, None), ("400", 400, None), ("503", 503, ("retry-after", "2"))],
)
def test_the_next_requests_are_answered_as_planned(
    app: Sandbox, answer: str, status: int, header: tuple[str, str] | None
) -> None:
    plan = post(app, "/answers", answer=answer, requests=1, retry_after=2)
    assert (plan.status, plan.json["answers"][0]["requests"]) == (200, 1)
    planned = send(app, identify("C-1", vip=True))
    assert planned.status == status
    assert header is None or planned.headers[header[0]] == header[1]
    assert send(app, identify("C-1", vip=True)).status == 200
    assert get(app, "/answers").json == {"answers": []}


def test_a_form_returns_to_the_page_and_one_of_another_site_changes_nothing(app: Sandbox) -> None:
    assert post(app, "/answers", {"accept": "text/html"}, answer="500").status == 303
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert post(app, "/answers", headers, answer="429").status == 403
        assert post(app, "/clear", headers).status == 403
    assert [each["answer"] for each in get(app, "/answers").json["answers"]] == ["500"]
    assert post(app, "/answers", answer="200").json == {"answers": []}
    assert ask(app, "/clear").status in (404, 405)


def test_a_name_that_is_not_the_sandboxs_opens_no_page_but_sends_calls(app: Sandbox) -> None:
    foreign = {"host": "evil.example"}
    assert ask(app, "/", headers=foreign).status == 421
    assert ask(app, "/answers", method="POST", headers=foreign, body=b"answer=500").status == 421
    assert ask(app, "/hooks/a", method="POST", headers=foreign, body=b'{"id": "a"}').status == 200


@pytest.mark.parametrize(
    "fields", [{"answer": "700"}, {"answer": "429", "requests": "0"}, {"answer": "slow", "seconds": "-1"}]
)
def test_a_plan_that_is_not_valid_is_a_400_with_what_is(app: Sandbox, fields: dict[str, str]) -> None:
    found = post(app, "/answers", **fields)
    assert (found.status, found.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert "it has to be" in found.text
    assert "<h1>" in post(app, "/answers", PAGE, **fields).text


def test_a_full_disk_is_a_500_to_a_call_and_a_page_with_a_remedy_to_a_form(
    app: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for method in ("record", "clear"):
        monkeypatch.setattr(State, method, fail)
    refused = send(app, identify("C-1", vip=True))
    assert (refused.status, refused.text) == (500, "the sandbox can't write its file")
    page = post(app, "/clear", PAGE)
    assert page.status == 503
    assert "can’t be written: database or disk is full" in page.text
    assert "--file NAME" in page.text


def test_clear_removes_what_was_received(app: Sandbox) -> None:
    send(app, identify("C-1", vip=True))
    assert post(app, "/clear").status == 200
    assert "Waiting for the first call" in get(app, "/").text


def test_a_browser_of_another_site_may_send_calls(app: Sandbox) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-headers": "authorization,anonymousid"}
    preflight = ask(app, "/v1/batch", method="OPTIONS", headers=asked)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "*")
    assert preflight.headers["access-control-allow-headers"] == "authorization,anonymousid"
    assert send(app, identify("C-1", vip=True)).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in ask(app, "/answers", method="OPTIONS").headers


def test_a_browsers_client_loads_its_settings_and_phones_their_configuration(app: Sandbox) -> None:
    settings = get(app, "/v1/projects/sandbox-segment/settings").json
    assert settings["integrations"]["Segment.io"]["apiKey"] == "sandbox-segment"
    assert get(app, "/sourceConfig/").json["source"]["enabled"] is True
    assert get(app, "/i/config/sdk/ios/2.0").json["enabled"] is True
    assert ask(app, "/v1/m", method="POST", body=b"{}").status == 200
    assert get(app, "/calls.json").json["calls"] == []


def test_connect_and_webhook_are_shown_with_their_own_answers(app: Sandbox) -> None:
    user = json.dumps({"user_id": "C-1", "attributes": {"vip": True}}).encode()
    key = {"x-outbound-key": DEVELOPMENT.private}
    assert ask(app, "/v2/identify", method="POST", headers=key, body=user).body == b""
    assert ask(app, "/v2/identify", method="POST", body=user).status == 401
    assert ask(app, "/hooks/crm", method="PUT", body=user).json == {"ok": True}
    page = get(app, "/").text
    assert "webhook /hooks/crm" in page
    assert "the header X-Outbound-Key is missing" in page
    assert "X-Outbound-Key: $CONNECT_PRIVATE_KEY" in get(app, "/calls/1").text
    assert "curl -X PUT" in get(app, "/calls/3").text


def test_every_page_has_the_policy_and_no_script_within_it(app: Sandbox) -> None:
    send(app, identify("C-1", vip=True))
    for path in ("/", "/users", "/events", "/setup", "/user", "/calls/1"):
        page = get(app, path, id="C-1")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "<script>" not in page.text
        assert " style=" not in page.text


def test_a_form_names_its_origin_also_where_the_address_is_not_trusted_by_browsers(app: Sandbox) -> None:
    page = get(app, "/")
    assert page.headers["referrer-policy"] == "same-origin"
    assert '<meta name="referrer" content="same-origin">' in page.text
