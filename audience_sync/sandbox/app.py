"""Put the sandbox together: the file, the receiver, and the pages."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
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
from audience_sync.sandbox.pages.documents import call_document, calls_document, json_response, users_file
from audience_sync.sandbox.pages.events import events_page
from audience_sync.sandbox.pages.feed import call_page, day_numbers, feed_page, live_items
from audience_sync.sandbox.pages.links import href
from audience_sync.sandbox.pages.setup import setup_page
from audience_sync.sandbox.pages.users import user_page, users_page
from audience_sync.sandbox.pages.visit import Page, Site, Visit
from audience_sync.sandbox.receiver import Sandbox
from audience_sync.sandbox.state.filters import CallFilter
from audience_sync.sandbox.state.read import reading
from audience_sync.sandbox.state.state import State
from audience_sync.text import pluralize
from audience_sync.web.app import FORM_REFERRER, create_app, read_form, render
from audience_sync.web.errors import UnavailableError
from audience_sync.web.events import HEARTBEAT, event_stream, message
from audience_sync.web.formats import visible
from audience_sync.web.links import with_query
from audience_sync.web.security import Access, local_path
from audience_sync.web.templating import make_environment

TEMPLATES = Path(__file__).parent / "templates"
#: Seconds between two looks for new calls, and between two signs of life.
LIVE_PAUSE, LIVE_SILENCE = 0.4, 15.0
#: Forms that change something.
POSTS = frozenset({"/answers", "/clear"})
#: The pages and documents, by their addresses. What an address names in braces is a value of the visit.
ROUTES: Mapping[str, Callable[[Visit], Page | Response]] = {
    "/": feed_page,
    "/users": users_page,
    "/user": user_page,
    "/events": events_page,
    "/setup": setup_page,
    "/calls.json": calls_document,
    "/calls/{call}.json": call_document,
    "/calls/{call}": call_page,
    "/users.csv": users_file,
}


def sandbox_app(
    state: State,
    *,
    address: str,
    access: Access | None = None,
    zone: ZoneInfo | None = None,
    clock: Callable[[], float] = time.time,
) -> Sandbox:
    """Return the application: it receives calls, and shows them."""
    pages = _Pages(state, Site(address=address, file=state.path.name, keep=state.keep), zone or ZoneInfo("UTC"), clock)
    routes = [
        *(Route(path, pages.show(build)) for path, build in ROUTES.items()),
        Route("/live", pages.live),
        Route("/answers", pages.answers, methods=["GET", "POST"]),
        Route("/clear", pages.clear, methods=["POST"]),
    ]
    app = create_app(routes, access=access or Access(posts=POSTS), templates=pages.templates)
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
    environment.globals["hours_chart"] = lambda hours: hours_chart(hours, zone)
    return environment


class _Pages:
    """Answer requests for pages, each on a connection of its own that only reads."""

    def __init__(self, state: State, site: Site, zone: ZoneInfo, clock: Callable[[], float]) -> None:
        self._state, self._site, self._clock = state, site, clock
        self.templates = sandbox_environment(site, zone=zone, clock=clock)

    def show(self, build: Callable[[Visit], Page | Response]) -> Callable[[Request], Any]:
        def respond(query: Mapping[str, str]) -> Response:
            with self._visit(query) as visit:
                found = build(visit)
            if isinstance(found, Response):
                return found
            return render(self.templates, found.template, found.context, headers={"referrer-policy": FORM_REFERRER})

        async def answer(request: Request) -> Response:
            return await anyio.to_thread.run_sync(respond, _query(request))

        return answer

    async def answers(self, request: Request) -> Response:
        if request.method == "POST":
            fields = await read_form(request)
            await self._write(partial(self._state.plans.set, read_plan(fields)))
            if _wants_page(request):
                return RedirectResponse(local_path(fields.get("next", "/")), 303)
        return json_response({"answers": self._state.plans.settings()})

    async def clear(self, request: Request) -> Response:
        await self._write(self._state.clear)
        return RedirectResponse("/", 303) if _wants_page(request) else json_response({"calls": 0})

    async def _write(self, change: Callable[[], None]) -> None:
        remedy = "Make room on its disk. Or stop the sandbox, and start it with another file: --file NAME"
        with self._file_errors("written", remedy):
            await anyio.to_thread.run_sync(change)

    @contextmanager
    def _file_errors(self, done: str, remedy: str) -> Iterator[None]:
        """Raise UnavailableError where SQLite can't do its work. ``done``: ``read`` or ``written``."""
        try:
            yield
        except sqlite3.Error as error:
            message = f"The sandbox’s file {self._site.file} can’t be {done}: {error}."
            raise UnavailableError(message, remedy=remedy, title=f"The file can’t be {done}") from None

    async def live(self, request: Request) -> Response:
        query = _query(request)
        if again := request.headers.get("last-event-id"):  # the connection was lost, and the page has got so far
            query["after"] = again
        after = await anyio.to_thread.run_sync(self._checked_start, query)
        return event_stream(self._messages(query, self._state.last_call if after is None else after))

    def _checked_start(self, query: Mapping[str, str]) -> int | None:
        """Return where a stream starts. Raises WrongQueryError before it begins."""
        with self._visit(query) as visit:
            visit.call_filter()
            return visit.number("after")

    async def _messages(self, query: Mapping[str, str], after: int) -> AsyncIterator[str]:
        """Messages with the lines of new calls; at most one every 0.4 s, with 20 calls, and how many more came."""
        after = after if after <= self._state.last_call else 0  # another file is used meanwhile
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
            found = await anyio.to_thread.run_sync(self._new_calls, query, after, last)
            after = last
            yield message(json.dumps(found), event="calls", id=str(last))
            await anyio.sleep(LIVE_PAUSE)

    def _new_calls(self, query: Mapping[str, str], after: int, last: int) -> dict[str, Any]:
        with self._visit(query) as visit:
            items, more = live_items(visit, after, last)
            context = {"chosen": CallFilter(), "fields": visit.call_filter().fields(), "opened": None, "is_open": False}
            line = self.templates.get_template("sandbox_item.html")
            html = "".join(line.render(item=each, fresh=True, before=None, **context) for each in items)
            numbers = day_numbers(visit)
            facts = self.templates.get_template("sandbox_facts.html").render(numbers)
            return {"html": html, "more": more, "total": pluralize(numbers["total"], "call"), "facts": facts}

    @contextmanager
    def _visit(self, query: Mapping[str, str]) -> Iterator[Visit]:
        """Open the file for one page."""
        plans = self._state.plans.all()
        remedy = "Was it removed? Stop the sandbox, and start it again."
        with self._file_errors("read", remedy), reading(self._state.path) as reader:
            yield Visit(reader=reader, site=self._site, now=self._clock(), query=query, plans=plans)


def _query(request: Request) -> dict[str, str]:
    return {**request.query_params, **request.path_params}


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
