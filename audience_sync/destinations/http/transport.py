"""Send a request over one connection with one deadline, and return every failure as an answer."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from inspect import signature
from typing import Self

import requests
import urllib3.exceptions as urllib3_errors
from msgspec import Struct
from urllib3 import BaseHTTPResponse, HTTPConnectionPool

from audience_sync.destinations.base import Answer, HttpDestination, HttpRequest, Judgement, Meaning, Message
from audience_sync.destinations.http.deadline import Deadline, DeadlineAdapter, ProxyError, ProxyRefusedError
from audience_sync.destinations.http.egress import Egress
from audience_sync.destinations.http.proxy_errors import is_final, mention_proxy, proxy_message, tunnel_message
from audience_sync.destinations.http.redact_echoes import redact_echoes
from audience_sync.version import __version__

HEADERS = {
    "User-Agent": f"audience-sync/{__version__}",
    "Accept": "application/json, */*",
    "Accept-Encoding": "identity",
}
KEEP_ALIVE = {"Connection": "keep-alive"}  # for a proxy that speaks HTTP/1.0

#: The first matching cause of an error gives the explanation. The errors' own texts are never shown, because they
#: repeat addresses and headers.
EXPLANATIONS: Sequence[tuple[tuple[type[BaseException], ...], str]] = (
    ((urllib3_errors.InvalidHeader,), "the answer has two lengths that differ: a proxy or server on the way is broken"),
    ((requests.exceptions.InvalidHeader,), "a header can't be sent: is the key copied whole?"),
    (
        (requests.exceptions.InvalidURL, urllib3_errors.LocationParseError),
        "the address can't be used, check `url`",
    ),
    ((TimeoutError, urllib3_errors.ReadTimeoutError), "no complete answer within the time-out"),
    ((ssl.SSLError,), "the TLS handshake failed"),
    ((socket.gaierror,), "the host's name can't be resolved"),
    ((ConnectionRefusedError,), "connection refused"),
    ((RemoteDisconnected, IncompleteRead), "the connection was closed before the answer was complete"),
    ((ConnectionResetError, BrokenPipeError), "the connection was reset"),
    ((HTTPException,), "the answer is not HTTP"),
    ((urllib3_errors.DecodeError,), "the answer can't be decompressed: it does not match its Content-Encoding"),
    ((OSError,), "no connection"),
)


#: Statuses from here on are errors, with or without a body.
FIRST_ERROR_STATUS = 400
#: A proxy that requires a log-in answers this.
PROXY_LOGIN_STATUS = 407
#: OpenSSL's numbers for certificates of an untrusted CA.
UNKNOWN_CA = (18, 19, 20, 21)


class HttpExchange(Struct, frozen=True):
    """A request, its answer, and the meaning of the answer."""

    request: HttpRequest
    answer: Answer
    judgement: Judgement


class _Route(Struct, frozen=True):
    """Where requests of the same method, address, headers and proxy (``key``) go."""

    key: tuple[object, ...]
    pool: HTTPConnectionPool
    target: str
    headers: Mapping[str, str]


class HttpTransport:
    """Carries one request at a time; each sender thread has its own. ``clock`` counts seconds."""

    def __init__(
        self,
        destination: HttpDestination,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._destination = destination
        self._own_values = destination.own_values
        self._now = now
        self._deadline = Deadline(clock)
        self._egress = Egress.of(destination.options.ca_file, destination.options.proxy)
        self._adapter = DeadlineAdapter(self._deadline, self._egress.ca_file)
        self._route: _Route | None = None
        self._judges_messages = _accepts_messages(destination)

    def send(self, messages: Sequence[Message]) -> Judgement:
        return self.exchange(messages).judgement

    def exchange(self, messages: Sequence[Message]) -> HttpExchange:
        """Send, and return the request and the answer too."""
        request = self._destination.signed(self._destination.request(messages), self._now())
        answer = self.answer(request)
        judgement = self._judge(request, answer, messages)
        return HttpExchange(request, answer, redact_echoes(judgement, messages, self._own_values))

    def _judge(self, request: HttpRequest, answer: Answer, messages: Sequence[Message]) -> Judgement:
        """Judge an answer. A refusal of the proxy stops the destination, which never received the request."""
        if answer.is_of_proxy:
            return Judgement(Meaning.STOP, answer.error)
        judgement = self._call_judge(answer, messages)
        proxy = self._egress.proxy_for(request.url)
        return mention_proxy(judgement, proxy) if proxy and request.url.startswith("http://") else judgement

    def _call_judge(self, answer: Answer, messages: Sequence[Message]) -> Judgement:
        """Call ``judge``. That of an older package has no parameter for the messages."""
        judge = self._destination.judge
        return judge(answer, messages) if self._judges_messages else judge(answer)

    def answer(self, request: HttpRequest) -> Answer:
        """Return the answer, or the reason why there was none. No network error is raised."""
        proxy = self._egress.proxy_for(request.url)
        if proxy and not proxy.startswith(("http://", "https://")):
            return Answer(None, error=proxy_message(proxy, "is not supported: use an HTTP proxy"), is_of_proxy=True)
        try:
            answer = self._exchange(request, proxy)
        except (
            requests.RequestException,
            urllib3_errors.HTTPError,
            HTTPException,
            OSError,
            ValueError,
        ) as error:
            return no_answer(error, proxy, request.url)
        if proxy and answer.status == PROXY_LOGIN_STATUS:
            return Answer(None, error=tunnel_message(proxy, PROXY_LOGIN_STATUS, request.url), is_of_proxy=True)
        return answer

    def _exchange(self, request: HttpRequest, proxy: str | None) -> Answer:
        """Send over urllib3's pool. A session of requests would need twice the time for cookies and redirects."""
        route = self._route_for(request, proxy)
        seconds = self._destination.options.timeout.total_seconds()
        self._deadline.start(seconds)
        response = route.pool.urlopen(
            request.method,
            route.target,
            body=request.body or None,
            headers=route.headers,
            retries=self._adapter.max_retries,
            redirect=False,
            assert_same_host=False,
            timeout=seconds,
            preload_content=False,
            decode_content=False,
        )
        try:
            most = self._destination.most_answer
            body, is_whole = _read_body(response, most + 1)
            is_cut = len(body) > most or not is_whole
            return Answer(response.status, body[:most], headers=self._headers(response), is_cut=is_cut)
        finally:
            response.close()  # ends the connection unless the answer was read to its end
            response.release_conn()

    def _route_for(self, request: HttpRequest, proxy: str | None) -> _Route:
        """Return the way of a request, which most often is that of the one before."""
        key = (request.method, request.url, dict(request.headers), proxy)
        if self._route is None or self._route.key != key:
            prepared = requests.Request(
                request.method, request.url, headers={**KEEP_ALIVE, **HEADERS, **request.headers}
            ).prepare()
            proxies = {"http": proxy, "https": proxy} if proxy else {}
            pool = self._adapter.pool_for(prepared, proxies)
            headers = {name: value for name, value in prepared.headers.items() if name.lower() != "content-length"}
            self._route = _Route(key, pool, self._adapter.request_url(prepared, proxies), headers)
        return self._route

    def _headers(self, response: BaseHTTPResponse) -> dict[str, str]:
        """Return the headers in lower case, with a date, to which other dates relate."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        headers.setdefault("date", format_datetime(self._now(), usegmt=True))
        return headers

    def close(self) -> None:
        self._adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _accepts_messages(destination: HttpDestination) -> bool:
    try:
        signature(destination.judge).bind(Answer(None), ())
    except TypeError:
        return False
    return True


def _read_body(response: BaseHTTPResponse, most: int) -> tuple[bytes, bool]:
    """Read the body, and return whether it is complete.

    A server that refuses a request while receiving it (413, 407) often resets the connection: then the status counts
    without the body, as it does if the body can't be decompressed. A success needs its complete body.
    """
    try:
        return response.read(most, decode_content=True), True
    except (urllib3_errors.ProtocolError, urllib3_errors.DecodeError):
        if response.status < FIRST_ERROR_STATUS:
            raise
        return b"", False


def no_answer(error: BaseException, proxy: str | None, url: str) -> Answer:
    """Return the reason why there was no answer. It names the proxy if the proxy is the cause."""
    causes = tuple(_causes(error))
    refused = next((cause for cause in causes if isinstance(cause, ProxyRefusedError)), None)
    if proxy and refused:
        message = tunnel_message(proxy, refused.status, url)
        return Answer(None, error=message, is_of_proxy=is_final(refused.status))
    if proxy and any(isinstance(cause, ProxyError) for cause in causes):
        return Answer(None, error=proxy_message(proxy, f"can't be used: {connection_error_message(error)}"))
    return Answer(None, error=connection_error_message(error))


def connection_error_message(error: BaseException) -> str:
    """Describe a connection error without secrets."""
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return untrusted_certificate_message(cause)
    for kinds, text in EXPLANATIONS:
        if any(isinstance(cause, kinds) for cause in causes):
            return text
    return f"no answer ({type(error).__name__})"


def untrusted_certificate_message(error: ssl.SSLCertVerificationError) -> str:
    """Explain an untrusted certificate: name an unknown CA in `ca_file`, or correct the server."""
    why = "the server's TLS certificate is not trusted"
    if getattr(error, "verify_code", None) in UNKNOWN_CA:
        return f"{why}: if a CA of your company signed it, name the CA's file in `ca_file`"
    detail = getattr(error, "verify_message", "").rstrip(".")
    return f"{why} ({detail})" if detail else why


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all errors that it wraps or was raised from, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        linked = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        waiting.extend(link for link in linked if isinstance(link, BaseException))
