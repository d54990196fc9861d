"""Carry a request to a destination: one connection, one deadline, every failure an answer."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import requests
import urllib3.exceptions as urllib3_errors

from audience_sync import __version__
from audience_sync.destinations.base import Answer, HttpDestination, HttpRequest, Judgement, Message
from audience_sync.destinations.echoes import without_echoes
from audience_sync.destinations.wire import Deadline, DeadlineAdapter, PlainSession

HEADERS = {
    "User-Agent": f"audience-sync/{__version__}",
    "Accept": "application/json, */*",
    "Accept-Encoding": "identity",
}

#: The first kind that is among an error's causes says what happened. The errors' own texts are never shown:
#: they repeat addresses and headers.
EXPLANATIONS: Sequence[tuple[tuple[type[BaseException], ...], str]] = (
    ((urllib3_errors.InvalidHeader,), "the answer has two lengths that differ: a proxy or server on the way is broken"),
    ((requests.exceptions.InvalidHeader,), "a header can't be sent: is the key copied whole?"),
    (
        (requests.exceptions.InvalidURL, urllib3_errors.LocationParseError),
        "the address can't be used, check `url`",
    ),
    ((ssl.SSLCertVerificationError,), "the server's TLS certificate is not trusted"),
    ((TimeoutError, urllib3_errors.ReadTimeoutError), "no complete answer within the time-out"),
    ((ssl.SSLError,), "the TLS handshake failed"),
    ((socket.gaierror,), "the host's name can't be resolved"),
    ((ConnectionRefusedError,), "connection refused"),
    ((RemoteDisconnected, IncompleteRead), "the connection was closed before the answer was complete"),
    ((ConnectionResetError, BrokenPipeError), "the connection was reset"),
    ((HTTPException,), "the answer is not HTTP"),
    ((OSError,), "no connection"),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, the answer to it, and what that means."""

    request: HttpRequest
    answer: Answer
    judgement: Judgement


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
        self._now = now
        self._deadline = Deadline(clock)
        self._session = PlainSession(DeadlineAdapter(self._deadline))
        self._session.headers.update(HEADERS)

    def send(self, messages: Sequence[Message]) -> Judgement:
        return self.exchange(messages).judgement

    def exchange(self, messages: Sequence[Message]) -> Exchange:
        """What ``send`` does, with all that was said."""
        request = self._destination.signed(self._destination.request(messages), self._now())
        answer = self.answer(request)
        return Exchange(request, answer, without_echoes(self._destination.judge(answer), messages))

    def answer(self, request: HttpRequest) -> Answer:
        """The answer, or why there was none: nothing is raised for what happens on the way."""
        try:
            return self._exchange(request)
        except (
            requests.RequestException,
            urllib3_errors.HTTPError,
            HTTPException,
            OSError,
            ValueError,
        ) as error:
            return Answer(None, error=explain(error))

    def _exchange(self, request: HttpRequest) -> Answer:
        seconds = self._destination.options.timeout.total_seconds()
        self._deadline.start(seconds)
        with self._session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=seconds,
            stream=True,
        ) as response:
            most = self._destination.most_answer
            body = response.raw.read(most + 1, decode_content=True)
            return Answer(response.status_code, body[:most], self._headers(response), is_cut=len(body) > most)

    def _headers(self, response: requests.Response) -> dict[str, str]:
        """Names in lower case, and always with a date: other dates are read against it."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        headers.setdefault("date", format_datetime(self._now(), usegmt=True))
        return headers

    def close(self) -> None:
        self._session.close()


def explain(error: BaseException) -> str:
    """What happened, in words that carry no secret."""
    causes = tuple(_causes(error))
    for kinds, text in EXPLANATIONS:
        if any(isinstance(cause, kinds) for cause in causes):
            return text
    return f"no answer ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was raised from or wraps, each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        linked = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        waiting.extend(link for link in linked if isinstance(link, BaseException))
