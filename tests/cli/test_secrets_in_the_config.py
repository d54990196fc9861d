"""Parts of a config are secrets, wherever they come from; also short ones and plain words."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
BASIC = b64encode(b"reader:basic-password-1").decode()
#: What the config says or refers to below, and what is made of it.
SECRETS = {
    "a key in the config itself": "inline-key-1",
    "a key in a file, with a line's end": "key-of-a-file-1",
    "a line of a file with several": "second-line-of-a-file",
    "a key from a default": "default-key-1",
    "a key that begins as another": "inline-key-1-and-more",
    "the token of a header": "bearer-token-1",
    "the header of basic authentication": BASIC,
    "the password of basic authentication": "basic-password-1",
    "a token in a path": "T01/B02/path-token-1",
    "the last part of the path": "path-token-1",
    "a parameter that is called a key": "query-key-1",
    "another parameter": "query-other-1",
    "a signing secret": "whsec_c2lnbmluZy1zZWNyZXQtMQ==",
    "the base64 of a signing secret": "c2lnbmluZy1zZWNyZXQtMQ==",
    "a password in a URL, as written": "url%40pass%2Fword%3A1",
    "a password in a URL, as meant": "url@pass/word:1",
    "a password among a URL's parameters": "url-parameter-1",
}


def hook(url: str, **options: Any) -> dict[str, Any]:
    return {"type": "webhook", "url": url, **options}


@pytest.fixture
def secretive(vip: Project, receiver: Receiver) -> Project:
    """A config with all these secrets, and a server that refuses everything and repeats them."""
    receiver.will_answer(Reply(400, " | ".join(SECRETS.values()).encode()))
    url = "postgresql://reader:url%40pass%2Fword%3A1@127.0.0.1:1/nowhere?sslpassword=url-parameter-1"
    vip.write("key", "key-of-a-file-1\r\n")
    vip.write("keys", "first-line-of-a-file\r\nsecond-line-of-a-file \r\n\r\n")
    vip.configure(
        sources={"shop": {"files": "."}, "warehouse": {"database": url}},
        audiences=[VIP, {"name": "Risk", "source": "warehouse", "query": "select 1 as user_id"}],
        destinations={
            "inline": segment(receiver, write_key="inline-key-1"),
            "longer": segment(receiver, write_key="inline-key-1-and-more"),
            "of_a_file": segment(receiver, write_key="${file:key}"),
            "default": segment(receiver, write_key="${NO_SUCH_VARIABLE:-default-key-1}"),
            "bearer": hook(receiver.url, headers={"Authorization": "Bearer bearer-token-1"}),
            "basic": hook(receiver.url, headers={"Authorization": f"Basic {BASIC}"}),
            "path": hook(f"{receiver.url}/T01/B02/path-token-1?api_key=query-key-1&x=query-other-1"),
            "signed": hook(receiver.url, secret="whsec_c2lnbmluZy1zZWNyZXQtMQ=="),
            "lines": hook(receiver.url, secret="${file:keys}"),
        },
    )
    return vip


def test_every_secret_is_masked_wherever_it_comes_from(secretive: Project) -> None:
    commands = [["check"], ["sync", "-v"], ["sync", "--json"], ["show", "1"], ["history"]]
    commands += [["test-destination", name, "--user", "u", "--json"] for name in ("inline", "basic", "path", "signed")]
    results = [secretive.run(*command) for command in commands]
    assert [result.code for result in results] == [3, 3, 3, 0, 0, 1, 1, 1, 1]
    said = "".join(result.stdout + result.stderr for result in results)
    kept = secretive.store.read_bytes()
    assert [name for name, secret in SECRETS.items() if secret in said] == []
    assert [name for name, secret in SECRETS.items() if secret.encode() in kept] == []
    reason = " | ".join("***" for _ in SECRETS)
    assert secretive.query("select distinct reason from refused_calls") == [(f"HTTP 400: {reason}",)]


def test_the_url_of_a_webhook_is_shown_without_path_and_query(secretive: Project, receiver: Receiver) -> None:
    shown = secretive.run("test-destination", "path", "--user", "u", "--json").json["request"]
    assert shown["url"] == f"{receiver.url}/***?api_key=***&x=***"


def test_a_password_with_an_at_sign_is_refused_before_its_rest_is_taken_for_a_host(vip: Project) -> None:
    url = "postgresql://reader:first@second@127.0.0.1:1/nowhere"
    vip.configure(sources={"shop": {"files": "."}, "warehouse": {"database": url}}, store=url, audiences=[VIP])
    for command in (["check"], ["sync"], ["history"], ["db", "copy", url]):
        result = vip.run(*command)
        assert "the password in it has an `@`: write `%40` instead" in result.stdout + result.stderr
        assert [part for part in ("first", "second") if part in result.stdout + result.stderr] == []


def test_another_stores_address_can_be_given_without_showing_it_on_the_command_line(vip: Project) -> None:
    vip.environment["NEW_STORE"] = "sqlite:///new.db"
    assert vip.run("db", "copy", "${NEW_STORE}").code == 0
    assert (vip.folder / "new.db").exists()


def test_a_key_of_three_characters_is_masked_only_where_keys_are_sent(vip: Project, receiver: Receiver) -> None:
    """Elsewhere it would be masked in half of all words; no service gives such a key."""
    receiver.will_answer(Reply(400, b"sync is off for k-7"))
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, write_key="k-7")})
    done = vip.run("test-destination", "segment", "--user", "u", "--json").json
    assert done["request"]["headers"]["Authorization"] == "Basic ***"
    assert done["reason"] == "HTTP 400: sync is off for k-7"


def test_a_secret_that_is_an_ordinary_word_changes_words_and_never_an_answers_names(
    vip: Project, receiver: Receiver
) -> None:
    receiver.will_answer(Reply(401, b"no audience of this audience-id"))
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, write_key="audience")})
    done = vip.sync()
    assert done.audience("vip")["status"] == "created"
    assert done.destination("segment")["error"] == (
        "HTTP 401: the key is not accepted. Correct it under `destinations.segment` (no *** of this ***-id)"
    )
