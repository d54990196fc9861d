"""Show a request and its answer without secrets."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Struct, field
from msgspec.structs import asdict

from audience_sync.destinations.base import Answer, HttpRequest, Judgement, Meaning
from audience_sync.destinations.http.statuses import excerpt, is_html_answer, truncate
from audience_sync.errors import FAILED, OK, UNDELIVERED
from audience_sync.redaction.secrets import MASK, collect_secrets, mask_secrets

#: Headers that are shown; any other may contain a key. A signature is shown, to compare it when a receiver refuses it.
SAFE_HEADERS = frozenset(
    {"accept", "accept-encoding", "content-encoding", "content-type", "user-agent"}
    | {"webhook-id", "webhook-timestamp", "webhook-signature", "x-outbound-client", "x-outbound-guid"}
    | {"x-braze-batch"}
)
#: Values of a query that can't be a key.
SWITCHES = ("0", "1")
SCHEMES = ("Basic", "Bearer", "Key")


class ShownRequest(Struct, frozen=True):
    """A request without secrets. ``body``: uncompressed text. The other fields are None without HTTP."""

    body: str
    method: str | None = None
    url: str | None = None
    headers: Mapping[str, str] | None = None


class ShownResponse(Struct, frozen=True):
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
    """Mask the values of the query, where many services expect their key; a switch (0 or 1) is shown."""
    parts = urlsplit(url)
    found = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(name, value if value in SWITCHES else MASK) for name, value in found], safe="*")
    return urlunsplit(parts._replace(query=query))


def _header(name: str, value: str) -> str:
    if name.lower() in SAFE_HEADERS:
        return value
    scheme, _, key = value.partition(" ")
    return f"{scheme} {MASK}" if key and scheme in SCHEMES else MASK


class LiveCall(Struct, frozen=True):
    """The result of one real call. ``request`` and ``response`` are None if there was none."""

    judgement: Judgement
    request: ShownRequest | None = None
    response: ShownResponse | None = None
    seconds: float = 0.0
    destination: str = ""
    type: str = ""
    user_id: str = ""
    traits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """FAILED if every call would fail: a wrong key or address, or no server."""
        match self.judgement:
            case Judgement(meaning=Meaning.DELIVERED):
                return OK
            case Judgement(meaning=Meaning.STOP) | Judgement(meaning=Meaning.RETRY, status=None):
                return FAILED
            case _:
                return UNDELIVERED

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync test-destination --json``."""
        return {
            "destination": self.destination,
            "type": self.type,
            "user_id": self.user_id,
            "traits": dict(self.traits),
            "request": self.request and asdict(self.request),
            "response": self.response and asdict(self.response),
            "meaning": self.judgement.meaning.value,
            "reason": self.judgement.reason or None,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
        }
