"""Play the pages of Docker and Compose with Docker's daemon: `nox -s docker`. It tags the image `audience-sync`."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from proxies import free_port

ROOT = Path(__file__).parents[2]
USER = f"{os.getuid()}:{os.getgid()}"
CLOSED = ("--read-only", "-v", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
TOTAL = 15_000  # calls to the three destinations of the sandbox's sample project
PASSWORD = "p@ss/w#r$d:?&%41"


def run(*command: object, cwd: Path, code: int | None = 0) -> str:
    """What a command has written. Its exit code is that one, or any with None."""
    done = subprocess.run([str(each) for each in command], cwd=cwd, capture_output=True, text=True)
    assert code is None or done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def audience_sync(folder: Path, *command: str, options: tuple[str, ...] = (), code: int = 0) -> str:
    start = ("docker", "run", "--rm", "--network", "host", "--user", USER, "-v", f"{folder}:/data", *options)
    return run(*start, "audience-sync", *command, cwd=folder, code=code)


@contextmanager
def container(folder: Path, *command: str, name: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """A container that runs in the background, by its name. It is removed at the end."""
    name = f"audience-sync-check-{os.getpid()}-{name}"
    start = ("docker", "run", "-d", "--name", name, "--network", "host", "--user", USER, "-v", f"{folder}:/data")
    run(*start, *options, "audience-sync", *command, cwd=folder)
    try:
        yield name
    finally:
        run("docker", "rm", "-f", "-v", name, cwd=folder, code=None)


def wait_until(happened: Any, what: str, seconds: int = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def check_start(folder: Path) -> Iterator[str]:
    """The commands of `docs/starts.md`, as they are written there."""
    page = (ROOT / "docs" / "starts.md").read_text("utf-8").partition("## With Docker only")[2]
    block = re.search(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    commands = block[1].replace("../shop", f"{folder}/shop")
    assert commands != block[1]
    said = run("bash", "-c", f"shopt -s expand_aliases; set -e\n{commands}", cwd=ROOT)
    assert "5,000 calls delivered" in said
    assert "no changes, nothing to send" in said
    calls = (folder / "shop" / "identify_calls.jsonl").read_text("utf-8")
    assert calls.count("\n") == 5_000
    yield "the start with Docker only: 5,000 calls, then none"
    assert "nothing to send" in audience_sync(folder / "shop", "sync", options=CLOSED)
    yield "a run without a writable file system and without capabilities"
    with container(folder / "shop", "schedule", name="idle") as name:
        wait_until(lambda: "no schedule is set" in run("docker", "logs", name, cwd=folder), "no message")
    with container(folder / "shop", "dashboard", "--port", str(port := free_port()), name="pages"):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), "the dashboard doesn't answer")
    yield "the dashboard is reached from the host"


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


def check_kill(folder: Path) -> Iterator[str]:
    """A run is killed, stopped and continued, in the same container and in another one."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    audience_sync(folder, "init", "--sandbox", "watched")
    config = folder / "watched" / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("http://127.0.0.1:8790", address), "utf-8")

    def received() -> int:
        return int(requests.get(f"{address}/calls.json?limit=1").json()["last_24_hours"].get("accepted", 0))

    with container(folder, "sandbox", "--port", str(port), name="sandbox"):
        wait_until(lambda: answers(f"{address}/calls.json"), "the sandbox doesn't answer")
        requests.post(f"{address}/answers", data={"answer": "slow", "seconds": 1, "requests": "all"})
        before = 0
        with container(config.parent, "sync", name="run") as name:
            for signal, code in (("KILL", "137"), ("TERM", "130")):
                wait_until(lambda: received() > before, "nothing was sent")  # noqa: B023 (called here)
                run("docker", "kill", "-s", signal, name, cwd=folder)
                assert run("docker", "wait", name, cwd=folder).strip() == code
                assert received() < TOTAL
                yield f"docker kill -s {signal} in the middle of a run: {received():,} of {TOTAL:,} calls accepted"
                time.sleep(2)  # what was under way arrives
                before = received()
                run("docker", "start", name, cwd=folder)
            wait_until(lambda: received() > before, "nothing was sent")
            run("docker", "kill", name, cwd=folder)
        requests.post(f"{address}/answers", data={"answer": "200"})
        assert "succeeded" in audience_sync(config.parent, "sync")
        assert received() == TOTAL
    yield f"another container sent the rest: {TOTAL:,} calls accepted, each once"


def check_compose(folder: Path) -> Iterator[str]:
    """The commands of the compose file and of its page, with a password that no URL could have."""
    (folder / "compose.yaml").write_text((ROOT / "deploy" / "compose.yaml").read_text("utf-8"), "utf-8")
    (folder / ".env").write_text(f"POSTGRES_PASSWORD='{PASSWORD}'\nPROJECT_USER={USER}\n", "utf-8")
    compose = ("docker", "compose", "-p", f"audience-sync-check-{os.getpid()}")
    try:
        run(*compose, "run", "--rm", "--no-deps", "schedule", "init", ".", cwd=folder)
        config = folder / "config.yaml"
        text = re.sub(r"^store: .*$", "store: ${STORE}", config.read_text("utf-8"), flags=re.MULTILINE)
        config.write_text(text.replace("# schedule: ", "schedule: "), "utf-8")
        assert "5,000 calls to 1 destination" in run(*compose, "run", "--rm", "schedule", "plan", cwd=folder)
        run(*compose, "up", "-d", "--scale", "schedule=2", cwd=folder)
        run(*compose, "run", "--rm", "schedule", "sync", cwd=folder)
        run(*compose, "restart", "store", "schedule", cwd=folder)
        wait_until(lambda: "1 sync" in " ".join(_history(compose, folder).split()), "the run is lost")
        assert "*/15" in run(*compose, "logs", "schedule", cwd=folder)
        assert PASSWORD not in run(*compose, "logs", "schedule", "upgrade", cwd=folder)
    finally:
        run(*compose, "down", "-v", "--remove-orphans", cwd=folder, code=None)
    yield "Compose: the example, a plan, two schedulers, a run by hand, a restart"


def _history(compose: tuple[str, ...], folder: Path) -> str:
    """The columns `run` and `command` of the history, or what went wrong."""
    said = run(*compose, "exec", "-T", "schedule", "audience-sync", "history", cwd=folder, code=None)
    return "\n".join(f"{each[0]} {each[4]}" for each in map(str.split, said.splitlines()) if len(each) > 4)


if __name__ == "__main__":
    for check in (check_start, check_kill, check_compose):
        with TemporaryDirectory() as folder:
            for line in check(Path(folder)):
                print(line, flush=True)
