"""nginx on loopback, in front of a receiver, as it stands before many services."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, port: int, http: str) -> Iterator[Path]:
    """Runs with this ``http`` block, which listens on the port. Yields its access log: a line for each request."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("nginx is not installed")
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, http=http))
    arguments = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    server = subprocess.Popen([*arguments, "-g", f"user {_user()};"] if os.getuid() == 0 else arguments)
    try:
        _until_it_listens(port, server)
        yield folder / "access.log"
    finally:
        server.terminate()
        server.wait()


def _user() -> str:
    """Its workers are the tests' own user, so that they may write into the tests' folder."""
    return "root"


def _until_it_listens(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("nginx does not listen")
