"""The summary of every run is posted as a signed webhook, and none is lost."""

from __future__ import annotations

import hmac
import json
import signal
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from destinations.receiver import Received, Receiver, Reply

from .conftest import SILENCE, Project, segment, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
BUG = """
import audience_sync.sync.plan_run as planning

def look(*parts, **options):
    raise RuntimeError("no 'ada'")

planning.plan_run = look
"""


@pytest.fixture
def hook(other_receiver: Receiver) -> Receiver:
    other_receiver.will_answer(Reply(204))
    return other_receiver


def on_run(hook: Receiver, **options: Any) -> dict[str, Any]:
    return {"url": f"{hook.url}/a-secret-hook", "secret": SECRET, "name": "ops", **options}


def configure(project: Project, hook: Receiver, **parts: Any) -> None:
    project.configure(**{"audiences": [VIP], "on_run": on_run(hook), "guard": {"at_least": 0}, **parts})


def verified(request: Received) -> dict[str, Any]:
    """The body of a webhook, as a receiver reads it that follows the specification's section on verifying."""
    headers = request.headers
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), request.body))
    expected = b64encode(hmac.digest(b64decode(SECRET.removeprefix("whsec_")), signed, "sha256")).decode()
    assert headers["webhook-signature"].split(" ") == [f"v1,{expected}"]
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
    assert headers["content-type"] == "application/json"
    body: dict[str, Any] = json.loads(request.body)
    return body


def posted(hook: Receiver) -> list[Mapping[str, Any]]:
    """The summaries that arrived, in order."""
    bodies = [verified(each) for each in hook.requests]
    assert {each["type"] for each in bodies} == {"run.finished"}
    assert [each["timestamp"] for each in bodies] == [each["data"]["finished_at"] for each in bodies]
    return [each["data"] for each in bodies]


def test_a_run_is_posted_with_its_counts_and_without_its_users(vip: Project, hook: Receiver) -> None:
    configure(vip, hook)
    assert vip.sync().code == 0
    (data,) = posted(hook)
    assert (data["run"], data["command"], data["status"], data["error"]) == (1, "sync", "succeeded", None)
    (audience,) = data["audiences"]
    counts = {"members": 3, "entered": 3, "left": 0, "invalid": 0}
    assert audience == {"key": "vip", "status": "created", **counts, "error": None}
    (destination,) = data["destinations"]
    assert {name: destination[name] for name in ("name", "calls", "delivered", "refused", "pending")} == {
        "name": "log",
        "calls": 3,
        "delivered": 3,
        "refused": 0,
        "pending": 0,
    }
    assert data["holds"] == []
    text = hook.requests[0].body.decode()
    assert not any(user in text for user in ("ada", "bob", "cyd"))
    assert vip.query("select run, hook, status, attempts, http_status, error from run_webhooks") == [
        (1, "ops", "accepted", 1, 204, None)
    ]


@pytest.mark.parametrize(
    ("others", "code", "status"), [([], 4, "held"), ([{**VIP, "name": "No", "file": "no.csv"}], 3, "failed")]
)
def test_a_hold_is_posted_with_the_commands_that_decide(
    vip: Project, hook: Receiver, others: list[dict[str, Any]], code: int, status: str
) -> None:
    configure(vip, hook)
    vip.sync()
    vip.write_members("vip.csv")
    configure(vip, hook, audiences=[VIP, *others])
    assert vip.sync().code == code
    held = posted(hook)[-1]
    assert (held["run"], held["status"]) == (2, status)
    (hold,) = held["holds"]
    assert (hold["kind"], hold["key"], hold["entered"], hold["left"]) == ("audience", "vip", 0, 3)
    assert hold["commands"] == ["audience-sync approve 2 vip", "audience-sync reject 2 vip"]


def test_runs_of_every_command_are_posted(vip: Project, hook: Receiver) -> None:
    configure(vip, hook)
    vip.sync()
    vip.write_members("vip.csv", "ada")
    vip.sync()
    commands = (
        "approve 2",
        "undo 3 --yes",
        "resync",
        "retry",
        "freeze vip",
        "unfreeze vip",
        "seed vip",
        "retire vip --yes",
    )
    for command in commands:
        assert vip.run(*command.split()).code in (0, 4), command
    assert [each["command"] for each in posted(hook)] == [
        *("sync", "sync", "approve", "undo 3", "resync", "retry", "seed", "retire")
    ]
    assert [each["run"] for each in posted(hook)] == list(range(1, 9))


def test_a_run_without_changes_is_posted_too(vip: Project, hook: Receiver) -> None:
    configure(vip, hook)
    assert [vip.sync().code for _ in range(3)] == [0, 0, 0]
    assert [each["run"] for each in posted(hook)] == [1, 2, 3]


def test_a_run_that_breaks_off_is_posted(vip: Project, hook: Receiver) -> None:
    configure(vip, hook)
    vip.write("sitecustomize.py", BUG)
    vip.environment["PYTHONPATH"] = str(vip.folder)
    assert vip.run_afresh("sync").code == 3
    (data,) = posted(hook)
    assert (data["run"], data["status"]) == (1, "failed")
    assert "RuntimeError" in data["error"]


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_an_interrupted_run_is_posted_by_the_next_one(
    vip: Project, hook: Receiver, receiver: Receiver, stop: signal.Signals
) -> None:
    receiver.will_answer(SILENCE)
    configure(vip, hook, destinations={"segment": segment(receiver)})
    command = vip.start("sync")
    until(lambda: receiver.requests)
    command.send_signal(stop)
    command.wait()
    assert hook.requests == []
    receiver.will_answer(Reply(body=b"{}"))
    assert vip.sync().code == 0
    assert [(each["run"], each["status"]) for each in posted(hook)] == [(1, "interrupted"), (2, "succeeded")]


