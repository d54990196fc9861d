"""Run real proxies on loopback: nginx in front of a receiver, with a company's CA too, and tinyproxy on the way out."""

from __future__ import annotations

import os
import re
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
    program = _installed("nginx")
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


@contextmanager
def nginx_tls(folder: Path, ca: Path, address: str, more: str = "") -> Iterator[str]:
    """nginx over TLS, with the certificate that ``private_ca`` made, in front of the address. Yields its URL."""
    port = free_port()
    certificate = f"ssl_certificate {ca.parent}/server.pem; ssl_certificate_key {ca.parent}/server.key;"
    place = f"location / {{ proxy_pass {address}; }}"
    block = f"server {{ listen 127.0.0.1:{port} ssl; {certificate} {more} {place} }}"
    with nginx(folder, port, block):
        yield f"https://localhost:{port}"


def private_ca(folder: Path) -> Path:
    """The certificate of a CA that is unknown elsewhere; next to it are a certificate that it signed and its key."""
    openssl, ca = _installed("openssl"), folder / "ca.pem"
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    new = ("req", "-newkey", "rsa:2048", "-nodes")
    signed_by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    for arguments in (
        (*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Company CA"),
        (*new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"),
        ("x509", "-req", "-in", "server.csr", *signed_by, "-out", "server.pem", "-days", "2", "-extfile", "names"),
    ):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)
    return ca


class Tinyproxy:
    """A forward proxy. ``requested``: the first lines of what it was asked for, in their order."""

    def __init__(self, port: int, log: Path) -> None:
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"
        self._log = log

    @property
    def requested(self) -> list[str]:
        return re.findall(r"Request \(file descriptor \d+\): (.+)", self._log.read_text())


@contextmanager
def tinyproxy(folder: Path, *options: str) -> Iterator[Tinyproxy]:
    """``options``: further lines of its configuration, such as ``BasicAuth ana pass``."""
    program, port = _installed("tinyproxy"), free_port()
    config, log = folder / "tinyproxy.conf", folder / "tinyproxy.log"
    lines = (f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{log}"', "LogLevel Info", *options)
    config.write_text("\n".join([*lines, ""]))
    server = subprocess.Popen([program, "-d", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        _until_it_listens(port, server)
        yield Tinyproxy(port, log)
    finally:
        server.terminate()
        server.wait()


def _installed(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")
    return found


def _until_it_listens(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("the proxy does not listen")
