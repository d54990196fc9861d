"""`test-destination` sends one real call, shows all of it except secrets, and changes nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply, unused_url

from .conftest import Project, calls, received, segment

KEY = "wk-4f0c2a9d7e61"
BASIC = b64encode(f"{KEY}:".encode()).decode()


def configure(project: Project, **destinations: Any) -> None:
    audiences = [{"name": "VIP", "source": "shop", "file": "vip.csv"}]
    project.configure(audiences=audiences, destinations=destinations)


def test_one_real_call_is_sent_and_shown_without_its_secrets(new_vip: Project, receiver: Receiver) -> None:
    new_vip.environment["WRITE_KEY"] = KEY
    receiver.will_answer(Reply(200, f'{{"success": true, "key": "{KEY}", "was": "{BASIC}"}}'.encode()))
    configure(new_vip, live=segment(receiver, write_key="${WRITE_KEY}", gzip=True))
    done = new_vip.run("test-destination", "live", "--user", "me-1")
    (message,) = json.loads(
        new_vip.run("test-destination", "live", "--user", "me-1", "--json").json["request"]["body"]
    )["batch"]
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "Delivered.\nOne real call to live (segment), for user me-1.\n"
        "It sends the trait audience_sync_test: true. For others: --trait KEY=JSON\n"
        f"\nRequest:\n  POST {receiver.url}/v1/batch\n  User-Agent: audience-sync/0.1.0\n"
    )
    assert "\n  Authorization: Basic ***\n  Content-Encoding: gzip\n" in done.stdout
    assert '"userId":"me-1","traits":{"audience_sync_test":true},' in done.stdout
    assert '"writeKey":"***"}\n\nResponse after ' in done.stdout
    assert '\n  HTTP 200\n  {"success": true, "key": "***", "was": "***"}\n\nNow look for the user there' in done.stdout
    assert (message["userId"], message["traits"]) == ("me-1", {"audience_sync_test": True})
    assert [secret for secret in (KEY, BASIC) if secret in done.stdout] == []
    assert len(receiver.requests) == 2


def test_the_store_is_not_touched(vip: Project, receiver: Receiver) -> None:
    configure(vip, live=segment(receiver))
    before = vip.store.read_bytes()
    assert vip.run("test-destination", "live", "--user", "me-1").code == 0
    assert vip.store.read_bytes() == before


def test_no_store_is_made(new_vip: Project, receiver: Receiver) -> None:
    configure(new_vip, live=segment(receiver))
    assert new_vip.run("test-destination", "live", "--user", "me-1").code == 0
    assert not new_vip.store.exists()


def test_the_traits_are_those_that_are_given(new_vip: Project, receiver: Receiver) -> None:
    configure(new_vip, live=segment(receiver))
    traits = ["--trait", "vip=false", "--trait", 'plan="gold = best"', "--trait", "big=12345678901234567890123"]
    done = new_vip.run("test-destination", "live", "--user", "007", *traits)
    assert done.code == 0
    assert "audience_sync_test" not in done.stdout
    assert calls(receiver) == [("007", {"vip": False, "plan": "gold = best", "big": 12345678901234567890123})]


def test_every_call_has_a_message_id_of_its_own(new_vip: Project, receiver: Receiver) -> None:
    configure(new_vip, live=segment(receiver))
    for _ in range(2):
        new_vip.run("test-destination", "live", "--user", "me-1")
    first, second = (message["messageId"] for message in received(receiver))
    assert first != second


def test_an_audience_in_the_personas_envelope_is_the_one_that_runs_send(vip: Project, receiver: Receiver) -> None:
    configure(vip, live=segment(receiver, envelope="personas"))
    vip.write_members("vip.csv", "ada")
    assert vip.sync().code == 0
    assert vip.run("test-destination", "live", "--user", "me-1", "--trait", "vip=true").code == 0
    by_run, by_test = (message["context"]["personas"] for message in received(receiver))
    assert by_run == by_test


def test_the_answer_as_json(new_vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(400, b"no such user: me-1"))
    new_vip.environment["HOOK"] = f"{receiver.url}/hooks/T00/path-key"
    hook = {"type": "webhook", "url": "${HOOK}?api_key=query-key", "headers": {"X-Key": "header-key"}}
    configure(new_vip, hook=hook)
    done = new_vip.run("test-destination", "hook", "--user", "me-1", "--json")
    answer = done.json
    assert done.code == 1
    assert (answer["destination"], answer["type"], answer["user_id"]) == ("hook", "webhook", "me-1")
    assert answer["traits"] == {"audience_sync_test": True}
    assert (answer["request"]["method"], answer["request"]["url"]) == ("POST", "***?api_key=***")
    assert answer["request"]["headers"]["X-Key"] == "***"
    assert json.loads(answer["request"]["body"])["userId"] == "me-1"
    assert answer["response"] == {"status": 400, "body": "no such user: me-1"}
    assert (answer["meaning"], answer["reason"], answer["exit_code"]) == ("refused", "HTTP 400: no such user: ***", 1)
    (request,) = receiver.requests
    assert (request.path, request.headers["x-key"]) == ("/hooks/T00/path-key?api_key=query-key", "header-key")


ANSWERS = [
    pytest.param(Reply(200, b"ok"), 0, "Delivered.\n", id="taken"),
    pytest.param(Reply(400, b"invalid json\n"), 1, "Refused: HTTP 400: invalid json.\n", id="refused"),
    pytest.param(Reply(503), 1, "Not delivered; a run would try again: HTTP 503.\n", id="a server in trouble"),
    pytest.param(
        Reply(429),
        1,
        "Not delivered; a run would wait and try again: HTTP 429: rate limited.\n",
        id="too many requests",
    ),
    pytest.param(
        Reply(401, b"invalid write key\n"),
        3,
        "Stopped: no call is accepted until this is corrected: HTTP 401: the key is not accepted. Correct it under "
        "`destinations.live` (invalid write key).\n",
        id="a wrong key",
    ),
    pytest.param(Reply(302), 3, "HTTP 302: the address redirects. Correct `destinations.live.url`.\n", id="a redirect"),
    pytest.param(
        Reply(raw=b"HTTP/1.1 200 O", then="close"),
        3,
        "the connection was closed before the answer was complete.\n",
        id="half an answer",
    ),
]


@pytest.mark.parametrize(("reply", "code", "said"), ANSWERS)
def test_the_exit_code_says_what_became_of_the_call(
    new_vip: Project, receiver: Receiver, reply: Reply, code: int, said: str
) -> None:
    receiver.will_answer(reply)
    configure(new_vip, live={"type": "rudderstack", "write_key": KEY, "url": receiver.url})
    done = new_vip.run("test-destination", "live", "--user", "me-1")
    assert done.code == code
    assert said in done.stdout
    assert len(receiver.requests) == 1  # one call, never repeated


@pytest.mark.parametrize(
    ("trait", "dropped", "code", "words"),
    [
        ("vip=true", ["vip"], 1, "Refused: 'vip': HTTP 200: Iterable has no such field and creates none."),
        ("phone=1", ["phoneNumber"], 1, "Refused: 'phone': HTTP 200: Iterable has no such field and creates none."),
        ("vip=true", ["plan"], 0, "Delivered."),
    ],
)
def test_a_success_that_dropped_the_property_is_a_refusal(
    new_vip: Project, receiver: Receiver, trait: str, dropped: list[str], code: int, words: str
) -> None:
    body = {"successCount": 1, "failCount": 0, "filteredOutFields": dropped}
    receiver.will_answer(Reply(200, json.dumps(body).encode()))
    configure(new_vip, live={"type": "iterable", "api_key": KEY, "url": receiver.url})
    done = new_vip.run("test-destination", "live", "--user", "me-1", "--trait", trait)
    assert done.code == code
    assert done.stdout.startswith(words)


def test_nobody_there_ends_with_3(new_vip: Project) -> None:
    with unused_url() as nowhere:
        configure(new_vip, live={"type": "webhook", "url": nowhere})
        done = new_vip.run("test-destination", "live", "--user", "me-1")
    assert done.code == 3
    assert "Not delivered; a run would try again: connection refused" in done.stdout


def test_a_call_that_no_request_can_carry_is_refused_without_being_sent(new_vip: Project, receiver: Receiver) -> None:
    configure(new_vip, live=segment(receiver))
    large = '"' + "x" * 40_000 + '"'
    done = new_vip.run("test-destination", "live", "--user", "me-1", "--trait", f"bio={large}")
    assert done.code == 1
    assert "Refused: it was not sent: 'bio' makes a message of 40,2" in done.stdout
    assert receiver.requests == []


def test_a_file_is_written_to(new_vip: Project) -> None:
    done = new_vip.run("test-destination", "log", "--user", "me-1")
    assert done.code == 0
    assert done.stdout.startswith("Delivered.\nOne real call to log (file), for user me-1.\n")
    assert '\nWritten:\n  {"type":"identify"' in done.stdout
    assert new_vip.sent() == [("me-1", {"audience_sync_test": True})]


WRONG = [
    pytest.param(["lgo", "--user", "me-1"], "unknown destination `lgo`. Did you mean `log`?", id="no such destination"),
    pytest.param(["log"], "missing option '--user'", id="no user"),
    pytest.param(["log", "--user", ""], "empty user id", id="an empty user id"),
    pytest.param(
        ["log", "--user", "u", "--trait", "plan=gold"], "'plan=gold' is not a trait", id="a text without quotes"
    ),
    pytest.param(["log", "--user", "u", "--trait", "vip"], "write KEY=JSON", id="no value"),
    pytest.param(["log", "--user", "u", "--trait", "=1"], "write KEY=JSON", id="no key"),
    pytest.param(["log", "--user", "u", "--trait", "a=NaN"], "write KEY=JSON", id="a number that is no JSON"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_use_ends_with_2_and_sends_nothing(new_vip: Project, arguments: list[str], message: str) -> None:
    wrong = new_vip.run("test-destination", *arguments)
    assert (wrong.code, wrong.stdout) == (2, "")
    assert message in wrong.stderr
    assert new_vip.messages() == []


PLAIN = "ada@example.com"
HASH = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72"


@pytest.mark.parametrize(
    ("options", "user", "sent"),
    [
        ({"rename": {"vip": "is_vip"}}, "me-1", ("me-1", {"is_vip": True, "email": PLAIN})),
        ({"hash": ["email"]}, "me-1", ("me-1", {"vip": True, "email": HASH})),
        ({"user_id": "email", "hash": ["email"]}, PLAIN, (HASH, {"vip": True, "email": HASH})),
        ({"identifiers": ["email"], "rename": {"email": "mail"}}, "me-1", ("me-1", {"vip": True, "mail": PLAIN})),
    ],
)
def test_a_test_call_is_mapped_like_those_of_a_run(
    new_vip: Project, receiver: Receiver, options: dict[str, Any], user: str, sent: tuple[str, dict[str, Any]]
) -> None:
    new_vip.write("customers.csv", "user_id,email\n")
    new_vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "customers.csv", "traits": ["email"]}],
        destinations={"live": segment(receiver, **options)},
    )
    traits = ("--trait", "vip=true", "--trait", f'email="{PLAIN}"')
    assert new_vip.run("test-destination", "live", "--user", user, *traits).code == 0
    assert calls(receiver) == [sent]


def test_a_test_call_needs_no_identifier(new_vip: Project, receiver: Receiver) -> None:
    new_vip.write("customers.csv", "user_id,email\n")
    new_vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "customers.csv", "traits": ["email"]}],
        destinations={"live": segment(receiver, identifiers=["email"])},
    )
    assert new_vip.run("test-destination", "live", "--user", "me-1").code == 0
    assert calls(receiver) == [("me-1", {"audience_sync_test": True})]
