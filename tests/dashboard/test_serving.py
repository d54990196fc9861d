"""The command serves where it is asked to, ends at once, and never disturbs a run."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from cli.conftest import ACCEPTED, SILENCE, Project, heed_interrupts, segment, until
from destinations.receiver import Receiver

from audience_sync.dashboard.store import PageStore
from audience_sync.errors import StoreError

TOKEN = "a-token-of-24-characters"


@contextmanager
def dashboard(project: Project, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and its address."""
    process = subprocess.Popen(
        project.command("dashboard", "--port", "0", *arguments),
        cwd=project.folder,
        env=project.environment | environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        address = re.search(r"http://\S+/", line)
        assert address, line + process.stderr.read()
        yield process, address[0]
    finally:
        process.kill()
        process.communicate()


@contextmanager
def stream(address: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """An open stream of events."""
    with closing(http.client.HTTPConnection(address.removeprefix("http://").strip("/"), timeout=60)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            yield answer


def fetch(address: str, headers: dict[str, str] | None = None) -> str:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers or {}), timeout=30) as answer:
        body: bytes = answer.read()
    return body.decode()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    project.write_members("vip.csv", "ada", "bob", "cyd")
    return project


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_at_once_even_while_a_page_is_streamed(project: Project, stop: int) -> None:
    assert project.run("sync").code == 0
    with dashboard(project) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        assert "VIP" in fetch(address)
        with stream(address, "/live") as answer:
            assert answer.readline() == b"retry: 3000\n"
            began = time.monotonic()
            process.send_signal(stop)
            process.wait(timeout=30)
            assert time.monotonic() - began < 5  # a second, and the end of the interpreter on a busy machine
        assert process.returncode == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_connection_without_a_request_is_closed(project: Project) -> None:
    assert project.run("sync").code == 0
    with dashboard(project) as (_, address):
        host, _, port = address.removeprefix("http://").strip("/").rpartition(":")
        with closing(socket.create_connection((host, int(port)), timeout=30)) as idle:
            assert idle.recv(1) == b""  # the server has closed it
        assert "VIP" in fetch(address)


def test_a_port_in_use_is_an_error_of_usage(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        wrong = project.run("dashboard", "--port", port)
    assert (wrong.code, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        f"error: another program listens on port {port} of 127.0.0.1. Nothing is served.\n"
        "  Choose another port, or let the system choose one: --port 0\n"
    )


@pytest.mark.parametrize(
    ("arguments", "token", "words"),
    [
        (["--host", "0.0.0.0"], "", "error: others can reach 0.0.0.0, so a token is needed. Nothing is served."),
        (["--allow-host", "dash.example.com"], "", "error: others can reach dash.example.com, so a token is needed."),
        (["--host", "0.0.0.0"], "short", "error: the token has 5 characters, and it needs 16 or more."),
        (["--host", "no.such.host.invalid", "--port", "0"], TOKEN, "error: can't listen on no.such.host.invalid"),
        (["--token-file", "none"], "", "'none' does not exist"),
    ],
)
def test_an_unsafe_or_wrong_address_is_refused(project: Project, arguments: list[str], token: str, words: str) -> None:
    project.environment["AUDIENCE_SYNC_DASHBOARD_TOKEN"] = token
    wrong = project.run("dashboard", *arguments)
    assert (wrong.code, words in wrong.stderr) == (2, True), wrong.stderr
    assert "short" not in wrong.stderr.replace("shorter", "")


def test_others_look_with_the_token(project: Project) -> None:
    project.run("sync")
    project.write("token", f"{TOKEN}\n")
    with dashboard(project, "--host", "0.0.0.0", "--token-file", "token") as (_, address):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            fetch(address)
        assert "VIP" in fetch(address, {"Authorization": f"Bearer {TOKEN}"})


def test_without_the_extra_its_name_is_said(project: Project) -> None:
    script = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('jinja2', 'starlette') else real(name, *a)\n"
        "from audience_sync.cli import main; sys.argv = ['audience-sync', 'dashboard']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.folder, env=project.environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Install it: pip install 'audience-sync[web]'" in done.stderr


def test_the_config_may_lack_the_secrets_of_destinations(project: Project) -> None:
    project.run("sync")
    destinations = {"segment": {"type": "segment", "write_key": "${MISSING_KEY}"}}
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}], destinations=destinations)
    with dashboard(project) as (_, address):
        assert "MISSING_KEY" in fetch(address)
        assert "Run 1" in fetch(f"{address}runs/1")


