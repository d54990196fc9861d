"""Keep one deadline for a whole request, and read each answer completely and in order.

This closes four gaps of the standard client. Its time-out is per read, so that a slow answer never ends. It accepts the
end of the connection as the end of the headers, so that ``HTTP/1.1 200 O`` succeeds. It returns an interim answer (103
Early Hints) as the answer. And it reuses a connection with unread bytes, so that a second answer to one request would
count for the next one.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException, HTTPResponse, RemoteDisconnected, parse_headers
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.wait import wait_for_read

from audience_sync.destinations.http.egress import proxy_credentials

#: Interim answers (1xx) before the answer; more of them are an error.
MAX_INTERIM_ANSWERS = 100


class ProxyError(OSError):
    """The proxy can't be reached or does not answer."""


class ProxyRefusedError(ProxyError):
    """The proxy answered CONNECT with this ``status`` instead of 200."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Deadline:
    """The deadline of the current request. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = 0.0

    def start(self, seconds: float) -> None:
        self._end = self._clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, above 0. Raises TimeoutError after the deadline."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("deadline")
        return left


class _DeadlineStream(io.RawIOBase):
    """The raw stream of a socket. Each read may last until the deadline."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._stream, self._sock, self._deadline = stream, sock, deadline
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_over:
            return 0
        self._sock.settimeout(self._deadline.remaining())
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _AnswerReader(io.BufferedReader):
    """A reader that keeps the last line, which is empty only at the end of the stream.

    ``stray`` is called if bytes are unread after the answer.
    """

    last: bytes = b"\n"

    def __init__(self, source: _DeadlineStream, stray: Callable[[], None]) -> None:
        super().__init__(source)
        self._source, self._stray = source, stray

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last

    def close(self) -> None:
        if not self.closed:
            self._source.is_over = True  # check only the bytes in the buffer
            if self.peek(1):
                self._stray()
        super().close()


class CompleteResponse(HTTPResponse):
    """An answer with complete headers, after all interim answers."""

    def __init__(
        self, sock: socket.socket, *args: Any, deadline: Deadline, stray: Callable[[], None], **options: Any
    ) -> None:
        super().__init__(sock, *args, **options)
        raw = self.fp.detach()
        self._lines = _AnswerReader(_DeadlineStream(raw, sock, deadline), stray)
        self.fp = self._lines

    def begin(self) -> None:
        super().begin()
        if self._lines.last == b"":
            raise RemoteDisconnected("closed within the headers")

    def _read_status(self) -> tuple[str, int, str]:
        """Read the status line after all interim answers, of a server or of a proxy after CONNECT."""
        for _ in range(MAX_INTERIM_ANSWERS):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed doesn't have it
            if status >= 200:
                return version, status, reason
            if status == 101:
                raise HTTPException("the server switched to another protocol")
            parse_headers(self.fp)
        raise HTTPException("interim answers without an end")


class _DeadlineConnection(HTTPConnection):
    """A connection whose steps all end by the deadline, and that is reused only if nothing is unread."""

    def __init__(self, *args: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline = deadline
        self._is_out_of_step = False
        self._is_past_the_proxy = False
        response = partial(CompleteResponse, deadline=deadline, stray=self._mark_out_of_step)
        self.response_class = response  # type: ignore[assignment]  # typed as a class, but only called

    def connect(self) -> None:
        """Connect. Raises ProxyError for a failure before the proxy has opened the tunnel."""
        self._is_past_the_proxy = self.proxy is None
        self.timeout = self._deadline.remaining()
        try:
            super().connect()
        except (OSError, HTTPException, HTTPError) as error:
            if self._is_past_the_proxy or isinstance(error, ProxyError):
                raise
            raise ProxyError("before the tunnel") from error

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
        except OSError as error:
            if refused := re.match(r"Tunnel connection failed: (\d+)", str(error)):
                raise ProxyRefusedError(int(refused[1])) from error
            raise
        self._is_past_the_proxy = True
        assert self.sock is not None
        self.sock.settimeout(self._deadline.remaining())  # for the handshake

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request. Raises HTTPException if bytes are unread, because they would count as the answer.

        This can't be checked over TLS, where a new connection may have session tickets to read.
        """
        if self.sock is None:
            self.connect()
        if not isinstance(self.sock, ssl.SSLSocket) and wait_for_read(self.sock, timeout=0.0):
            self.close()
            raise HTTPException("an answer before the request")
        super().request(*args, **options)

    def send(self, data: Any) -> None:
        if self.sock:
            self.sock.settimeout(self._deadline.remaining())
        super().send(data)

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be reused. It can't if bytes are unread."""
        unread = getattr(self.sock, "pending", int)()  # decrypted TLS bytes, which the socket does not show
        return not (self._is_out_of_step or unread) and super().is_connected

    def close(self) -> None:
        super().close()
        self._is_out_of_step = False

    def _mark_out_of_step(self) -> None:
        self._is_out_of_step = True


class _SecureDeadlineConnection(_DeadlineConnection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureDeadlineConnection


class DeadlineAdapter(HTTPAdapter):
    """One connection, kept alive. It does not retry; the sender does.

    ``ca_file``: certificates to trust in addition to the public ones.
    """

    def __init__(self, deadline: Deadline, ca_file: str | None = None) -> None:
        self._trusted = None if ca_file is None else create_urllib3_context()
        if self._trusted is not None:
            self._trusted.load_verify_locations(ca_file)  # each connection adds the public ones
        self._classes = {
            "http": partial(_Pool, deadline=deadline),
            "https": partial(_SecurePool, deadline=deadline),
        }
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._trusted, **options)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(
            proxy, ssl_context=self._trusted, proxy_ssl_context=self._trusted, **options
        )
        manager.pool_classes_by_scheme = self._classes
        return manager

    def pool_for(self, request: requests.PreparedRequest, proxies: Mapping[str, str]) -> HTTPConnectionPool:
        """Return the pool of a request's host, which verifies certificates."""
        pool = cast(HTTPConnectionPool, self.get_connection_with_tls_context(request, verify=True, proxies=proxies))
        self.cert_verify(pool, request.url, True, None)  # type: ignore[no-untyped-call]  # its stubs lack the types
        return pool

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the credentials in UTF-8, which proxies expect; requests encodes them in Latin-1."""
        credentials = proxy_credentials(proxy)
        if credentials is None:
            return {}
        return {"Proxy-Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
