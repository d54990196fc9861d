"""Programs start runs over HTTP, look at them, cancel them and decide."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import ACCEPTED, Project, segment, until
from destinations.receiver import Receiver, Reply
from openapi_spec_validator import validate

from audience_sync.serve.app import openapi_document

from .conftest import TOKEN, Server, kill_run, serving

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
OTHER = {"name": "Other", "source": "shop", "file": "other.csv"}
#: A query that takes hours.
SLOW = "select cast(sum(a.range * b.range) as varchar) as user_id from range(3000000) a, range(3000000) b"
COUNTS = {"entered": 3, "left": 0, "invalid": 0, "members": 3}


def a_project(folder: Path, store: Path, **parts: Any) -> Project:
    project = Project(folder)
    project.configure(**{"audiences": [VIP], "guard": {"at_least": 0}, **parts})
    project.write_members("vip.csv", "ada", "bob", "cyd")
    shutil.copy(store, project.store)
    return project


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Iterator[Server]:
    """One server for the tests that need nothing of their own."""
    project = a_project(tmp_path_factory.mktemp("served"), sqlite_schema, audiences=[VIP, OTHER])
    project.write_members("other.csv", "dan")
    with serving(project) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        running.will_answer(ACCEPTED)
        yield running


def slowly(receiver: Receiver) -> dict[str, Any]:
    """Options of a destination that is sent three calls in an hour."""
    return {"segment": segment(receiver, batch_size=1, rate_limit="3/h", give_up_after="1h")}


@pytest.fixture
def slow(tmp_path: Path, sqlite_schema: Path, receiver: Receiver) -> Iterator[Server]:
    """A server whose runs take an hour, until ``hurry``."""
    project = a_project(tmp_path, sqlite_schema, destinations=slowly(receiver))
    with serving(project) as running:
        yield running


def children(server: Server) -> list[str]:
    """The processes that it has started."""
    found = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True)
    return found.stdout.split()


def hurry(server: Server, receiver: Receiver) -> None:
    server.project.configure(audiences=[VIP], destinations={"segment": segment(receiver)}, guard={"at_least": 0})


def test_the_document_is_valid_and_has_every_address() -> None:
    document = openapi_document()
    validate(document)
    assert [
        f"{method.upper()} {path}"
        for path, place in document["paths"].items()
        for method in place
        if method in ("get", "post")
    ] == [
        "GET /health",
        "GET /runs",
        "POST /runs",
        "GET /runs/{number}",
        "POST /runs/{number}/cancel",
        "POST /runs/{number}/approve",
        "POST /runs/{number}/reject",
        "POST /plans",
        "GET /status",
        "GET /metrics",
        "GET /openapi.json",
    ]


def test_a_run_of_the_named_audiences(server: Server) -> None:
    run = server.started({"audiences": ["vip"], "reason": "nightly build 7"})
    ended = server.ended(run)
    assert (ended["status"], ended["command"]) == ("succeeded", "sync")
    (audience,) = ended["audiences"]
    assert {name: audience[name] for name in COUNTS} == COUNTS
    assert [(each["name"], each["delivered"]) for each in ended["destinations"]] == [("log", 3)]
    assert server.get("/runs?limit=1").json["runs"][0]["run"] == run
    assert server.project.query(f"select reason from decisions where run = {run}") == [("nightly build 7",)]
    assert [user for user, _ in server.project.sent()] == ["ada", "bob", "cyd"]
    log = server.project.folder / "serve.log"
    until(lambda: f"INFO audience_sync.serve: run {run} succeeded in " in log.read_text())


def test_a_run_of_everything_needs_no_body(server: Server) -> None:
    keys = [each["key"] for each in server.ended(server.started())["audiences"]]
    assert sorted(keys) == ["other", "vip"]


def test_a_plan_is_that_of_the_command(server: Server) -> None:
    planned = server.post("/plans", {"audiences": ["vip"]})
    assert planned.status == 200
    assert planned.json == server.project.run("plan", "vip", "--json").json


def test_the_state_is_that_of_the_commands(server: Server) -> None:
    run = server.started()
    server.ended(run)
    mine, its = server.project.run("status", "--json").json, server.get("/status").json
    assert {**mine, "at": ""} == {**its, "at": ""}
    health = server.get("/health").json
    assert (health["status"], health["store"], health["last_run_ok"]) == ("ok", "reachable", True)
    assert (health["last_run"]["run"], health["last_run"]["status"]) == (run, "succeeded")
    metrics = server.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert "audience_sync_store_up 1.0" in metrics.text
    assert server.get("/openapi.json").json == openapi_document()


def test_only_health_needs_no_token(server: Server) -> None:
    everything = [
        (method.upper(), path.replace("{number}", "1"))
        for path, place in openapi_document()["paths"].items()
        for method in place
        if method in ("get", "post") and path != "/health"
    ]
    for method, path in everything:
        for given in (
            {"authorization": ""},
            {"authorization": f"Bearer {TOKEN}x"},
            {"authorization": f"Basic {TOKEN}"},
        ):
            refused = server.ask(method, path, None, **given)
            assert refused.status == 401, path
            assert refused.headers["www-authenticate"] == 'Bearer realm="audience-sync"'
            assert refused.headers["content-type"] == "application/problem+json"
    assert server.get("/health", authorization="").status == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        pytest.param("/runs", b'{"audiences": ["vipp"]}', 422, "vipp", id="unknown audience"),
        pytest.param("/plans", b'{"audiences": ["vipp"]}', 422, "vipp", id="unknown audience in a plan"),
        pytest.param("/runs", b'{"audience": "vip"}', 422, "unknown field `audience`", id="unknown member"),
        pytest.param("/runs", b'{"audiences": "vip"}', 422, "Expected `array | null`", id="no list"),
        pytest.param("/runs", b"audiences=vip", 400, "The body is not JSON", id="no JSON"),
        pytest.param("/runs", b" " * 1_000_001, 413, "longer than 1,000,000 bytes", id="too long"),
        pytest.param("/runs", b'{"audiences": []}', 422, "length >= 1", id="empty list"),
        pytest.param("/runs/1/approve", b'{"keys": []}', 422, "length >= 1", id="empty list of a decision"),
        pytest.param("/runs/1/approve", b"", 422, "held nothing", id="approve nothing"),
        pytest.param("/runs/1/reject", b'{"keys": null}', 422, "held nothing", id="reject nothing"),
        pytest.param("/runs/99/approve", b"", 404, "There is no run 99", id="approve no run"),
        pytest.param("/runs/99/reject", b"", 404, "There is no run 99", id="reject no run"),
        pytest.param("/runs/99/cancel", b"", 404, "There is no run 99", id="cancel nothing"),
    ],
)
def test_what_is_wrong_is_explained_and_starts_no_run(
    server: Server, path: str, body: bytes, status: int, words: str
) -> None:
    if "/runs/1/" in path and server.get("/runs/1").status == 404:
        server.ended(server.started())
    before = server.project.query("select max(id) from runs")
    wrong = server.ask("POST", path, body)
    assert (wrong.status, wrong.json["status"]) == (status, status)
    assert words in wrong.json["detail"]
    assert server.project.query("select max(id) from runs") == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/99", 404),
        (f"/runs/{2**40}", 404),
        ("/nothing", 404),
        ("/runs/", 404),
        ("/runs?limit=0", 400),
        ("/runs/1?wait=61", 400),
    ],
)
def test_an_address_that_is_wrong(server: Server, path: str, status: int) -> None:
    assert server.get(path).status == status


# Idempotency keys -----------------------------------------------------------------------------------------------------


def test_a_repeated_key_gets_the_same_run(server: Server) -> None:
    run = server.started({"audiences": ["vip"]}, Idempotency_Key="build-7")
    server.ended(run)
    again = server.post("/runs", {"audiences": ["vip"]}, Idempotency_Key='"build-7"')
    assert (again.status, again.json["run"]) == (200, run)
    other = server.post("/runs", {"audiences": ["other"]}, Idempotency_Key="build-7")
    assert other.status == 422
    assert "used for another request" in other.json["detail"]
    following = server.started({"audiences": ["vip"]}, Idempotency_Key="build-8")
    assert server.ended(following)["run"] == run + 1


def test_a_key_at_the_same_time_starts_one_run(server: Server) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: server.post("/runs", Idempotency_Key="at-once"), range(4)))
    assert sorted(each.status for each in answers) == [200, 200, 200, 202]
    (run,) = {each.json["run"] for each in answers}
    server.ended(run)


def test_a_key_of_a_request_that_started_no_run_can_be_used_again(server: Server) -> None:
    assert server.post("/runs", {"audiences": ["vipp"]}, Idempotency_Key="corrected").status == 422
    server.ended(server.started({"audiences": ["vip"]}, Idempotency_Key="corrected"))


# A run in progress ----------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused_with_the_number_of_the_first(slow: Server, receiver: Receiver) -> None:
    run = slow.started()
    until(lambda: receiver.requests)
    busy = slow.post("/runs")
    assert (busy.status, busy.json["run"], busy.json["error"]) == (409, run, "RunInProgressError")
    assert busy.json["detail"].startswith("Another run is in progress (process ")
    assert busy.headers["retry-after"] == "10"
    assert slow.get(f"/runs/{run}").json["status"] == "running"
    assert slow.post("/plans").status == 200, "a plan disturbs no run"


def test_a_run_of_another_process_is_refused_and_not_cancelled(slow: Server, receiver: Receiver) -> None:
    command = slow.project.start("sync")
    until(lambda: receiver.requests)
    assert slow.post("/runs").json["run"] == 1
    refused = slow.post("/runs/1/cancel")
    assert refused.status == 409
    assert "was not started by this server: stop process" in refused.json["detail"]
    command.send_signal(signal.SIGKILL)
    command.wait()
    hurry(slow, receiver)
    assert slow.ended(slow.started())["status"] == "succeeded"


def test_a_cancelled_run_ends_as_after_ctrl_c_and_the_next_one_continues(slow: Server, receiver: Receiver) -> None:
    run = slow.started()
    until(lambda: receiver.requests)
    cancelled = slow.post(f"/runs/{run}/cancel")
    assert cancelled.status == 202
    assert slow.ended(run)["status"] == "interrupted"
    assert slow.get("/health").json["last_run_ok"] is False
    assert slow.post(f"/runs/{run}/cancel").status == 409
    hurry(slow, receiver)
    following = slow.ended(slow.started())
    assert [(each["calls"], each["delivered"]) for each in following["destinations"]] == [(2, 2)]


def test_a_cancelled_run_is_posted_to_its_hook(tmp_path: Path, sqlite_schema: Path, receiver: Receiver) -> None:
    with Receiver() as hook:
        hook.will_answer(Reply())
        on_run = {"url": hook.url, "secret": "a-secret"}
        project = a_project(tmp_path, sqlite_schema, destinations=slowly(receiver), on_run=on_run)
        with serving(project) as server:
            run = server.started()
            until(lambda: receiver.requests)
            server.post(f"/runs/{run}/cancel")
            until(lambda: hook.requests)
            assert json.loads(hook.requests[0].body)["data"]["status"] == "interrupted"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_run(slow: Server, receiver: Receiver, stop: signal.Signals) -> None:
    slow.started()
    until(lambda: receiver.requests)
    [(holder,)] = slow.project.query("select holder from runs")
    with slow.project.locked():
        if stop == signal.SIGTERM:  # systemd sends it to every process of the unit
            os.kill(int(holder.split()[1]), stop)
            time.sleep(0.2)
        slow.process.send_signal(stop)
        time.sleep(0.7)
    assert slow.process.wait(timeout=30) == 0
    [(status, error)] = slow.project.query("select status, error from sync_runs")
    assert (status, error.partition(". ")[2]) == (
        "interrupted",
        "Every answer received so far is recorded. The next run sends the rest.",
    )


def test_a_plan_ends_with_the_server_or_when_its_client_has_left(tmp_path: Path, sqlite_schema: Path) -> None:
    project = a_project(tmp_path, sqlite_schema, audiences=[{"name": "Slow", "source": "shop", "query": SLOW}])
    with serving(project) as server:
        for leaves in (True, False):
            with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as client:
                lines = ("POST /plans HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", "Content-Length: 0")
                client.sendall("\r\n".join((*lines, "", "")).encode())
                until(lambda: children(server))
                if not leaves:
                    server.process.terminate()
                    assert server.process.wait(timeout=10) == 0
            until(lambda: not children(server))


def test_a_server_that_is_killed_loses_nothing(slow: Server, receiver: Receiver) -> None:
    run = slow.started(Idempotency_Key="build-7")
    until(lambda: receiver.requests)
    slow.process.kill()
    slow.process.wait()
    assert slow.project.query("select status from sync_runs") == [("running",)], "the run goes on"
    with serving(slow.project) as following:
        assert following.post("/runs").status == 409
        assert following.post("/runs", Idempotency_Key="build-7").json["run"] == run
        kill_run(following.project)
        hurry(following, receiver)
        until(lambda: following.post("/runs", Idempotency_Key="build-8").status == 202)
        assert following.ended(2)["status"] == "succeeded"


# Decisions ------------------------------------------------------------------------------------------------------------


def test_a_held_run_is_approved_and_rejected(tmp_path: Path, sqlite_schema: Path) -> None:
    project = a_project(tmp_path, sqlite_schema)
    with serving(project) as server:
        server.ended(server.started())
        project.write_members("vip.csv")
        held = server.ended(server.started())
        assert held["status"] == "held"
        assert held["holds"][0]["commands"] == ["audience-sync approve 2 vip", "audience-sync reject 2 vip"]
        rejected = server.post("/runs/2/reject", {"keys": ["vip"], "reason": "half a file"})
        assert rejected.json == {"run": 2, "rejected": [{"kind": "audience", "key": "vip", "entered": 0, "left": 3}]}
        server.ended(server.started())
        approved = server.post("/runs/3/approve", {"reason": "right"}, Idempotency_Key="decision")
        assert approved.status == 202
        assert server.ended(approved.json["run"])["audiences"][0]["left"] == 3
        assert project.query("select command, reason from decisions order by decision") == [
            ("reject", "half a file"),
            ("approve", "right"),
        ]


# The command ----------------------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_served(server: Server) -> None:
    refused = server.project.run("serve", "--port", "0")
    assert refused.code == 2
    assert "this command needs a token. Nothing is served." in refused.stderr
    assert "Make a token: python3 -c" in refused.stderr


@pytest.mark.parametrize(
    ("audiences", "arguments", "words"), [([], (), "nothing to sync"), ([VIP], ("--schedule",), "no schedule is set")]
)
def test_a_config_with_problems_is_not_served(
    project: Project, audiences: list[Any], arguments: tuple[str, ...], words: str
) -> None:
    project.configure(audiences=audiences)
    project.environment["AUDIENCE_SYNC_SERVE_TOKEN"] = TOKEN
    refused = project.run("serve", "--port", "0", *arguments)
    assert (refused.code, words in refused.stderr) == (2, True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_changed_config_counts_for_the_next_run(tmp_path: Path, sqlite_schema: Path) -> None:
    project = a_project(tmp_path, sqlite_schema)
    with serving(project) as server:
        server.ended(server.started())
        project.configure(audiences=[])
        broken = server.post("/runs")
        assert (broken.status, broken.json["error"]) == (500, "ConfigError")
        assert "nothing to sync" in broken.json["problems"][0]["message"]
        assert server.post("/plans").status == 500


def test_a_store_that_can_not_be_read(tmp_path: Path, sqlite_schema: Path) -> None:
    project = a_project(tmp_path, sqlite_schema)
    with serving(project) as server:
        project.store.write_bytes(b"no database" * 1_000)
        assert server.get("/health").status == 503
        refused = server.post("/runs")
        assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_it_runs_the_schedules_if_it_is_asked_to(tmp_path: Path, sqlite_schema: Path, stop: signal.Signals) -> None:
    project = a_project(tmp_path, sqlite_schema, schedule={"every": "1s"})
    with serving(project, "--schedule") as server:
        until(lambda: len(server.get("/runs").json["runs"]) > 1)
        (scheduler,) = children(server)
        server.process.send_signal(stop)
        assert server.process.wait(timeout=30) == (0 if stop == signal.SIGTERM else -stop)
        until(lambda: not os.path.exists(f"/proc/{scheduler}"))
