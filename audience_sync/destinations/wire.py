"""Does an answer arrive whole, and in time? Connections that keep one deadline for a whole request.

Two gaps of the standard client are closed here. Its time-out is per read, so that an answer that drips never
ends; and it takes the end of the connection for the end of the headers, so that ``HTTP/1.1 200 O`` succeeds.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """When the request under way must be over; ``clock`` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = 0.0

    def start(self, seconds: float) -> None:
        self._end = self._clock() + seconds

    def left(self) -> float:
        """Seconds left, more than none; raises TimeoutError when the time is over."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("deadline")
        return left


class _TimedSocket(io.RawIOBase):
    """The raw stream of a socket, each read of which may take what is left of the deadline."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._stream, self._sock, self._deadline = stream, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.left())
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Lines(io.BufferedReader):
    """Remembers the last line read: empty at the end of the stream, and only there."""

    last: bytes = b"\n"

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class WholeResponse(HTTPResponse):
    """An answer whose headers have an end."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        raw = self.fp.detach()
        self._lines = _Lines(_TimedSocket(raw, sock, deadline))
        self.fp = self._lines

    def begin(self) -> None:
        super().begin()
        if self._lines.last == b"":
            raise RemoteDisconnected("closed within the headers")


class _Timed(HTTPConnection):
    """A connection whose every step may take what is left of the deadline."""

    def __init__(self, *args: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline = deadline
        # Declared as a class, but only ever called.
        self.response_class = partial(WholeResponse, deadline=deadline)  # type: ignore[assignment]

    def send(self, data: Any) -> None:
        if self.sock:
            self.sock.settimeout(self._deadline.left())
        super().send(data)


class _SecureTimed(_Timed, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Timed


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureTimed


class DeadlineAdapter(HTTPAdapter):
    """One connection, kept alive, never retried by itself: the engine decides about repeats."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(_Pool, deadline=self._deadline),
            "https": partial(_SecurePool, deadline=self._deadline),
        }


class PlainSession(requests.Session):
    """Takes nothing from its surroundings (proxies, .netrc), keeps no cookies, follows no redirects."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, _response: requests.Response) -> str | None:
        """None, always: even where redirects are off, requests would read the body to its end for them."""
        return None
