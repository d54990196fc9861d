"""Run PgBouncer on loopback in front of the tests' PostgreSQL, as many hosting services do."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from proxies import free_port
from sqlalchemy import make_url

_CONFIG = """
[databases]
* = host={host} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
logfile = {folder}/log
"""


@contextmanager
def pgbouncer(url: str, mode: str, size: int) -> Iterator[str]:
    """The URL of the same database behind a pooler; ``size``: its number of sessions for all clients."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("pgbouncer is not installed")
    address = make_url(url)
    with TemporaryDirectory(prefix="pgbouncer-") as name:
        folder, port, host = Path(name), free_port(), str(address.query["host"])
        config = folder / "pgbouncer.ini"
        config.write_text(
            _CONFIG.format(host=host, user=address.username, port=port, mode=mode, size=size, folder=folder)
        )
        # PgBouncer refuses to run as root, and the server's socket may belong to another user.
        owner = Path(host).stat().st_uid
        if os.getuid() != owner:
            for path in (folder, config):
                os.chown(path, owner, -1)
        arguments = [program, "-q", str(config)]
        server = subprocess.Popen(arguments, user=owner if os.getuid() != owner else None)
        try:
            pooled = address.set(drivername="postgresql", host="127.0.0.1", port=port, query={})
            _until_it_listens(folder / "log", server)
            yield pooled.render_as_string(hide_password=False)
        finally:
            server.terminate()
            server.wait()


def _until_it_listens(log: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        if log.exists() and "process up" in log.read_text():
            return
        time.sleep(0.02)
    pytest.fail("pgbouncer does not listen")
