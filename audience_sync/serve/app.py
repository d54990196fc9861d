"""Answer requests over HTTP: every one but `/health` needs the token."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import datetime
from functools import cache, partial
from http import HTTPStatus
from importlib.resources import files
from typing import Any, TypeVar

import anyio
import msgspec
import yaml
from anyio.to_thread import run_sync
from msgspec import Struct
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from audience_sync.errors import AudienceSyncError, UnknownNameError, summarize_error
from audience_sync.history.run_summary import run_summary
from audience_sync.history.runs import last_runs
from audience_sync.metrics.prometheus import CONTENT_TYPE, metrics_text
from audience_sync.model import MAX_RUN, RunId, RunStatus
from audience_sync.project.project import Project
from audience_sync.serve.bodies import DecisionBody, PlanBody, RunBody, idempotency_key, number_of, read_body
from audience_sync.serve.problems import ProblemError, problem_of, problem_response
from audience_sync.serve.runs import OpenStore, Runs, no_run, open_to_write, problem_of_answer
from audience_sync.serve.worker import Worker
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.open_to_read import open_store_to_read
from audience_sync.version import __version__
from audience_sync.web.security import Access, with_headers

log = logging.getLogger("audience_sync.serve")

#: Answers that need no token.
PUBLIC = frozenset({"/health"})
#: Plans that are made at the same time; each needs a process with its memory.
MOST_PLANS = 2
MOST_RUNS = 1_000
#: Seconds that a request may wait for the end of a run, and between two looks at it.
LONGEST_WAIT, POLL_SECONDS = 60, 0.5
PLAN_POLL_SECONDS = 0.05
_NO_TOKEN = "This address asks for the token: Authorization: Bearer TOKEN"


Found = TypeVar("Found")


class Service(Struct, frozen=True, kw_only=True):
    """What is served. ``options``: those that commands in answers need. ``mask`` removes secrets from messages.

    ``status``: the document of `status --json`. ``metrics``: the text for Prometheus.
    """

    project: Project
    reading: OpenStore
    runs: Runs
    options: str
    status: Callable[[], Mapping[str, Any]]
    metrics: Callable[[], bytes]
    mask: Callable[[str], str]


def make_service(
    project: Project, start_worker: Callable[[], Worker], *, options: str, mask: Callable[[str], str]
) -> Service:
    """The service of a project. ``start_worker``: a process that waits for its work.

    Raises ConfigError with every problem of the config.
    """
    url = project.settings.store
    reading = partial(open_store_to_read, url)
    return Service(
        project=project,
        reading=reading,
        runs=Runs(reading=reading, writing=partial(open_to_write, url), start_worker=start_worker),
        options=options,
        status=lambda: project.status().to_dict(options=options),
        metrics=lambda: metrics_text(lambda: closing(Store(url))),
        mask=mask,
    )


def serve_app(service: Service, access: Access, *, on_stop: Callable[[], None] = lambda: None) -> ASGIApp:
    """The application. ``on_stop`` is called when the server stops, before it interrupts its run."""
    api = _Api(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        on_stop()
        await run_sync(service.runs.stop)

    app = Starlette(
        routes=[
            Route("/health", api.health),
            Route("/runs", api.runs, methods=["GET", "POST"]),
            Route("/runs/{number:int}", api.show_run),
            Route("/runs/{number:int}/cancel", api.cancel, methods=["POST"]),
            Route("/runs/{number:int}/approve", api.approve, methods=["POST"]),
            Route("/runs/{number:int}/reject", api.reject, methods=["POST"]),
            Route("/plans", api.plan, methods=["POST"]),
            Route("/status", api.status),
            Route("/metrics", api.metrics),
            Route("/openapi.json", api.openapi),
        ],
        exception_handlers={
            AudienceSyncError: api.known_error,
            HTTPException: api.http_error,
            Exception: api.unexpected_error,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would follow the Host header, and carry the token there
    return _TokenGuard(app, access)


@cache
def openapi_document() -> dict[str, Any]:
    """The description of all requests and answers (OpenAPI 3.1)."""
    text = files("audience_sync.serve").joinpath("openapi.yaml").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    document["info"]["version"] = __version__
    return document


class _TokenGuard:
    """Answers requests without the token, and adds the headers of safety to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["path"] in PUBLIC or self._access.has_token(Headers(scope=scope)):
            await self._app(scope, receive, with_headers(send))
        else:
            refusal = problem_response(
                ProblemError(HTTPStatus.UNAUTHORIZED, _NO_TOKEN),
                {"www-authenticate": 'Bearer realm="audience-sync"'},
            )
            await refusal(scope, receive, with_headers(send))


