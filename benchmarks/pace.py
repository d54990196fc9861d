"""Measure how much of a server's allowance is used: the product against a server that refuses what is beyond it.

    python benchmarks/pace.py --allow 500 --calls 20000

One call a request, so that requests are what counts. Prints the share of the allowance that was used and the share
of the requests that were refused.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

RECEIVER = Path(__file__).with_name("receiver.py")
CONFIG = """
store: sqlite:///store.db
sources: {{exports: {{files: .}}}}
audiences: [{{name: Members, source: exports, file: members.csv}}]
destinations:
  segment: {{type: segment, write_key: key, url: "{url}", batch_size: 1, concurrency: {concurrency}}}
"""


@contextmanager
def receiver(*options: str) -> Iterator[str]:
    """The address of a receiver in a process of its own."""
    process = subprocess.Popen([sys.executable, str(RECEIVER), *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield "http://" + process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()


def measure(allow: int, calls: int, concurrency: int, delay_ms: float) -> dict[str, Any]:
    """A first run of so many calls, one a request; ``seconds`` is the delivery's time, as the store says it."""
    with receiver("--allow", str(allow), "--delay-ms", str(delay_ms)) as url, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "members.csv").write_text("user_id\n" + "".join(f"user-{n}\n" for n in range(calls)))
        (home / "config.yaml").write_text(CONFIG.format(url=url, concurrency=concurrency))
        done = subprocess.run(["audience-sync", "sync", "--json"], cwd=home, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        with closing(sqlite3.connect(home / "store.db")) as store:
            [(seconds,)] = store.execute("select seconds from deliveries")
        seen = requests.get(f"{url}/stats", timeout=60).json()
    [delivery] = answer["destinations"]
    assert delivery["delivered"] == seen["users"] == calls, (delivery, seen["users"])
    refused = seen["refused_429"]
    return {
        "seconds": seconds,
        "used": calls / (allow * seconds),
        "refused": refused / (refused + seen["requests"]),
        "repeats": seen["calls"] - calls,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--allow", type=int, default=500, help="requests in any second")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=16)
    chosen = parser.parse_args()
    table = Table("answers after", "delivery", "allowance used", "refused", "sent twice")
    for delay in (0, 5, 20):
        found = measure(chosen.allow, chosen.calls, chosen.concurrency, delay)
        table.add_row(
            f"{delay} ms",
            f"{found['seconds']:.1f} s",
            f"{found['used']:.1%}",
            f"{found['refused']:.2%}",
            str(found["repeats"]),
        )
    Console().print(f"{chosen.calls:,} requests to a server that takes {chosen.allow} in any second")
    Console().print(table)


if __name__ == "__main__":
    main()
