"""The operator and the Dag of docs/airflow.md do what the page promises. With Airflow (see .ci/run)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import requests
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from orchestrators import projects

from audience_sync.errors import RunFailedError
from audience_sync.integrations import airflow as integration
from audience_sync.integrations.serve_client import ServeError

TOKEN = "a-token-of-32-characters-and-more"


class Task:
    """A task instance that keeps what was pushed."""

    dag_id, task_id, run_id, map_index, try_number = "shop", "sync", "scheduled", -1, 1

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        json.dumps(value)
        self.pushed[key] = value


def outcome(work: Callable[[dict[str, Any]], Any]) -> tuple[Any, Task]:
    """What a task returns or raises, and its instance."""
    task = Task()
    try:
        return work({"ti": task}), task
    except (Exception, TaskDeferred) as error:
        return error, task


def operator(config: Path, **arguments: Any) -> Any:
    return integration.AudienceSyncOperator(task_id="sync", config=str(config), **arguments)


def check_worker(folder: Path) -> int:
    """Runs in the process of the task."""
    config = projects.project(folder / "ok")
    counts, _ = outcome(operator(config).execute)
    assert (counts["run"], counts["status"], counts["entered"], counts["left"]) == (1, "succeeded", 4, 0), counts
    assert counts["audiences"]["vip"] == {"status": "created", "members": 3, "entered": 3, "left": 0, "invalid": 0}
    assert counts["destinations"] == {"log": {"delivered": 3, "refused": 0, "pending": 0}}
    assert outcome(operator(config, audiences=["test"]).execute)[0]["audiences"].keys() == {"test"}
    json.dumps(counts)

    error, task = outcome(operator(projects.held(folder / "held")).execute)
    assert isinstance(error, AirflowFailException), error
    assert "To decide: audience-sync approve 2" in str(error)
    assert task.pushed["return_value"]["status"] == "held"

    error, task = outcome(operator(projects.failed(folder / "failed")).execute)
    assert isinstance(error, RunFailedError), error  # an error of no kind of Airflow's: the task is retried
    assert (task.pushed["return_value"]["status"], "vip.csv" in str(error)) == ("failed", True)

    counts, _ = outcome(operator(projects.partial(folder / "partial")).execute)
    assert (counts["status"], counts["destinations"]["down"]["pending"]) == ("partial", 3), counts

    error, _ = outcome(operator(projects.invalid(folder / "invalid")).execute)
    assert isinstance(error, AirflowFailException), error
    assert "Did you mean `guard`?" in str(error)

    config = projects.project(folder / "busy")
    with projects.busy(config):
        error, _ = outcome(operator(config).execute)
    assert isinstance(error, AirflowSkipException), error
    return 6


class Server(ThreadingHTTPServer):
    """Answers in place of ``audience-sync serve``, with the documents of its OpenAPI, in this order by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers[self.path]
        code, document = answers.pop(0) if len(answers) > 1 else answers[0]
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", "https://sync.example.com/runs")
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = SimpleNamespace(host="127.0.0.1", port=server.server_port, schema="http", password="a-token")
    try:
        with patch("airflow.sdk.BaseHook.get_connection", return_value=connection):
            yield server
    finally:
        server.shutdown()
        server.server_close()


def served(status: str, **more: Any) -> dict[str, Any]:
    audience = {"key": "vip", "status": "synced", "members": 3, "entered": 3, "left": 0, "invalid": 0, "error": None}
    destination = {"name": "log", "calls": 3, "delivered": 3, "refused": 0, "pending": 0, "error": None}
    run = {"run": 7, "status": status, "seconds": 1.5, "error": None, "audiences": [audience], "holds": []}
    return {**run, "traits": {"changed": 2}, "destinations": [destination], **more}


def deferred(server: Server, *answers: tuple[int, dict[str, Any]], **arguments: Any) -> tuple[Any, Task]:
    """What a task ends with after the server's answers for its run."""
    server.answers |= {"/runs": [(202, served("running"))], "/runs/7": list(answers)}
    task = operator(Path("unused"), conn_id="audience_sync", **arguments)
    deferral, _ = outcome(task.execute)
    assert isinstance(deferral, TaskDeferred), deferral
    path, values = deferral.trigger.serialize()
    assert path == "audience_sync.integrations.airflow.RunTrigger"
    again = integration.RunTrigger(**{**json.loads(json.dumps(values)), "poll_seconds": 0})

    async def event() -> Any:
        return [each async for each in again.run()]

    [found] = asyncio.run(event())
    return outcome(lambda context: getattr(task, deferral.method_name)(context, json.loads(json.dumps(found.payload))))


