"""Decide which requests are answered: host, method, token and origin; and set the headers of each answer.

On loopback a page is open to this machine's users, unless there is a token. Any other address needs one.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Characters that a token needs at least: about 96 bits from `secrets.token_urlsafe`.
SHORTEST_TOKEN = 16
#: Seconds that a person stays logged in.
SESSION_SECONDS = 12 * 3600
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
SAFE_METHODS = frozenset({"GET", "HEAD"})
LOGIN, STATIC = "/login", "/static/"
#: Answers a refused request: the request's scope, the status, a message for people, and what to do.
Refuse = Callable[[Scope, int, str, str], ASGIApp]


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or a name in a Host header, is this machine alone."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of access of one application.

    ``host``: the address that it listens on. ``names``: more names by which browsers may reach it. ``token_variable``:
    the environment variable that may hold the token. ``cookie``: the name of its cookie. ``posts``: paths of forms that
    change something.
    """

    host: str = "127.0.0.1"
    names: frozenset[str] = frozenset()
    token: str | None = field(default=None, repr=False)
    token_variable: str = ""
    cookie: str = "audience_sync_dashboard"
    posts: frozenset[str] = frozenset()

    @property
    def needs_token(self) -> bool:
        """Whether others than this machine's users can reach it."""
        return not is_loopback(self.host) or not all(map(is_loopback, self.names))

    def problem(self) -> str | None:
        """Why these rules are not safe; None if they are."""
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            return f"the token has {len(self.token)} characters, and it needs {SHORTEST_TOKEN} or more"
        if self.needs_token and self.token is None:
            where = self.host if not is_loopback(self.host) else ", ".join(sorted(self.names))
            return f"others can reach {where}, so a token is needed"
        return None

    def allows_host(self, header: str) -> bool:
        """Whether a Host header is one of ours. A foreign name that resolves to this machine is not (DNS rebinding).

        Where there is a token, an IP address is ours too: a page of another name never has our cookie.
        """
        name = host_name(header)
        if name is None:
            return False
        if name in LOOPBACK_NAMES or name in self.names or name == self.host:
            return True
        return self.token is not None and _is_address(name)

    def is_token(self, text: str) -> bool:
        """Compare in constant time."""
        return self.token is not None and hmac.compare_digest(text.encode(), self.token.encode())

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Whether a request carries the token itself: `Authorization: Bearer TOKEN`."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.is_token(given.strip())

    def new_session(self, now: float | None = None) -> str:
        """The value of the cookie after a login: when, and a proof that only the token can make."""
        started = str(int(time.time() if now is None else now))
        return f"{started}.{self._proof(started)}"

    def is_session(self, cookie: str, now: float | None = None) -> bool:
        started, _, proof = cookie.partition(".")
        if not (started.isascii() and started.isdigit() and len(started) <= 12) or not proof.isascii():
            return False
        is_proof = hmac.compare_digest(proof, self._proof(started))
        age = (time.time() if now is None else now) - int(started)
        return is_proof and -60 <= age <= SESSION_SECONDS

    def _proof(self, started: str) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, f"{self.cookie} {started}".encode(), hashlib.sha256).hexdigest()

    def is_logged_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a request carries a session's cookie, or the token itself."""
        if self.token is None or self.has_token(headers):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return cookie is not None and self.is_session(cookie.value)


def host_name(header: str) -> str | None:
    """The name of a Host header without its port, in lower case; None if it is not one."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if not header or parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return (parts.hostname or "").rstrip(".") or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a form was sent by a page of this application, not by another site.

    Browsers name that in `Sec-Fetch-Site` at trusted addresses, and in `Origin` at all. A program sends neither.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def is_embedded_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site asks for a page as an image, a frame or a script.

    It could not read the answer, but make this program work: a query is part of an address. A link is fine.
    """
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest", "document") != "document"


def local_path(text: str) -> str:
    """A path of this application to go to after a login; the first page for anything else."""
    parts = urlsplit(text)
    is_local = text.startswith("/") and not text.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    return text if is_local and text.isprintable() and "\\" not in text else "/"


class Guard:
    """Middleware that answers what is not allowed, and adds the headers of safety to every answer."""

    def __init__(self, app: ASGIApp, *, access: Access, refuse: Refuse) -> None:
        self._app, self._access, self._refuse = app, access, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await self._answer(scope)(scope, receive, with_headers(send))

    def _answer(self, scope: Scope) -> ASGIApp:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        if not self._access.allows_host(headers.get("host", "")):
            remedy = "Open it by the address that the program printed, or allow the name: --allow-host NAME"
            return self._refuse(scope, 421, "This address is not one of this program’s.", remedy)
        is_form = path == LOGIN or path in self._access.posts
        if method not in SAFE_METHODS and not (method == "POST" and is_form):
            return self._refuse(scope, 405, "This page is only for looking: it changes nothing.", "")
        if method == "POST" and not is_same_origin(headers):
            return self._refuse(scope, 403, "The form was sent by another site. Nothing was changed.", "")
        if method in SAFE_METHODS and is_embedded_elsewhere(headers):
            return self._refuse(scope, 403, "Another site asked for this page as a part of its own.", "")
        if path != LOGIN and not path.startswith(STATIC) and not self._access.is_logged_in(headers):
            return self._refuse(scope, 401, "This address asks for a token.", "")
        return self._app


def with_headers(send: Send) -> Send:
    """Add the headers of safety to an answer; what it sets itself stays."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
