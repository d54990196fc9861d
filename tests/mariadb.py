"""Run MariaDB on loopback, from Debian's package mariadb-server-core, in a folder that is removed at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from proxies import free_port

_SCRIPTS = Path("/usr/share/mysql")
#: What `mariadb-install-db` passes to the server, which needs more packages. A statement must end its line.
_BOOTSTRAP = "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @skip_auth_anonymous=1;\n"
_SYSTEM_TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
_SMALL = ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0")


class MariaDB:
    """A running server; ``url`` is that of a user who may only read its database ``shop``."""

    def __init__(self, port: int, socket: Path) -> None:
        self.port, self.socket = port, socket
        self.url = f"mysql://sync:s%40cret@127.0.0.1:{port}/shop"

    def execute(self, *statements: str, database: str | None = "shop") -> None:
        """Run statements as the server's root."""
        with self._connect(database) as connection, connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)
            connection.commit()

    def count_queries(self) -> int:
        """The number of queries at work, without its own."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from information_schema.processlist where user = 'sync'")
            return int(cursor.fetchone()[0])

    def _connect(self, database: str | None = None) -> Any:
        import pymysql

        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=database)


@contextmanager
def mariadb() -> Iterator[MariaDB]:
    """A new server with an empty database ``shop``."""
    program = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("mariadbd is not installed: mariadb-server-core")
    with TemporaryDirectory(prefix="mariadb-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        data, log = Path(folder, "data"), Path(folder, "log")
        data.mkdir()
        common = [program, "--no-defaults", f"--datadir={data}", *_SMALL]
        if os.getuid() == 0:
            common.append("--user=root")
        script = _BOOTSTRAP + "".join((_SCRIPTS / name).read_text() for name in _SYSTEM_TABLES)
        subprocess.run([*common, "--bootstrap"], input=script, text=True, check=True, capture_output=True)
        server = MariaDB(free_port(), Path(folder, "socket"))
        here = [f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={server.socket}", "--skip-name-resolve"]
        with log.open("w") as written:
            process = subprocess.Popen([*common, *here], stdout=written, stderr=written)
        try:
            _until_it_listens(log, process)
            server.execute(
                "create database shop",
                "create user sync@'%' identified by 's@cret'",
                "grant select on shop.* to sync@'%'",
                database=None,
            )
            yield server
        finally:
            process.terminate()
            process.wait()


def _until_it_listens(log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if "ready for connections" in log.read_text():
            return
        time.sleep(0.02)
    pytest.fail(f"MariaDB does not listen: {log.read_text()[-500:]}")
