"""Put an application together: its routes, the static files, the login, and pages for errors."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import anyio
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Scope

from audience_sync.errors import AudienceSyncError, summarize_error
from audience_sync.web.errors import NotFoundError, PageError, UnavailableError, WrongQueryError
from audience_sync.web.links import with_query
from audience_sync.web.security import LOGIN, SESSION_SECONDS, Access, Guard, local_path
from audience_sync.web.static_files import CACHE_CONTROL, static_files, static_hash

log = logging.getLogger("audience_sync.web")

#: Bytes of a form.
LONGEST_FORM = 100_000
#: Seconds in which a form has to arrive.
FORM_SECONDS = 20.0
#: Seconds before a wrong token is answered.
WRONG_TOKEN_PAUSE = 0.5
#: Browsers name the origin of a form only if its page may be named as the referrer.
FORM_REFERRER = "same-origin"
Masked = Callable[[str], str]


def create_app(
    routes: Sequence[BaseRoute],
    *,
    access: Access,
    templates: Environment,
    mask: Masked = lambda text: text,
    on_stop: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """The application. ``mask`` removes secrets from messages. ``on_stop`` is called when the server stops."""
    pages = _Pages(access=access, templates=templates, mask=mask)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        on_stop()

    app = Starlette(
        routes=[
            Route("/static/{hash}/{name:path}", _static),
            Route(LOGIN, pages.login, methods=["GET", "HEAD", "POST"]),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Route("/robots.txt", lambda request: PlainTextResponse("User-agent: *\nDisallow: /\n")),
            *routes,
        ],
        exception_handlers={
            AudienceSyncError: pages.known_error,
            HTTPException: pages.http_error,
            Exception: pages.unexpected_error,
        },
        lifespan=lifespan,
    )
    return Guard(app, access=access, refuse=pages.refuse)  # outside of everything: also for unexpected errors


def render(
    templates: Environment, name: str, context: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] = {}
) -> HTMLResponse:
    """A page from its template. A lone surrogate in a text is written as an escape."""
    html = templates.get_template(name).render(context)
    return HTMLResponse(html.encode("utf-8", "backslashreplace"), status_code=status, headers=headers)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, `application/x-www-form-urlencoded`; the last of each name. Raises WrongQueryError."""
    body = bytearray()
    try:
        with anyio.fail_after(FORM_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > LONGEST_FORM:
                    message = f"The form is longer than {LONGEST_FORM:,} bytes. Nothing was changed."
                    raise WrongQueryError(message, title="The form is too long")
    except TimeoutError:
        message = f"The form did not arrive within {FORM_SECONDS:g} s. Nothing was changed."
        raise WrongQueryError(message, title="The form is too slow") from None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


async def _static(request: Request) -> Response:
    file = static_files().get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    fresh = request.path_params["hash"] == static_hash()
    headers = {"cache-control": CACHE_CONTROL if fresh else "no-cache"}
    return Response(file.content, media_type=file.media_type, headers=headers)


class _Pages:
    """The pages that every application has: login, and errors without traces and secrets."""

    def __init__(self, *, access: Access, templates: Environment, mask: Masked) -> None:
        self._access, self._templates, self._mask = access, templates, mask

    async def login(self, request: Request) -> Response:
        if self._access.token is None:
            return RedirectResponse("/", 303)
        if request.method != "POST":
            return self._login_page(local_path(request.query_params.get("next", "/")), is_wrong=False)
        fields = await read_form(request)
        target = local_path(fields.get("next", "/"))
        if not self._access.is_token(fields.get("token", "").strip()):
            await anyio.sleep(WRONG_TOKEN_PAUSE)
            return self._login_page(target, is_wrong=True)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            self._access.cookie,
            self._access.new_session(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _login_page(self, target: str, *, is_wrong: bool) -> Response:
        context = {
            "title": "Token",
            "next": target,
            "wrong": is_wrong,
            "variable": self._access.token_variable,
            "public": True,
            "referrer": FORM_REFERRER,  # of the page itself, which counts more than the header
        }
        headers = {"referrer-policy": FORM_REFERRER}
        return render(self._templates, "login.html", context, status=403 if is_wrong else 200, headers=headers)

    def refuse(self, scope: Scope, status: int, message: str, remedy: str) -> ASGIApp:
        """The answer to a request that the rules of access don't allow."""
        request = Request(scope)
        if status == 401 and request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(with_query(LOGIN, {"next": _path_and_query(request)}), 303)
        headers = {401: {"www-authenticate": 'Bearer realm="audience-sync"'}, 405: {"allow": "GET, HEAD"}}
        return PlainTextResponse(f"{message}\n{remedy}".strip() + "\n", status, headers.get(status))

    def _error(self, request: Request, error: PageError) -> Response:
        if "text/html" not in request.headers.get("accept", ""):  # a script
            lines = [self._mask(each) for each in (str(error), error.remedy, *error.commands) if each]
            return PlainTextResponse("\n".join(lines) + "\n", error.status)
        context = {
            "title": error.title,
            "status": error.status,
            "message": self._mask(str(error)),
            "remedy": self._mask(error.remedy),
            "commands": [self._mask(each) for each in error.commands],
            "live": "page" if isinstance(error, UnavailableError) else "",  # until there is a store to read
            "again": local_path(_path_and_query(request)),
        }
        return render(self._templates, "error.html", context, status=error.status)

    async def known_error(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, PageError):
            error = UnavailableError(str(error), commands=["audience-sync check"])
        return self._error(request, error)

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return self._error(request, NotFoundError(f"There is no page at {request.url.path}."))
        page = PageError(error.detail, title="This can’t be answered", status=error.status_code)
        return self._error(request, page)

    async def unexpected_error(self, request: Request, error: Exception) -> Response:
        what = summarize_error(error, self._mask)
        log.error("The page %s failed: %s", request.url.path, what)
        message = f"An unexpected error: {what}. Nothing was changed, and runs are not affected."
        return self._error(request, PageError(message, remedy="Run the command again with -v and report its output."))


def _path_and_query(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
