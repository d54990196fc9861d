"""Put the sandbox together: the file, the receiver, and the pages."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from audience_sync.sandbox.answers import read_plan
from audience_sync.sandbox.pages.charts import hours_chart
from audience_sync.sandbox.pages.feed import (
    call_document,
    call_page,
    feed_page,
    filter_fields,
    live_items,
    read_call_filter,
    setup_page,
    totals,
)
from audience_sync.sandbox.pages.links import href
from audience_sync.sandbox.pages.users import events_page, user_page, user_rows, users_page
from audience_sync.sandbox.pages.visit import Page, Visit
from audience_sync.sandbox.receiver import Sandbox
from audience_sync.sandbox.state.read import reading
from audience_sync.sandbox.state.state import State, settings_of
from audience_sync.sandbox.state.stored import CallFilter
from audience_sync.text import pluralize
from audience_sync.web.app import FORM_REFERRER, create_app, read_form, render
from audience_sync.web.errors import NotFoundError
from audience_sync.web.events import HEARTBEAT, event_stream, message
from audience_sync.web.formats import visible
from audience_sync.web.links import with_query
from audience_sync.web.security import Access, local_path
from audience_sync.web.tables import table_response
from audience_sync.web.templating import make_environment

TEMPLATES = Path(__file__).parent / "templates"
#: Seconds between two looks for new calls, and between two signs of life.
LIVE_PAUSE, LIVE_SILENCE = 0.4, 15.0
#: The most calls in a JSON document.
MOST_CALLS = 1_000
#: Forms that change something.
POSTS = frozenset({"/answers", "/clear"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the foot of every page has. ``address``: without a slash at its end."""

    address: str
    file: str
    keep: int


def sandbox_app(
    state: State,
    *,
    address: str,
    access: Access | None = None,
    zone: ZoneInfo | None = None,
    clock: Callable[[], float] = time.time,
) -> Sandbox:
    """Return the application: it receives calls, and shows them."""
    site = Site(address=address, file=state.path.name, keep=state.keep)
    zone = zone or ZoneInfo("UTC")
    templates = sandbox_environment(site, zone=zone, clock=clock)
    pages = _Pages(state=state, site=site, templates=templates, zone=zone, clock=clock)
    routes = [
        Route("/", pages.page(feed_page)),
        Route("/users", pages.page(users_page)),
        Route("/user", pages.page(user_page)),
        Route("/events", pages.page(events_page)),
        Route("/setup", pages.page(setup_page)),
        Route("/calls/{call:int}", pages.call),
        Route("/calls/{call:int}.json", pages.call_json),
        Route("/calls.json", pages.calls),
        Route("/users.csv", pages.users_file),
        Route("/live", pages.live),
        Route("/answers", pages.answers, methods=["GET", "POST"]),
        Route("/clear", pages.clear, methods=["POST"]),
    ]
    app = create_app(routes, access=access or Access(posts=POSTS), templates=templates)
    return Sandbox(state, app, clock=clock)


def sandbox_environment(site: Site, *, zone: ZoneInfo, clock: Callable[[], float]) -> Environment:
    """Return the templates of the sandbox."""
    environment = make_environment(
        TEMPLATES,
        href=href,
        zone=zone,
        clock=lambda: datetime.fromtimestamp(clock(), UTC),
        more={
            "app_name": "Sandbox",
            "sandbox": True,
            "site": site,
            "with_query": with_query,
            "referrer": FORM_REFERRER,
        },
    )
    environment.filters |= {
        "clock": lambda at: f"{(local := at.astimezone(zone)):%H:%M:%S}.{local.microsecond // 1000:03}",
        "visible_lines": lambda text: "\n".join(visible(line) for line in text.split("\n")),
    }
    return environment