def test_a_process_that_is_killed_while_it_posts_loses_no_webhook(vip: Project, hook: Receiver) -> None:
    hook.will_answer(SILENCE)
    configure(vip, hook, on_run=on_run(hook, timeout="1m"))
    command = vip.start("sync")
    until(lambda: hook.requests)
    command.send_signal(signal.SIGKILL)
    command.wait()
    hook.will_answer(Reply())
    assert vip.sync().code == 0
    assert [each["run"] for each in posted(hook)] == [1, 1, 2]
    first, again, other = [each.headers["webhook-id"] for each in hook.requests]
    assert first == again != other
    assert hook.requests[0].body == hook.requests[1].body


def test_a_hook_that_does_not_answer_delays_a_run_by_its_timeout_alone(vip: Project, hook: Receiver) -> None:
    hook.will_answer(SILENCE)
    configure(vip, hook, on_run=on_run(hook, timeout="0.3s"))
    ended = vip.run("sync")
    assert ended.code == 0
    assert "`on_run` hook ops: no complete answer within the time-out" in ended.stderr
    assert len(hook.requests) == 1
    assert vip.query("select status, attempts, error from run_webhooks") == [
        ("waiting", 1, "no complete answer within the time-out")
    ]


def test_status_shows_what_waits_until_it_is_accepted(vip: Project, hook: Receiver) -> None:
    hook.will_answer(Reply(500))
    configure(vip, hook, on_run=on_run(hook, timeout="1s"))
    vip.sync()
    (concern,) = vip.run("status", "--json").json["continuing"]
    assert (concern["state"], concern["kind"], concern["subjects"], concern["count"]) == ("pending", "hook", ["ops"], 1)
    assert "1 webhook was not accepted (HTTP 500)" in concern["text"]
    assert "Pending at on_run hook ops: 1 webhook" in vip.run("status").stdout
    hook.will_answer(Reply())
    vip.sync()
    assert vip.run("status", "--json").json["continuing"] == []
    assert [each["run"] for each in posted(hook)] == [1, 2, 1]


def test_one_hook_that_fails_stops_no_other(vip: Project, hook: Receiver, receiver: Receiver) -> None:
    receiver.will_answer(Reply(503))
    down = on_run(receiver, name="down", timeout="0.5s")
    configure(vip, hook, on_run=[down, on_run(hook, statuses=["held", "failed"]), on_run(hook, name="all")])
    vip.sync()
    assert [each["run"] for each in posted(hook)] == [1]
    assert vip.query("select hook, status from run_webhooks order by hook") == [
        ("all", "accepted"),
        ("down", "waiting"),
    ]
    vip.write_members("vip.csv")
    vip.sync()
    assert sorted(each["run"] for each in posted(hook)) == [1, 2, 2]


def test_what_a_removed_hook_did_not_accept_is_forgotten(vip: Project, hook: Receiver) -> None:
    hook.will_answer(Reply(500))
    configure(vip, hook, on_run=on_run(hook, timeout="1s"))
    vip.sync()
    configure(vip, hook, on_run=[])
    vip.sync()
    assert vip.query("select count(*) from run_webhooks") == [(0,)]
    assert vip.run("status", "--json").json["continuing"] == []


def test_no_output_has_the_secret_or_the_address(vip: Project, hook: Receiver) -> None:
    hook.will_answer(Reply(302, headers={"Location": "/elsewhere"}))
    configure(vip, hook, on_run=on_run(hook, timeout="1s"))
    ended = [vip.run("sync", "-v"), vip.run("check", "--notify"), vip.run("status")]
    texts = [part for each in ended for part in (each.stdout, each.stderr)]
    texts.append(str(vip.query("select * from run_webhook_log")))
    assert not any(secret in text for text in texts for secret in (SECRET, SECRET[6:], "a-secret-hook"))
    assert "its address redirects. Correct its `url`" in ended[0].stderr


def test_check_posts_a_test(vip: Project, hook: Receiver) -> None:
    configure(vip, hook)
    found = vip.run("check", "--notify", "--json").json["checks"]
    assert [(each["name"], each["good"]) for each in found if each["part"] == "notify"] == [("on_run ops", True)]
    (request,) = hook.requests
    assert verified(request)["type"] == "run.test"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        pytest.param({"url": "https://x.test"}, "on_run.0.secret: it is missing", id="unsigned"),
        pytest.param({"url": "x.test", "secret": SECRET}, "must be an address like https://host", id="no address"),
        pytest.param({"url": "https://x.test", "secret": "whsec_?"}, "must be base64 after `whsec_`", id="no base64"),
        pytest.param(
            [{"url": f"https://x.test/{each}", "secret": SECRET} for each in "ab"],
            "two hooks are called x.test: give each a `name` of its own",
            id="one name",
        ),
        pytest.param({"url": "https://x.test", "secret": SECRET, "timeout": "5m"}, "at most 1m", id="long time-out"),
        pytest.param(
            {"url": "https://x.test", "secret": SECRET, "statuses": ["hold"]}, "on_run.0.statuses.0", id="no status"
        ),
    ],
)
def test_a_section_with_a_problem_is_explained(vip: Project, section: object, problem: str) -> None:
    vip.configure(audiences=[VIP], on_run=section)
    ended = vip.sync()
    assert ended.code == 2
    assert problem in ended.stderr.replace("[", ".").replace("]", "")
