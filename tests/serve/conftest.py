"""A server in a process of its own, and a client that checks each answer against the OpenAPI document."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from cli.conftest import Project, heed_interrupts, until
from jsonschema import Draft202012Validator

from audience_sync.serve.app import openapi_document

TOKEN = "a-token-of-24-characters"
PLACES = re.compile(r"(?<=/runs/)\d+")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@dataclass
class Server:
    """A running server. Every answer has to be one that the OpenAPI document has for the request."""

    project: Project
    process: subprocess.Popen[bytes]
    address: str
    token: str | None = TOKEN
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self.ask("POST", path, b"" if body is None else json.dumps(body).encode(), **headers)

    def ask(self, method: str, path: str, body: bytes | None, **headers: str) -> Answer:
        """Ask, with the token. ``headers``: more of them, with ``_`` for ``-``."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            given.setdefault("authorization", f"Bearer {self.token}")
        request = urllib.request.Request(self.address + path, body, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as found:
                answer = Answer(found.status, _lower(found.headers), found.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                answer = Answer(error.code, _lower(error.headers), error.read().decode())
        self._check(method, path.partition("?")[0], answer)
        return answer

    def _check(self, method: str, path: str, answer: Answer) -> None:
        document = openapi_document()
        place = document["paths"].get(PLACES.sub("{number}", path))
        if place is None or method.lower() not in place:
            assert answer.status in (401, 404, 405), "not in the document"
            return
        response = place[method.lower()]["responses"][str(answer.status)]
        if "$ref" in response:
            response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = {**response["content"][media_type]["schema"], "components": document["components"]}
        if media_type.endswith("json"):
            Draft202012Validator(schema).validate(answer.json)
        self.seen.add((method, PLACES.sub("{number}", path), answer.status))

    def started(self, body: object = None, **headers: str) -> int:
        """The number of a run that this starts."""
        answer = self.post("/runs", body, **headers)
        assert answer.status == 202, answer.text
        number: int = answer.json["run"]
        assert answer.headers["location"] == f"/runs/{number}"
        return number

    def ended(self, run: int) -> Any:
        """A run once it has ended."""
        found = self.get(f"/runs/{run}?wait=60").json
        assert found["status"] != "running"
        return found


@contextmanager
def serving(project: Project, *arguments: str, **environment: str) -> Iterator[Server]:
    """A server, which ends with its run. If it was killed, its run is killed, too."""
    log = project.folder / "serve.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            project.command("serve", "--port", "0", *arguments),
            cwd=project.folder,
            env=project.environment | {"AUDIENCE_SYNC_SERVE_TOKEN": TOKEN} | environment,
            stderr=stderr,
            preexec_fn=heed_interrupts,
        )
    try:
        until(lambda: "Ctrl-C ends it" in log.read_text() or process.poll() is not None)
        address = re.search(r"http://\S+(?=/)", log.read_text())
        assert address, log.read_text()
        yield Server(project, process, address[0])
    finally:
        process.terminate()
        process.wait()
        if process.returncode == -signal.SIGKILL:
            kill_run(project)


def kill_run(project: Project) -> None:
    """Kill the process of the run in progress, if it is still alive."""
    for (holder,) in project.query("select holder from runs where status = 'running'"):
        with suppress(ProcessLookupError):
            os.kill(int(holder.split()[1]), signal.SIGKILL)
