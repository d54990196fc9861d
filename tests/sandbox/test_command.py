"""The command in a process of its own, with our own runs: every type of destination, errors on demand, kill -9."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from cli.conftest import Project

from audience_sync.sandbox.config import ADDRESS, sandbox_destinations
from audience_sync.sandbox.keys import CONNECT_PAIRS, RUDDERSTACK_KEY, SEGMENT_KEY, WEBHOOK_SECRET

from .support import basic

MEMBERS = {"sources": {"shop": {"files": "."}}, "audiences": [{"name": "vip", "source": "shop", "file": "vip.csv"}]}


class Running:
    """A sandbox in a process, at an address of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "audience_sync", "sandbox", "--port", "0", "--json", *options]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(4)]
        self.url: str = json.loads("".join(lines))["address"]

    def get(self, path: str, **fields: str) -> Any:
        with urlopen(f"{self.url}{path}?{urlencode(fields)}", timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, **fields: object) -> int:
        try:
            with urlopen(Request(f"{self.url}{path}", urlencode(fields).encode()), timeout=30) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code

    def calls(self, **fields: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/calls.json", limit="1000", **fields)["calls"]
        return found[::-1]

    def stop(self, sign: int = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@contextmanager
def sandbox(folder: Path, *options: str) -> Iterator[Running]:
    running = Running(folder, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop(signal.SIGKILL)


def destinations(url: str) -> dict[str, Any]:
    return {
        "segment": {"type": "segment", "url": url, "write_key": SEGMENT_KEY},
        "rudder": {"type": "rudderstack", "url": url, "write_key": RUDDERSTACK_KEY},
        "connect": {"type": "zendesk_connect", "url": url, "private_key": CONNECT_PAIRS[0].private, "events": True},
        "hook": {"type": "webhook", "url": f"{url}/hooks/crm", "body": "batch", "secret": WEBHOOK_SECRET},
    }


def test_each_type_of_destination_delivers_to_it(project: Project) -> None:
    with sandbox(project.folder) as running:
        project.configure(**MEMBERS, destinations=destinations(running.url))
        project.write_members("vip.csv", "a", "b", "c")
        assert project.sync().code == 0
        project.write_members("vip.csv", "a", "b", "d")
        second = project.sync()
        assert (second.code, second.stderr) == (0, "")
        changed = [(each["destination"], each["type"], each["user"], each["changes"]) for each in running.calls()]
        for name in ("segment", "rudderstack", "connect", "webhook /hooks/crm"):
            mine = [
                (user, found[0]["old"], found[0]["new"])
                for place, kind, user, found in changed
                if place == name and kind == "identify"
            ]
            assert mine[:3] == [("a", None, True), ("b", None, True), ("c", None, True)]
            assert sorted(mine[3:]) == [("c", True, False), ("d", None, True)]
        assert all(each["outcome"] == "accepted" and each["problems"] == [] for each in running.calls())
        assert sorted(each["event"] for each in running.calls(type="track")) == ["Audience Entered", "Audience Exited"]
        assert running.stop() == 0


def test_errors_on_demand_are_survived_and_seen(project: Project) -> None:
    with sandbox(project.folder) as running:
        places = destinations(running.url)
        project.configure(**MEMBERS, destinations={"segment": places["segment"], "rudder": places["rudder"]})
        project.write_members("vip.csv", "a", "b", "c")
        assert running.post("/answers", answer="429", requests=1, retry_after=0, destination="segment") == 200
        assert running.post("/answers", answer="500", requests=1, destination="rudderstack") == 200
        assert project.sync().code == 0
        outcomes = [(each["destination"], each["outcome"]) for each in running.calls(user="a")]
        assert sorted(outcomes) == [
            ("rudderstack", "accepted"),
            ("rudderstack", "failed"),
            ("segment", "accepted"),
            ("segment", "slow down"),
        ]
        assert running.post("/answers", answer="close", requests=1, destination="segment") == 200
        assert running.post("/answers", answer="400", requests="all", destination="rudderstack", user="e") == 200
        project.write_members("vip.csv", "a", "b", "c", "d", "e")
        found = project.sync()
        assert (found.code, found.destination("rudder")["refused"], found.destination("segment")["refused"]) == (
            1,
            1,
            0,
        )
        assert [each["outcome"] for each in running.calls(user="d", destination="segment")] == ["cut off", "repeat"]
        assert running.calls(user="d", destination="rudderstack")[-1]["outcome"] == "accepted"
        assert running.calls(user="e", destination="rudderstack")[-1]["outcome"] == "refused"


def test_what_was_received_survives_kill_9(project: Project) -> None:
    with sandbox(project.folder, "--file", "received.db") as running:
        places = destinations(running.url)
        project.configure(**MEMBERS, destinations={"segment": places["segment"]})
        project.write_members("vip.csv", "a", "b")
        assert project.sync().code == 0
        running.stop(signal.SIGKILL)
    with sandbox(project.folder, "--file", "received.db") as again:
        assert [each["user"] for each in again.calls()] == ["a", "b"]
        places = destinations(again.url)
        project.configure(**MEMBERS, destinations={"segment": places["segment"]})
        project.write_members("vip.csv", "a")
        assert project.sync().code == 0
        assert again.calls()[-1]["changes"] == [{"property": "vip", "old": True, "new": False}]


def test_a_request_without_an_answer_ends_when_the_client_leaves(project: Project) -> None:
    with sandbox(project.folder) as running:
        places = destinations(running.url)
        project.configure(**MEMBERS, destinations={"segment": {**places["segment"], "timeout": "1s"}})
        project.write_members("vip.csv", "a")
        assert running.post("/answers", answer="timeout", requests=1, seconds=60) == 200
        assert project.sync().code == 0
        assert [each["outcome"] for each in running.calls()] == ["no answer", "accepted"]
        assert running.stop() == 0


def test_other_addresses_need_a_token_and_a_port_in_use_has_a_remedy(project: Project) -> None:
    refused = project.run("sandbox", "--host", "0.0.0.0", "--port", "0")
    assert refused.code == 2
    assert "a token is needed" in refused.stderr
    assert "AUDIENCE_SYNC_SANDBOX_TOKEN" in refused.stderr
    with sandbox(project.folder) as running:
        port = running.url.rpartition(":")[2]
        taken = project.run("sandbox", "--port", port, "--file", "other.db")
        assert (taken.code, "--port 0" in taken.stderr) == (2, True)
        same = project.run("sandbox", "--port", "0")
        assert (same.code, "another sandbox uses" in same.stderr) == (2, True)


def shown_command(page: str) -> str:
    """The curl command of a call's page."""
    found = re.search(r'<div class="cmd"><code>(.*?)</code>', page, re.DOTALL)
    assert found
    return unescape(re.sub(r"<[^>]+>", "", found[1]))


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_each_calls_curl_command_sends_the_same_call_from_a_shell(project: Project) -> None:
    odd = ['O\'Hara "x" $HOME `id` !! \\n', "😀é\u202e\x07\u2028", "<b>&amp;", "a\nb\tc"]
    text = "plain 'text'\nwith $HOME \\ and \x1b[2J é😀"
    connect = {"x-outbound-key": CONNECT_PAIRS[1].private}
    sent: list[tuple[str, Any, dict[str, str]]] = [
        (
            "/v1/batch",
            {"batch": [{"type": "identify", "userId": u, "traits": {u: u}} for u in odd]},
            basic(SEGMENT_KEY),
        ),
        ("/v1/identify", {"userId": odd[0], "traits": {"x": 10**30}}, basic(SEGMENT_KEY)),
        ("/v1/batch", {"batch": [{"type": "track", "userId": "u", "event": odd[0]}]}, basic(RUDDERSTACK_KEY)),
        ("/v2/identify/batch", [{"user_id": each, "attributes": {each: True}} for each in odd], connect),
        ("/v2/fcm/register", {"user_id": "u", "token": "t"}, connect),
        ("/hooks/a%20b'c$x", [{"id": odd[0], "traits": {"a": odd[1]}}, {"id": "2"}], {}),
        ("/hooks/x", text.encode(), {"content-type": "text/plain"}),
    ]
    with sandbox(project.folder) as running:
        for path, document, headers in sent:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            urlopen(Request(running.url + path, body, {"content-type": "application/json", **headers})).close()
        calls = running.calls()
        assert len(calls) == 14
        for call in calls:
            address = f"{running.url}/calls/{call['call']}?keys=shown"
            with urlopen(Request(address, headers={"accept": "text/html"})) as page:
                command = shown_command(page.read().decode())
            assert command.isprintable()
            subprocess.run(["bash", "-c", f"{command} --silent --show-error --fail"], check=True, capture_output=True)
            again = running.calls()[-1]
            for name in ("destination", "type", "user", "event", "message"):
                assert again[name] == call[name]


def read_message(stream: HTTPResponse) -> tuple[str, dict[str, Any]]:
    """The id and the data of the next message of the live feed."""
    fields: dict[str, str] = {}
    while "data" not in fields:
        name, _, value = stream.readline().decode().rstrip("\n").partition(": ")
        fields[name] = value
    return fields["id"], json.loads(fields["data"])


def test_the_live_feed_sends_each_call_once_also_after_the_connection_was_lost(project: Project) -> None:
    with sandbox(project.folder) as running:
        for user in ("a", "b"):
            running.post("/hooks/x", id=user)
        with urlopen(f"{running.url}/live?after=1", timeout=30) as stream:
            number, found = read_message(stream)
            assert (number, found["html"].count("<li"), found["more"]) == ("2", 1, 0)
        for _ in range(30):
            running.post("/hooks/x", id="c")
        again = Request(f"{running.url}/live?after=1", headers={"Last-Event-ID": number})
        with urlopen(again, timeout=30) as stream:
            number, found = read_message(stream)
            assert (number, found["html"].count("<li"), found["more"]) == ("32", 20, 10)
        assert running.get("/calls.json", after="x")["last_24_hours"] == {"accepted": 32}


def test_init_makes_a_project_that_sends_to_it(project: Project) -> None:
    made = project.run("init", "--sandbox", "shop")
    assert made.code == 0
    assert "audience-sync sandbox" in made.stdout
    config = project.folder / "shop" / "config.yaml"
    assert sandbox_destinations() in config.read_text("utf-8")
    assert "identify_calls.jsonl" not in config.read_text("utf-8")
    with sandbox(project.folder) as running:
        config.write_text(config.read_text("utf-8").replace(ADDRESS, running.url), "utf-8")
        found = project.run("--config", "shop/config.yaml", "sync", "--json")
        assert (found.code, [each["delivered"] for each in found.json["destinations"]]) == (0, [5000, 5000, 5000])
        day = running.get("/calls.json")["last_24_hours"]
        assert day == {"accepted": 15000}
        assert [each["problems"] for each in running.calls() if each["problems"]] == []


@pytest.mark.parametrize("missing", ["jinja2", "starlette", "uvicorn"])
def test_without_the_extra_a_message_names_it(project: Project, missing: str) -> None:
    script = (
        "import sys, importlib.util as found; find = found.find_spec\n"
        f"found.find_spec = lambda name, *rest: None if name == '{missing}' else find(name, *rest)\n"
        "from audience_sync.cli import main; sys.argv = ['audience-sync', 'sandbox']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.folder, capture_output=True, text=True, env=os.environ
    )
    assert (done.returncode, "pip install 'audience-sync[web]'" in done.stderr) == (2, True)
