"""How are a request and its answer shown without their secrets?"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from audience_sync.destinations.base import Answer, HttpRequest
from audience_sync.destinations.http.statuses import excerpt, is_html_answer, truncate
from audience_sync.redaction.secrets import MASK, collect_secrets, mask_secrets

#: Any other header may hold a key. A signature is none: it is what one compares when a receiver refuses it.
SAFE_HEADERS = frozenset(
    {"accept", "accept-encoding", "content-encoding", "content-type", "user-agent"}
    | {"webhook-id", "webhook-timestamp", "webhook-signature", "x-outbound-client", "x-outbound-guid"}
)
SCHEMES = ("Basic", "Bearer")


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """``body`` is plain text, also where it went compressed; the rest is None where there is no HTTP."""

    body: str
    method: str | None = None
    url: str | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ShownResponse:
    """``status`` is None where no answer came; ``body`` is an excerpt."""

    status: int | None
    body: str


def all_secrets(known: Iterable[str], headers: Mapping[str, str]) -> tuple[str, ...]:
    """The config's secrets, and what was made of them for the headers."""
    return collect_secrets([*known, *(value for name, value in headers.items() if name.lower() not in SAFE_HEADERS)])


def redact_request(request: HttpRequest, headers: Mapping[str, str], secrets: Iterable[str]) -> ShownRequest:
    """``headers``: all that went, with those that the transport adds."""
    known = all_secrets(secrets, headers)
    return ShownRequest(
        mask_secrets(_text(request), known),
        request.method,
        mask_secrets(_without_query(request.url), known),
        {name: mask_secrets(_header(name, value), known) for name, value in headers.items()},
    )


def shown_response(answer: Answer, headers: Mapping[str, str], secrets: Iterable[str]) -> ShownResponse:
    """``headers``: the request's, which the answer may repeat."""
    body = "(a page of HTML)" if is_html_answer(answer.body) else excerpt(answer.body, all_secrets(secrets, headers))
    return ShownResponse(answer.status, truncate(body))


def _text(request: HttpRequest) -> str:
    compressed = any((name.lower(), value) == ("content-encoding", "gzip") for name, value in request.headers.items())
    return (gzip.decompress(request.body) if compressed else request.body).decode("utf-8", "replace")


def _without_query(url: str) -> str:
    """The query's names stay, its values don't: many services want their key there."""
    parts = urlsplit(url)
    query = urlencode([(name, MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return urlunsplit(parts._replace(query=query))


def _header(name: str, value: str) -> str:
    if name.lower() in SAFE_HEADERS:
        return value
    scheme, _, key = value.partition(" ")
    return f"{scheme} {MASK}" if key and scheme in SCHEMES else MASK
