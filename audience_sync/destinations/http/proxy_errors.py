"""Say what a proxy on the way did: each message names the proxy, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from audience_sync.destinations.base import Judgement, Meaning
from audience_sync.destinations.http.egress import proxy_credentials, shown_proxy

#: Statuses below 500 of a proxy that may answer otherwise later.
TRANSIENT_STATUSES = (408, 425, 429)
#: What proxies answer to CONNECT where the user or the password is wrong; some have a destination's status for it.
LOGIN_STATUSES = (401, 407)
#: The status with which proxies and destinations alike forbid something.
FORBIDDEN = 403


def proxy_message(proxy: str, what: str) -> str:
    return f"the proxy {shown_proxy(proxy)} {what}"


def is_final(status: int) -> bool:
    """Whether a proxy that answered CONNECT so will answer the next one so too."""
    return status < 500 and status not in TRANSIENT_STATUSES


def tunnel_message(proxy: str, status: int, url: str) -> str:
    """What a proxy means that answers instead of the destination."""
    there = _host_and_port(url)
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
    """An answer over plain HTTP through a proxy may be the proxy's own: what forbids everything names both."""
    if judgement.meaning is not Meaning.STOP:
        return judgement
    why = (
        f"{judgement.reason}. The answer came through the proxy {shown_proxy(proxy)}, which may be the one that refuses"
    )
    return replace(judgement, reason=why)


def _host_and_port(url: str) -> str:
    """The host and the port, without the rest: a path may be a key."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
