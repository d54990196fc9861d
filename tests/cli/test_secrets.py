"""Secrets stay out of every output and of the store, and user properties out of every log."""

from __future__ import annotations

from base64 import b64encode

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment

KEY = "wk-4f0c2a9d7e61"
PASSWORD = "pa55-of-the-warehouse"
EMAIL = "ada.lovelace@example.org"
SECRETS = [KEY, PASSWORD, b64encode(f"{KEY}:".encode()).decode()]


def test_secrets_and_user_properties_appear_nowhere(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(401, f'{{"message": "{KEY} is not a key"}}'.encode()), ACCEPTED)
    vip.environment |= {"WRITE_KEY": KEY, "WAREHOUSE": f"postgresql://reader:{PASSWORD}@127.0.0.1:1/nowhere"}
    vip.configure(
        sources={"shop": {"files": "."}, "warehouse": {"database": "${WAREHOUSE}"}},
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Risk", "source": "warehouse", "query": "select 1 as user_id"},
        ],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["email"]}],
        destinations={"segment": segment(receiver, write_key="${WRITE_KEY}")},
    )
    vip.write("traits.csv", f"user_id,email\nada,{EMAIL}\n")
    commands = [["check"], ["sync", "-v"], ["sync", "-v", "--json"], ["show", "1"], ["history", "--json"]]
    results = [vip.run(*command) for command in commands]
    assert [result.code for result in results] == [3, 3, 3, 0, 0]
    assert ("ada", {"email": EMAIL, "vip": True}) in calls(receiver)
    assert "HTTP 401" in results[1].stdout
    said = "".join(result.stdout + result.stderr for result in results)
    kept = vip.store.read_bytes()
    for secret in SECRETS:
        assert secret not in said
        assert secret.encode() not in kept
    assert EMAIL not in said


SPELLED = 'w"k/4f&0c+2a=9d%7'


def test_a_secret_in_a_wrong_option_is_masked(vip: Project) -> None:
    vip.environment["PASSWORD_OF_CONNECT"] = SPELLED
    connect = {"type": "zendesk_connect", "private_key": "${PASSWORD_OF_CONNECT}"}
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}], destinations={"connect": connect})
    wrong = vip.run("test-destination", SPELLED, "--user", "u")
    assert wrong.code == 2
    assert SPELLED not in wrong.stderr


PATH_KEY = "T01/B02/x7f3a9c2e5d1"
EVERY_COMMAND = [
    ["check"],
    ["plan"],
    ["sync"],
    ["sync", "-v"],
    ["retry"],
    ["resync", "vip"],
    ["seed", "vip"],
    ["history"],
    ["show", "1"],
    ["explain", "ada"],
    ["members", "vip"],
    ["test-destination", "hook", "--user", "ada"],
    ["test-destination", "segment", "--user", "ada"],
    ["suppress", "zoe"],
    ["unsuppress", "zoe"],
    ["erase", "zoe"],
    ["db", "current"],
    ["db", "upgrade"],
]


@pytest.fixture
def secretive(vip: Project, receiver: Receiver) -> Project:
    """Keys in a header, in an address and in a URL's password; every answer repeats two of them and refuses."""
    receiver.will_answer(Reply(400, f"no: {KEY} {PATH_KEY}".encode()))
    vip.environment |= {
        "WRITE_KEY": KEY,
        "HOOK": f"{receiver.url}/{PATH_KEY}",
        "WAREHOUSE": f"postgresql://reader:{PASSWORD}/with-slash@127.0.0.1:1/nowhere",
    }
    vip.configure(
        sources={"shop": {"files": "."}, "warehouse": {"database": "${WAREHOUSE}"}},
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Risk", "source": "warehouse", "query": "select 1 as user_id"},
        ],
        destinations={
            "segment": segment(receiver, write_key="${WRITE_KEY}"),
            "hook": {"type": "webhook", "url": "${HOOK}", "body": "batch"},
        },
    )
    return vip


def test_no_command_shows_or_keeps_a_secret(secretive: Project) -> None:
    for command in EVERY_COMMAND:
        for options in ([], ["--json"]):
            result = secretive.run(*command, *options)
            said = result.stdout + result.stderr
            assert [secret for secret in (KEY, PASSWORD, PATH_KEY) if secret in said] == [], (command, options, said)
    kept = b"".join(path.read_bytes() for path in secretive.folder.glob("audience_sync.db*"))
    assert [secret for secret in (KEY, PASSWORD, PATH_KEY) if secret.encode() in kept] == []
    assert secretive.query("select count(*) from refused_calls")[0][0] > 0  # reasons were kept, so they were masked


@pytest.mark.parametrize("command", [["sync"], ["sync", "-v"], ["history"], ["db", "upgrade"], ["suppress", "zoe"]])
def test_a_store_that_is_not_reached_doesnt_show_its_password(vip: Project, command: list[str]) -> None:
    vip.environment["STORE"] = f"postgresql://writer:{PASSWORD}@127.0.0.1:1/nowhere"
    vip.configure(store="${STORE}", audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    for options in ([], ["--json"]):
        result = vip.run(*command, *options)
        assert result.code == 3
        assert PASSWORD not in result.stdout + result.stderr


def test_a_config_that_fails_doesnt_show_what_came_from_the_environment(vip: Project) -> None:
    vip.environment["KIND"] = KEY
    vip.configure(destinations={"hook": {"type": "${KIND}"}, "log": {"type": "file", "path": 1, "${KIND}": 2}})
    result = vip.run("sync", "--json")
    assert result.code == 2
    assert KEY not in result.stdout + result.stderr
