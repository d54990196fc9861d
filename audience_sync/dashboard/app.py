"""Put the dashboard together: its pages, its live streams, its templates, and one way to answer for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from audience_sync.dashboard.frame import attention, frame
from audience_sync.dashboard.links import href
from audience_sync.dashboard.live import MOST_SECONDS, LivePart, home_part, run_part
from audience_sync.dashboard.overlap import SECONDS as OVERLAP_SECONDS
from audience_sync.dashboard.overlap import OverlapCache
from audience_sync.dashboard.page import Page, PageFunction, Visit
from audience_sync.dashboard.pages.audience import audience_page
from audience_sync.dashboard.pages.audiences import audiences_page
from audience_sync.dashboard.pages.destinations import destinations_page
from audience_sync.dashboard.pages.home import home_page
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
) -> ASGIApp:
    """The application. ``mask`` removes secrets from messages."""
    store, patient = PageStore(site.url), PageStore(site.url, statement_seconds=OVERLAP_SECONDS)
    templates = dashboard_environment(site, clock=clock)
    pages = _Pages(site=site, store=store, templates=templates, clock=clock)

    def stop() -> None:
        store.stop()
        patient.stop()

    return create_app(
        [
            *(Route(path, pages.endpoint(build)) for path, build in ROUTES.items()),
            Route("/audiences/{key}", pages.endpoint(partial(audience_page, overlaps=OverlapCache(patient.reading)))),
            *(Route(path, pages.stream(part)) for path, part in LIVE.items()),
        ],
        access=access or Access(),
        templates=templates,
        mask=mask,
        on_stop=stop,
    )


def dashboard_environment(site: Site, *, clock: Callable[[], datetime], is_served: bool = True) -> Environment:
    """The templates of the dashboard. ``is_served``: a page has what needs the server, such as forms."""
    more = {"app_name": "Audience Sync", "site": site, "is_served": is_served}
    environment = make_environment(TEMPLATES, href=href, zone=site.zone, clock=clock, more=more)
    environment.filters |= {"shown_id": site.shown_id, "masked": site.masked, "marked": site.marked}
    return environment


def page_context(visit: Visit, page: Page) -> dict[str, Any]:
    """All values of a page's template: its own, and those of the frame."""
    found = page.context.get("attention") or attention(visit)
    return {**frame(visit, found), "datasets": {each.name: each for each in page.datasets}, **page.context}


class _Pages:
    """Answers requests: a page in its own thread and transaction, within a time limit."""

    def __init__(self, *, site: Site, store: PageStore, templates: Environment, clock: Callable[[], datetime]) -> None:
        self._site, self._store, self._templates, self._clock = site, store, templates, clock
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
                    return self._table(visit, page, request.url.path)
                context = page_context(visit, page)
                queries = {each.name: each.text(connection) for each in page.datasets}
        except EmptyStoreError:
            context = {"title": "No run yet", "here": "home", "live": "page", "site": self._site}
            return render(self._templates, "home_empty.html", context)
        query = {name: value for name, value in request.query_params.items() if name not in ("format", "table")}

        def data_href(name: str, kind: str) -> str:
            table = "" if page.datasets and page.datasets[0].name == name else name
            return with_query(request.url.path, {**query, "format": kind, "table": table})

        links = {"data_href": data_href, "query_href": lambda name: href("query", sql=queries[name])}
        return render(self._templates, page.template, {**context, **links}, status=page.status)

    def _table(self, visit: Visit, page: Page, path: str) -> Response:
        kind = visit.text("format")
        if kind not in FORMATS:
            raise WrongQueryError(f"“{kind[:40]}” is not valid for `format`. One of these is: {', '.join(FORMATS)}.")
        dataset = page.dataset(visit.text("table"))
        columns, rows = dataset.read(visit.connection)
        shown = rows if dataset.is_masked else [self._site.shown_values(columns, row) for row in rows]
        name = f"{path.strip('/').replace('/', '-') or 'home'}-{dataset.name}"
        return table_response(name, columns, shown, kind=kind)

    def _visit(self, connection: Any, request: Request) -> Visit:
        return Visit(
            connection=connection,
            site=self._site,
            now=self._clock(),
            path={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params),
        )

    async def _messages(self, part: LivePart, request: Request) -> AsyncIterator[str]:
        """Messages of a stream: a part of the page whenever it has changed, and when the page has to ask for itself."""
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
                if found.template:
                    html = self._templates.get_template(found.template).render(found.context)
                    if html != before:
                        yield message(html)
                        before = html
                    else:
                        yield HEARTBEAT
                else:
                    yield HEARTBEAT
                # Looking costs a tenth of the time at most.
                await anyio.sleep(max(found.pause, (anyio.current_time() - began) * 10))

    def _part(self, part: LivePart, request: Request) -> Any:
        with self._store.reading() as connection:
            return part(self._visit(connection, request))
