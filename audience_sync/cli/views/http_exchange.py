"""Format a request and its answer without secrets."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from audience_sync.destinations.base import Answer, HttpRequest
from audience_sync.destinations.http.statuses import excerpt, is_html_answer, truncate
from audience_sync.redaction.secrets import MASK, collect_secrets, mask_secrets

#: Headers that are shown; any other may contain a key. A signature is shown, to compare it when a receiver refuses it.
SAFE_HEADERS = frozenset(
    {"accept", "accept-encoding", "content-encoding", "content-type", "user-agent"}
    | {"webhook-id", "webhook-timestamp", "webhook-signature", "x-outbound-client", "x-outbound-guid"}
)
SCHEMES = ("Basic", "Bearer")


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A request without secrets. ``body``: uncompressed text. The other fields are None without HTTP."""

    body: str
    method: str | None = None
    url: str | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ShownResponse:
    """An answer without secrets. ``status`` is None if there was none; ``body`` is an excerpt."""

    status: int | None
    body: str


def all_secrets(known: Iterable[str], headers: Mapping[str, str]) -> tuple[str, ...]:
    """The config's secrets, and the values of headers that may contain them."""
    return collect_secrets([*known, *(value for name, value in headers.items() if name.lower() not in SAFE_HEADERS)])


def redact_request(request: HttpRequest, headers: Mapping[str, str], secrets: Iterable[str]) -> ShownRequest:
    """The request without secrets. ``headers``: all of them, with those of the transport."""
    known = all_secrets(secrets, headers)
    return ShownRequest(
        mask_secrets(_text(request), known),
        request.method,
        mask_secrets(_without_query(request.url), known),
        {name: mask_secrets(_header(name, value), known) for name, value in headers.items()},
    )


def shown_response(answer: Answer, headers: Mapping[str, str], secrets: Iterable[str]) -> ShownResponse:
    """The answer without secrets. ``headers``: those of the request, which the answer may repeat."""
    body = "(a page of HTML)" if is_html_answer(answer.body) else excerpt(answer.body, all_secrets(secrets, headers))
    return ShownResponse(answer.status, truncate(body))


def _text(request: HttpRequest) -> str:
    compressed = any((name.lower(), value) == ("content-encoding", "gzip") for name, value in request.headers.items())
    return (gzip.decompress(request.body) if compressed else request.body).decode("utf-8", "replace")


def _without_query(url: str) -> str:
    """Mask the values of the query, where many services expect their key."""
    parts = urlsplit(url)
    query = urlencode([(name, MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return urlunsplit(parts._replace(query=query))


def _header(name: str, value: str) -> str:
    if name.lower() in SAFE_HEADERS:
        return value
    scheme, _, key = value.partition(" ")
    return f"{scheme} {MASK}" if key and scheme in SCHEMES else MASK