class _Pages:
    """Answer requests for pages, each on a connection of its own that only reads."""

    def __init__(
        self, *, state: State, site: Site, templates: Environment, zone: ZoneInfo, clock: Callable[[], float]
    ) -> None:
        self._state, self._site, self._templates = state, site, templates
        self._zone, self._clock = zone, clock

    def page(self, build: Callable[[Visit], Page]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await anyio.to_thread.run_sync(self._render, build, dict(request.query_params))

        return answer

    async def call(self, request: Request) -> Response:
        build = partial(call_page, number=request.path_params["call"])
        return await anyio.to_thread.run_sync(self._render, build, dict(request.query_params))

    async def call_json(self, request: Request) -> Response:
        number = request.path_params["call"]
        return await anyio.to_thread.run_sync(self._call_json, number)

    def _call_json(self, number: int) -> Response:
        with reading(self._state.path) as reader:
            if (call := reader.call(number)) is None:
                raise NotFoundError(f"There is no call {number:,} here.")
            return _json(call_document(call))

    async def calls(self, request: Request) -> Response:
        return await anyio.to_thread.run_sync(self._calls, dict(request.query_params))

    def _calls(self, query: Mapping[str, str]) -> Response:
        with self._visit(query) as visit:
            limit = min(visit.number("limit") or 100, MOST_CALLS)
            found = visit.reader.calls(read_call_filter(visit), limit)
            counts = visit.reader.calls_since(visit.now - 86_400)
            document = {
                "last_24_hours": {outcome.value: calls for outcome, calls in counts.items()},
                "calls": [call_document(call) for call in found],
            }
            return _json(document)

    async def users_file(self, request: Request) -> Response:
        return await anyio.to_thread.run_sync(self._users_file, dict(request.query_params))

    def _users_file(self, query: Mapping[str, str]) -> Response:
        with self._visit(query) as visit:
            columns, rows = user_rows(visit)
            return table_response("sandbox-users", columns, rows, kind="csv")

    async def answers(self, request: Request) -> Response:
        if request.method == "POST":
            fields = await read_form(request)
            plan = read_plan(fields)
            await anyio.to_thread.run_sync(self._state.set_plan, plan)
            if _wants_page(request):
                return RedirectResponse(local_path(fields.get("next", "/")), 303)
        return _json({"answers": settings_of(self._state.plans)})

    async def clear(self, request: Request) -> Response:
        await anyio.to_thread.run_sync(self._state.clear)
        return RedirectResponse("/", 303) if _wants_page(request) else _json({"calls": 0})

    async def live(self, request: Request) -> Response:
        return event_stream(self._messages(dict(request.query_params)))

    async def _messages(self, query: Mapping[str, str]) -> AsyncIterator[str]:
        """Messages with the lines of new calls; at most one every 0.4 s, with 20 calls, and how many more came."""
        after = int(query["after"]) if query.get("after", "").isdigit() else self._state.last_call
        if after > self._state.last_call:  # it was cleared meanwhile, or another file is used
            after = 0
        quiet = 0.0
        while True:
            last = self._state.last_call
            if last == after:
                await anyio.sleep(LIVE_PAUSE)
                quiet += LIVE_PAUSE
                if quiet >= LIVE_SILENCE:
                    quiet = 0.0
                    yield HEARTBEAT
                continue
            quiet = 0.0
            found = await anyio.to_thread.run_sync(self._new_calls, query, after)
            after = last
            yield message(json.dumps(found), event="calls", id=str(last))
            await anyio.sleep(LIVE_PAUSE)

    def _new_calls(self, query: Mapping[str, str], after: int) -> dict[str, Any]:
        with self._visit(query) as visit:
            items, more = live_items(visit, after)
            fields = filter_fields(read_call_filter(visit))
            context = {"chosen": CallFilter(), "fields": fields, "opened": None, "is_open": False, "before": None}
            line = self._templates.get_template("sandbox_item.html")
            html = "".join(line.render(item=each, fresh=True, **context) for each in items)
            found = totals(visit)
            facts = self._templates.get_template("sandbox_facts.html").render(found)
            return {"html": html, "more": more, "total": pluralize(found["total"], "call"), "facts": facts}

    def _render(self, build: Callable[[Visit], Page], query: Mapping[str, str]) -> Response:
        with self._visit(query) as visit:
            page = build(visit)
        context = dict(page.context)
        if "hours" in context:
            context["chart"] = hours_chart(context["hours"], self._zone)
        headers = {"referrer-policy": FORM_REFERRER}
        return render(self._templates, page.template, context, status=page.status, headers=headers)

    @contextmanager
    def _visit(self, query: Mapping[str, str]) -> Iterator[Visit]:
        """Open the file for one page."""
        with reading(self._state.path) as reader:
            yield Visit(
                reader=reader,
                now=self._clock(),
                base=self._site.address,
                query=query,
                keep=self._site.keep,
                plans=dict(self._state.plans),
            )


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _json(document: object) -> Response:
    """Half a surrogate pair of an id stays the escape that JSON has for it."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return Response(text.encode("utf-8", "backslashreplace") + b"\n", media_type="application/json")