def test_a_run_is_watched_until_it_ends(project: Project, receiver: Receiver) -> None:
    """A real run whose destination keeps it waiting: progress, refused so far, and then the page is loaded again."""
    receiver.will_answer(ACCEPTED, *[SILENCE] * 20)
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": segment(receiver, batch_size=1, concurrency=1, timeout="3s")},
    )
    with dashboard(project) as (_, address):
        running = project.start("sync")
        until(lambda: len(receiver.requests) == 2)
        page = fetch(address)
        assert 'hx-sse:connect="/live"' in page
        run = fetch(f"{address}runs/1")
        assert "in progress" in run
        with stream(address, "/runs/1/live") as answer:
            assert (answer.getheader("content-type") or "").startswith("text/event-stream")
            seen = ""
            while "segment" not in seen:
                seen += answer.readline().decode()
            os.kill(running.pid, signal.SIGTERM)
            running.wait(timeout=60)
            while "event: reload" not in seen:
                line = answer.readline().decode()
                assert line, "the stream ended without a message"
                seen += line
    assert re.search(r"1 ?</td>", seen)


def test_a_run_never_waits_for_pages(project: Project) -> None:
    project.run("sync")
    with dashboard(project) as (_, address):
        for number in range(5):
            project.write_members("vip.csv", *(f"u{each}" for each in range(number, number + 3)))
            done = project.sync()
            assert done.code == 0, done.stderr
            assert "Waiting" not in done.stderr
            assert json.loads(fetch(f"{address}runs?format=json"))[0]["run"] == number + 2
        erased = project.run("erase", "u4")
        assert (erased.code, "Waiting" in erased.stderr) == (0, False)


@contextmanager
def busy_readers(read: Callable[[int], object], readers: int = 4) -> Iterator[None]:
    """Threads that read one after the other without a pause, so that at any time at least one reads."""
    stop = threading.Event()

    def keep_reading(first: int) -> None:
        for number in itertools.count(first):
            if stop.is_set():
                return
            read(number)

    with ThreadPoolExecutor(readers) as pool:
        running = [pool.submit(keep_reading, number) for number in range(readers)]
        try:
            yield
        finally:
            stop.set()
        for each in running:
            each.result()


def test_the_first_run_of_a_new_store_never_waits_for_pages(project: Project) -> None:
    """Its file appears in WAL mode; a store without one would be locked by pages that overlap."""
    with dashboard(project) as (_, address):
        paths = ["", "audiences", "runs", "query?sql=select+1"]

        def read(number: int) -> None:
            with suppress(urllib.error.HTTPError):  # there is nothing yet
                fetch(address + paths[number % len(paths)])

        with busy_readers(read):
            done = project.sync()
    assert (done.code, "Waiting" in done.stderr) == (0, False), done.stderr


def test_pages_of_a_store_without_a_write_ahead_log_leave_room_for_a_run(project: Project) -> None:
    """The threads of one process share its lock, so that a run would never get it if they overlapped."""
    project.run("sync")
    project.query("pragma journal_mode = delete")
    pages = PageStore(f"sqlite:///{project.store}")

    def read(_: int) -> None:
        with suppress(StoreError), pages.reading() as connection:  # a page gives up while a run writes for long
            connection.exec_driver_sql("select count(*) from sync_runs").fetchall()
            time.sleep(0.1)

    with busy_readers(read, readers=8):
        run = project.start("sync")
        try:
            assert run.wait(30) == 0
        finally:
            run.kill()
    assert project.query("select count(*) from sync_runs") == [(2,)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