class _Api:
    """The answers. What reads the store or waits for a process does so in a thread."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._plans = anyio.CapacityLimiter(MOST_PLANS)

    def health(self, request: Request) -> Response:
        """Whether the server works and can read the store. It names no audience and no error."""
        try:
            last = self._read(lambda connection: last_runs(connection, limit=1))
        except AudienceSyncError:
            return _json({"status": "unavailable", "store": "unreachable"}, HTTPStatus.SERVICE_UNAVAILABLE)
        shown = {name: last[0][name] for name in ("run", "status", "started_at", "finished_at")} if last else None
        is_well = not last or last[0]["status"] not in (RunStatus.FAILED, RunStatus.INTERRUPTED)
        return _json({"status": "ok", "store": "reachable", "last_run": shown, "last_run_ok": is_well})

    async def runs(self, request: Request) -> Response:
        return await (self.start_run(request) if request.method == "POST" else run_sync(self.list_runs, request))

    def list_runs(self, request: Request) -> Response:
        limit = number_of(request, "limit", default=20, least=1, most=MOST_RUNS)
        return _json({"runs": self._read(lambda connection: last_runs(connection, limit=limit))})

    async def show_run(self, request: Request) -> Response:
        """The run now, or with `?wait=30` once it has ended, after so many seconds at most."""
        run, seconds = _number(request), number_of(request, "wait", default=0, least=0, most=LONGEST_WAIT)
        ends = anyio.current_time() + seconds
        while True:
            summary = await run_sync(self._summary, run)
            if summary["status"] != RunStatus.RUNNING or anyio.current_time() >= ends:
                return _json(summary)
            await anyio.sleep(POLL_SECONDS)

    async def start_run(self, request: Request) -> Response:
        body, key = await read_body(request, RunBody), idempotency_key(request)
        work = {"method": "sync", "arguments": {"audiences": body.audiences, "reason": body.reason}}
        return await self._started(work, key)

    async def approve(self, request: Request) -> Response:
        body, key = await read_body(request, DecisionBody), idempotency_key(request)
        run = await self._known_run(request)
        arguments = {"run": run, "reason": body.reason} | ({"keys": body.keys} if body.keys else {})
        return await self._started({"method": "approve", "arguments": arguments}, key)

    async def reject(self, request: Request) -> Response:
        body = await read_body(request, DecisionBody)
        run = await self._known_run(request)
        reject = partial(self._service.project.reject, run, body.keys or (), reason=body.reason)
        return _json((await run_sync(reject)).to_dict())

    async def plan(self, request: Request) -> Response:
        """The plan. Its process ends early if the client leaves, or if the server stops."""
        body = await read_body(request, PlanBody)
        async with self._plans:
            worker = await run_sync(self._service.runs.start_plan, body.audiences)
            try:
                while not worker.is_over and not await request.is_disconnected():
                    await anyio.sleep(PLAN_POLL_SECONDS)
            finally:
                worker.interrupt()
        if "result" not in worker.answer:
            raise problem_of_answer(worker.answer)
        return _json(worker.answer["result"])

    def cancel(self, request: Request) -> Response:
        run = _number(request)
        self._service.runs.cancel(run)
        return _json(self._summary(run), HTTPStatus.ACCEPTED, {"location": f"/runs/{run}"})

    def status(self, request: Request) -> Response:
        return _json(self._service.status())

    def metrics(self, request: Request) -> Response:
        return Response(self._service.metrics(), headers={"content-type": CONTENT_TYPE})

    def openapi(self, request: Request) -> Response:
        return _json(openapi_document())

    async def _started(self, work: Mapping[str, Any], key: str | None) -> Response:
        """202 for a run that has begun; 200 for that of an earlier request with the same key."""
        run, is_repeated = await run_sync(self._service.runs.start, work, key)
        summary = await run_sync(self._summary, run)
        return _json(summary, HTTPStatus.OK if is_repeated else HTTPStatus.ACCEPTED, {"location": f"/runs/{run}"})

    async def _known_run(self, request: Request) -> RunId:
        """The run that the address names. Raises ProblemError if it does not exist."""
        run = _number(request)
        await run_sync(self._summary, run)
        return run

    def _summary(self, run: RunId) -> dict[str, Any]:
        def read(connection: Connection) -> dict[str, Any]:
            return run_summary(connection, run, options=self._service.options)

        try:
            return self._read(read)
        except UnknownNameError:
            raise no_run(run) from None

    def _read(self, read: Callable[[Connection], Found]) -> Found:
        with self._service.reading() as store, store.reading() as connection:
            return read(connection)

    async def known_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, AudienceSyncError)
        found = problem_of(error)
        return problem_response(ProblemError(found.status, self._service.mask(str(found)), **found.fields))

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = error.detail
        if error.status_code == HTTPStatus.NOT_FOUND:
            message = f"There is nothing at {request.url.path}. All addresses: /openapi.json"
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            message = f"{request.url.path} does not accept {request.method}."
        return problem_response(ProblemError(error.status_code, message), error.headers)

    async def unexpected_error(self, request: Request, error: Exception) -> Response:
        what = summarize_error(error, self._service.mask)
        log.error("%s %s failed: %s", request.method, request.url.path, what)
        return problem_response(ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, f"An unexpected error: {what}."))


def _number(request: Request) -> RunId:
    """The number of a run. Raises ProblemError for one that no database can have."""
    number: int = request.path_params["number"]
    if number > MAX_RUN:
        raise no_run(RunId(number))
    return RunId(number)


def _json(document: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document, enc_hook=_plain), status, headers, "application/json")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)
