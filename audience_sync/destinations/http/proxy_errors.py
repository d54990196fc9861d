"""Explain the errors of a proxy: each message names the proxy and the fix."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec.structs import replace

from audience_sync.destinations.base import Judgement, Meaning
from audience_sync.destinations.http.egress import proxy_credentials, shown_proxy

#: Statuses below 500 after which the same request may succeed later.
TRANSIENT_STATUSES = (408, 425, 429)
#: The answers of proxies to CONNECT with a wrong user or password; some use the status of a destination.
LOGIN_STATUSES = (401, 407)
#: The status with which proxies and destinations alike forbid something.
FORBIDDEN = 403


def proxy_message(proxy: str, what: str) -> str:
    return f"the proxy {shown_proxy(proxy)} {what}"


def is_final(status: int) -> bool:
    """Return whether a proxy will answer the next CONNECT with the same status."""
    return status < 500 and status not in TRANSIENT_STATUSES


def tunnel_message(proxy: str, status: int, url: str) -> str:
    """Return the message for a proxy that answered instead of the destination."""
    parts = urlsplit(url)
    there = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"  # the path may be a key
    if status in LOGIN_STATUSES:
        what = "does not accept the user and password" if proxy_credentials(proxy) else "needs a user and a password"
        return proxy_message(
            proxy, f"{what} (HTTP {status}). Correct them in `proxy`: `http://user:password@host:port`"
        )
    if status == FORBIDDEN:
        what = f"does not allow a connection to {there} (HTTP 403). Have it allowed there, or set another `proxy`"
    elif is_final(status):
        what = f"does not open a tunnel to {there} (HTTP {status}). Check `proxy`"
    else:
        what = f"could not connect to {there} (HTTP {status})"
    return proxy_message(proxy, what)


def mention_proxy(judgement: Judgement, proxy: str) -> Judgement:
    """Name the proxy in a reason to stop: over plain HTTP the answer may come from either."""
    if judgement.meaning is not Meaning.STOP:
        return judgement
    why = (
        f"{judgement.reason}. The answer came through the proxy {shown_proxy(proxy)}, which may be the one that refuses"
    )
    return replace(judgement, reason=why)
