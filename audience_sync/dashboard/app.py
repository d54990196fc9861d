"""Put the dashboard together: its pages, its live streams, its templates, and one way to answer for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from jinja2 import Environment
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from audience_sync.dashboard.frame import page_context
from audience_sync.dashboard.links import href
from audience_sync.dashboard.live import MOST_SECONDS, Live, LivePart, home_part, run_part
from audience_sync.dashboard.overlap import SECONDS as OVERLAP_SECONDS
from audience_sync.dashboard.overlap import OverlapCache
from audience_sync.dashboard.page import Page, PageFunction, Visit
from audience_sync.dashboard.pages.audience import audience_page
from audience_sync.dashboard.pages.audiences import audiences_page
from audience_sync.dashboard.pages.destinations import destinations_page
from audience_sync.dashboard.pages.home import EMPTY, home_page
from audience_sync.dashboard.pages.query import query_page
from audience_sync.dashboard.pages.run import run_page
from audience_sync.dashboard.pages.runs import runs_page
from audience_sync.dashboard.pages.user import user_page
from audience_sync.dashboard.site import Site
from audience_sync.dashboard.store import EmptyStoreError, PageStore
from audience_sync.web.app import create_app, render
from audience_sync.web.errors import TookTooLongError, WrongQueryError
from audience_sync.web.events import HEARTBEAT, event_stream, message
from audience_sync.web.links import with_query
from audience_sync.web.security import Access
from audience_sync.web.tables import FORMATS, table_response
from audience_sync.web.templating import make_environment

Result = TypeVar("Result")
TEMPLATES = Path(__file__).parent / "templates"
#: Seconds between two looks at a run in progress, where looking takes long.
MOST_PAUSE = 3.0
#: Seconds for a whole page, and how many pages read the store at the same time.
PAGE_SECONDS, AT_ONCE = 30.0, 4
#: The pages by path. Every page may be asked for as CSV or JSON: see ``Page.datasets``.
ROUTES: Mapping[str, PageFunction] = {
    "/": home_page,
    "/audiences": audiences_page,
    "/runs": runs_page,
    "/runs/{run:int}": run_page,
    "/users": user_page,
    "/destinations": destinations_page,
    "/query": query_page,
}
#: Streams of server-sent events, for pages that are open while a run is in progress.
LIVE: Mapping[str, LivePart] = {"/live": home_part, "/runs/{run:int}/live": run_part}


def dashboard_app(
    site: Site,
    *,
    access: Access | None = None,
    mask: Callable[[str], str] = lambda text: text,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    compiles_first: bool = False,
) -> ASGIApp:
    """The application. ``mask`` removes secrets from messages.

    ``compiles_first``: compile every template now, so that the first page does not wait for its own.
    """
    store = PageStore(site.url)
    pages = _Pages(site=site, store=store, clock=clock)
    if compiles_first:
        for name in pages.templates.list_templates():
            pages.templates.get_template(name)
    overlaps = OverlapCache(partial(store.reading, seconds=OVERLAP_SECONDS))
    return create_app(
        [
            *(Route(path, pages.endpoint(build)) for path, build in ROUTES.items()),
            Route("/audiences/{key}", pages.endpoint(partial(audience_page, overlaps=overlaps))),
            *(Route(path, pages.stream(part)) for path, part in LIVE.items()),
        ],
        access=access or Access(),
        templates=pages.templates,
        mask=mask,
        on_stop=store.stop,
    )


def dashboard_environment(site: Site, *, clock: Callable[[], datetime], is_served: bool = True) -> Environment:
    """The templates of the dashboard. ``is_served``: a page has what needs the server, such as forms."""
    more = {"app_name": "Audience Sync", "site": site, "is_served": is_served}
    environment = make_environment(TEMPLATES, href=href, zone=site.zone, clock=clock, more=more)
    environment.filters |= {"shown_id": site.shown_id, "masked": site.masked, "marked": site.marked}
    return environment


class _Pages:
    """Answers requests: a page in its own thread and transaction, within a time limit."""

    def __init__(self, *, site: Site, store: PageStore, clock: Callable[[], datetime]) -> None:
        self.templates = dashboard_environment(site, clock=clock)
        self._site, self._store, self._clock = site, store, clock
        self._limiter: anyio.CapacityLimiter | None = None

    def endpoint(self, build: PageFunction) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return await self._in_thread(partial(self._answer, build, request))

        return answer

    def stream(self, part: LivePart) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return event_stream(self._messages(part, request))

        return answer

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(AT_ONCE)
        try:
            with anyio.fail_after(PAGE_SECONDS):
                return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError:
            raise TookTooLongError(
                f"The page took longer than {PAGE_SECONDS:g} s. Runs are not affected.",
                remedy="Ask for less: a shorter time, one audience, or one run.",
            ) from None

    def _answer(self, build: PageFunction, request: Request) -> Response:
        try:
            with self._store.reading() as connection:
                visit = self._visit(connection, request)
                page = build(visit)
                if "format" in visit.query:
                    return _table(visit, page, request.url.path)
                context = {**page_context(visit, page), **_data_links(visit, page, request.url.path)}
        except EmptyStoreError:
            return render(self.templates, "home_empty.html", EMPTY)
        return render(self.templates, page.template, context)

    def _visit(self, connection: Connection, request: Request) -> Visit:
        return Visit(
            connection=connection,
            site=self._site,
            now=self._clock(),
            path={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params),
        )

    async def _messages(self, part: LivePart, request: Request) -> AsyncIterator[str]:
        """Messages of a stream: a part of the page whenever it has changed, and when the page has to ask for itself."""
        progress = self.templates.get_template("progress.html")
        before, state = "", None
        with anyio.move_on_after(MOST_SECONDS):
            while True:
                began = anyio.current_time()
                try:
                    found = await self._in_thread(partial(self._part, part, request))
                except Exception:  # the page itself explains what is wrong
                    yield HEARTBEAT
                    await anyio.sleep(5)
                    continue
                if state is not None and found.state != state:
                    yield message("", event="reload")
                state = found.state
                html = progress.render(progress=found.progress) if found.progress else ""
                yield message(html) if html not in ("", before) else HEARTBEAT
                before = html or before
                # Looking costs a tenth of the time at most, except on a busy machine, where people would wait too long.
                await anyio.sleep(max(found.pause, min((anyio.current_time() - began) * 10, MOST_PAUSE)))

    def _part(self, part: LivePart, request: Request) -> Live:
        with self._store.reading() as connection:
            return part(self._visit(connection, request))


def _table(visit: Visit, page: Page, path: str) -> Response:
    """The rows of a table of the page as a file to save."""
    kind = visit.text("format")
    if kind not in FORMATS:
        raise WrongQueryError(f"“{kind[:40]}” is not valid for `format`. One of these is: {', '.join(FORMATS)}.")
    dataset = page.dataset(visit.text("table"))
    columns, rows = dataset.table(visit)
    return table_response(f"{path.strip('/').replace('/', '-') or 'home'}-{dataset.name}", columns, rows, kind=kind)


def _data_links(visit: Visit, page: Page, path: str) -> dict[str, Callable[..., str]]:
    """How a template makes the addresses of a table's rows and of its query."""
    query = {name: value for name, value in visit.query.items() if name not in ("format", "table")}
    queries = {each.name: each.text(visit.connection) for each in page.datasets}

    def data_href(name: str, kind: str) -> str:
        table = "" if page.datasets[0].name == name else name
        return with_query(path, {**query, "format": kind, "table": table})

    return {"data_href": data_href, "query_href": lambda name: href("query", sql=queries[name])}
