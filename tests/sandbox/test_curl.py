"""Each call as a curl command that a shell reads as it was meant."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import Any

import pytest

from audience_sync.sandbox.curl import curl_command
from audience_sync.sandbox.keys import CONNECT_PAIRS

BASE = "http://127.0.0.1:8790"


def words(message: str, **changes: Any) -> list[str]:
    values: dict[str, Any] = {
        "service": "segment",
        "destination": "segment",
        "method": "POST",
        "path": "/v1/batch",
        "headers": {},
        "type": "identify",
        **changes,
    }
    return shlex.split(curl_command(BASE, message=message, **values))


@pytest.mark.parametrize("user", ["O'Hara", '"; rm -rf / #', "$(id)", "`id`", "a\nb", "\u202e", "😀" * 600, "\x1b[2J"])
def test_any_id_is_one_word_of_the_shell_and_the_same_json(user: str) -> None:
    found = words(json.dumps({"userId": user}, ensure_ascii=False))
    assert found[:4] == ["curl", "-u", "$SEGMENT_WRITE_KEY:", f"{BASE}/v1/batch"]
    assert json.loads(found[-1]) == {"batch": [{"userId": user}]}
    assert found[-1].isprintable()


def test_a_call_of_a_batch_is_sent_alone_to_connect() -> None:
    found = words(
        '{"user_id":"a"}', service="zendesk_connect", destination="connect production", path="/v2/identify/batch"
    )
    assert found[1:4] == [f"{BASE}/v2/identify", "-H", "X-Outbound-Key: $CONNECT_PRIVATE_KEY"]
    assert found[-1] == '{"user_id":"a"}'


def test_the_sandboxs_own_keys_are_shown_when_they_are_asked_for() -> None:
    shown = words("{}", with_keys=True, service="zendesk_connect", destination="connect production", path="/v2/track")
    assert shown[3] == f"X-Outbound-Key: {CONNECT_PAIRS[1].private}"
    assert words("{}", with_keys=True)[2] == "sandbox-segment:"
    assert words("{}", with_keys=True, service="rudderstack")[2] == "sandbox-rudderstack:"


def test_a_webhook_keeps_its_method_and_its_id() -> None:
    found = words(
        '{"id":"a"}',
        service="webhook",
        method="PUT",
        path="/hooks/it's here",
        headers={"content-type": "application/json", "webhook-id": "m-1", "webhook-signature": "••••"},
    )
    assert found == [
        *("curl", "-X", "PUT", f"{BASE}/hooks/it%27s%20here"),
        *("-H", "content-type: application/json", "-H", "webhook-id: m-1", "--data-raw", '{"id":"a"}'),
    ]


@pytest.mark.parametrize("text", ["hello", "it's", "a\nb\tc\\n'", "\x1b[2J", "\u202e😀\r\n", "$(id) `id` !"])
def test_a_text_that_is_not_json_is_sent_by_a_shell_as_it_came(text: str) -> None:
    command = curl_command(
        BASE,
        service="webhook",
        destination="webhook /",
        method="POST",
        path="/",
        headers={},
        type="text",
        message=json.dumps(text),
    )
    assert command.isprintable()
    shown = command.replace(f"curl {BASE}/ --data-raw", "printf %s", 1)
    sent = subprocess.run(["bash", "-c", shown], capture_output=True, check=True)
    assert sent.stdout.decode() == text
