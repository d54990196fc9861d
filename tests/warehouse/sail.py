"""Find the server of tests by Spark Connect: Spark itself, if it was started for them, or else Sail.

Sail has an environment of its own: Spark's client must not be beside it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forks import STUCK

#: The program. `.ci/run` and `nox -s sail` install it.
SAIL = os.environ.get("AUDIENCE_SYNC_SAIL")
#: The URL of Spark, in place of Sail. `nox -s spark -- --conformance` starts it.
SPARK = os.environ.get("AUDIENCE_SYNC_SPARK")
needs_spark = pytest.mark.skipif(
    SAIL is None and SPARK is None, reason="AUDIENCE_SYNC_SAIL does not name the program: nox -s sail"
)


@contextmanager
def spark_server(folder: Path) -> Iterator[str]:
    """The URL of the server. Sail writes into the folder."""
    if SPARK is not None:
        yield SPARK
        return
    assert SAIL is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [SAIL, "spark", "server", "--port", str(port), "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + STUCK
            while not _answers(port):
                assert process.poll() is None
                assert time.monotonic() < deadline, "Sail does not answer"
                time.sleep(0.02)
            yield f"sc://127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
