"""Serve an application until Ctrl-C or SIGTERM: print its address on stderr, and stop within a second."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from audience_sync.errors import AudienceSyncError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Connections at the same time; the next one is answered with 503. Seconds until one without a request is closed.
MOST_CONNECTIONS, IDLE_SECONDS = 200, 5


class ListenError(AudienceSyncError):
    """The address can't be used. Nothing is served."""


class _Protocol(H11Protocol):
    """HTTP that also closes a connection on which no first request comes: idle ones must not use up all places."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)


class _Server(uvicorn.Server):
    """A server that ends by itself after a signal, instead of raising it again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. ``port`` 0: any free one. Raises ListenError if the address can't be used."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _address_error(host, port, error) from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise _address_error(host, port, error) from None
    return opened


def _address_error(host: str, port: int, error: OSError) -> ListenError:
    if error.errno == errno.EADDRINUSE:
        fact = f"another program listens on port {port} of {host}. Nothing is served."
        return ListenError(f"{fact}\nChoose another port, or let the system choose one: --port 0")
    if error.errno == errno.EACCES:
        return ListenError(f"port {port} needs more rights. Nothing is served.\nChoose one from 1024 on: --port 8789")
    return ListenError(f"can't listen on {host}: {error.strerror or error}. Nothing is served.")


def address_of(opened: socket.socket) -> str:
    """``http://127.0.0.1:8789/``: an address that a browser of this machine can open."""
    host, port = opened.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: ASGIApp, opened: socket.socket, *, announce: Callable[[str], None] = lambda address: None) -> None:
    """Serve until a signal arrives. Open requests and event streams are ended then.

    ``announce`` is called with the address once requests are answered.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # our own pages report errors, without people's data
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        http=_Protocol,
        timeout_graceful_shutdown=0,
        timeout_keep_alive=IDLE_SECONDS,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=64_000,
    )
    server = _Server(config)
    with server.capture_signals():  # a signal may come as soon as the address is printed
        announce(address_of(opened))
        server.run(sockets=[opened])