def check_deferred() -> int:
    """The run is made by a server, and the task is deferred."""
    running = (200, served("running"))
    with serving() as server:
        counts, _ = deferred(server, running, running, (200, served("succeeded")), audiences="vip", reason="nightly")
        assert (counts["run"], counts["entered"], counts["traits_changed"]) == (7, 3, 2), counts
        method, path, headers, body = server.asked[0]
        assert (method, path, body) == ("POST", "/runs", {"audiences": ["vip"], "reason": "nightly"})
        assert (headers["Authorization"], headers["Idempotency-Key"]) == (
            "Bearer a-token",
            "shop/sync/scheduled/-1/1",
        )

        hold = {"key": "vip", "reason": "2 of 3 members would leave", "commands": ["audience-sync approve 7 vip"]}
        error, task = deferred(server, running, (200, served("held", holds=[hold])))
        assert isinstance(error, AirflowFailException), error
        assert "2 of 3 members would leave\n  audience-sync approve 7 vip" in str(error)
        assert task.pushed["return_value"]["status"] == "held"

        for status in ("failed", "interrupted"):
            error, _ = deferred(server, (200, served(status, error="vip.csv is missing")))
            assert isinstance(error, RunFailedError), error
        assert deferred(server, (200, served("partial")))[0]["status"] == "partial"

        restarting = [(503, {"detail": "the store can't be reached"})] * 3
        assert deferred(server, *restarting, (200, served("succeeded")))[0]["status"] == "succeeded"
        error, _ = deferred(server, (503, {"detail": "the store can't be reached"}))
        assert isinstance(error, ServeError), error

        server.answers = {"/runs": [(409, {"detail": "Run 6 is in progress"})]}
        started = operator(Path("unused"), conn_id="audience_sync").execute
        error, _ = outcome(started)
        assert isinstance(error, AirflowSkipException), error
        for code, words in ((401, "401: no"), (422, "422: no"), (301, "redirects to https://sync.example.com/runs")):
            server.answers = {"/runs": [(code, {"detail": "no"})]}
            error, _ = outcome(started)
            assert isinstance(error, AirflowFailException), error
            assert words in str(error)

        server.answers = {"/runs/7/cancel": [(202, served("running"))]}
        asyncio.run(integration.RunTrigger(conn_id="audience_sync", run=7, poll_seconds=0).on_kill())
        assert server.asked[-1][:2] == ("POST", "/runs/7/cancel")
    return 10


@contextmanager
def real_server(config: Path) -> Iterator[SimpleNamespace]:
    """``audience-sync serve`` for this config, as Airflow's connection to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "audience_sync", "--config", str(config), "serve", "--port", str(port)]
    variables = {**os.environ, "AUDIENCE_SYNC_SERVE_TOKEN": TOKEN}
    connection = SimpleNamespace(host="127.0.0.1", port=port, schema="http", password=TOKEN)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=variables) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    requests.get(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                except requests.ConnectionError:
                    assert time.monotonic() < until, "the server does not answer"
                    time.sleep(0.1)
            with patch("airflow.sdk.BaseHook.get_connection", return_value=connection):
                yield connection
        finally:
            process.terminate()


def served_for_real(task_id: str, **arguments: Any) -> tuple[Any, Task]:
    """What a deferred task ends with, whose run the real server makes."""
    task = integration.AudienceSyncOperator(task_id=task_id, conn_id="audience_sync", **arguments)
    context = {"ti": SimpleNamespace(dag_id="Покупки", task_id=task_id, run_id="r", map_index=-1, try_number=1)}
    deferral, _ = outcome(lambda _: task.execute(context))
    if not isinstance(deferral, TaskDeferred):
        return deferral, Task()
    trigger = integration.RunTrigger(conn_id="audience_sync", run=deferral.trigger.run_number, poll_seconds=0.2)

    async def events() -> list[Any]:
        return [each async for each in trigger.run()]

    [found] = asyncio.run(events())
    return outcome(lambda context: task.execute_complete(context, json.loads(json.dumps(found.payload))))


def check_real_server(folder: Path) -> int:
    """The run is made by ``audience-sync serve`` itself."""
    config = projects.project(folder / "served")
    with real_server(config) as connection:
        first, _ = served_for_real("first")
        assert (first["run"], first["status"], first["entered"], first["traits_changed"]) == (1, "succeeded", 4, 3), (
            first
        )
        assert served_for_real("first")[0]["run"] == 1  # Airflow started the same task twice
        error, _ = served_for_real("unknown", audiences=["nope"])
        assert isinstance(error, AirflowFailException), error
        projects.write_members(config.parent, "ada")
        error, task = served_for_real("held")
        assert isinstance(error, AirflowFailException), error
        assert f"audience-sync --config {config} approve 2 vip" in str(error), error
        assert task.pushed["return_value"]["status"] == "held"
        connection.password = "another"
        assert isinstance(served_for_real("unauthorized")[0], AirflowFailException)
    return 5


def check_example(folder: Path) -> int:
    config = projects.project(folder / "example")
    dag = projects.example("airflow.md", config)["audience_sync"]()
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    task = dag.get_task("sync")
    assert task.retries == 3
    assert outcome(task.execute)[0]["status"] == "succeeded"

    dag = projects.example("airflow.md", config, -1)["audiences_of_dbt"]()
    build, sync = dag.get_task("dbt_build"), dag.get_task("sync")
    assert (build.bash_command, build.downstream_task_ids) == ("dbt build", {"sync"})
    assert sync.trigger_rule == "all_done"
    assert outcome(sync.execute)[0]["status"] == "succeeded"
    return 2


def main() -> int:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        passed = check_worker(folder) + check_deferred() + check_real_server(folder) + check_example(folder)
    print(f"Airflow: {passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
