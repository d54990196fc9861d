"""Time the pages of the dashboard on a store that `views.py` has built: the first visit after a start, and the second.

    python benchmarks/growing/pages.py sqlite:////tmp/years.db
    python benchmarks/growing/pages.py postgresql://user@host/years --rounds 3

Each page is the first of a server of its own. Wall: until the last byte is read. CPU: of the server and of the
processes that it started for the page, in user and system time; the database's server is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

AUDIENCES, DESTINATIONS = 100, 4
COUNT = "select audience_key, count(*) from audience_members where audience_key = 'audience_2' group by 1"
#: The pages, with `{run}` for the newest run.
PAGES: Mapping[str, str] = {
    "home": "/",
    "audiences": "/audiences",
    "audience, the largest": "/audiences/audience_1",
    "audience, all its years": "/audiences/audience_2?range=all",
    "runs": "/runs",
    "runs that were held": "/runs?status=held",
    "runs of an audience": "/runs?audience=audience_7",
    "run": "/runs/{run}",
    "user": "/users?id=C-10007919",
    "destinations, 24 hours": "/destinations?range=24h",
    "destinations, 7 days": "/destinations",
    "destinations, 30 days": "/destinations?range=30d",
    "query, not run": "/query",
    "query, a count": f"/query?sql={quote(COUNT)}",
}


def write_config(folder: Path, store: str) -> None:
    """The config of the store that `views.py` builds. It names the audiences, of which no source is ever read."""
    named = [f"audience_{number}" for number in range(1, AUDIENCES + 1)]
    config = {
        "store": store,
        "sources": {"shop": {"files": "."}},
        "audiences": [{"name": each, "source": "shop", "file": f"{each}.csv"} for each in named],
        "destinations": {
            f"destination_{number}": {"type": "segment", "write_key": "none"} for number in range(1, DESTINATIONS + 1)
        },
        "schedule": {"every": "15m"},
    }
    (folder / "config.yaml").write_text(json.dumps(config))


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, str]]:
    """A dashboard of the folder's config: its process and its address."""
    command = [sys.executable, "-m", "audience_sync", "dashboard", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"http://\S+", line)
            if found is None:
                raise SystemExit(line + process.stderr.read())
            yield process.pid, found[0].rstrip("/")
        finally:
            process.terminate()


def cpu_seconds(process: int) -> float:
    """The CPU time of a process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def visit(address: str, process: int) -> tuple[float, float]:
    """Seconds of wall and of CPU of one page."""
    cpu, started = cpu_seconds(process), time.perf_counter()
    with urllib.request.urlopen(address, timeout=120) as answer:
        answer.read()
    return time.perf_counter() - started, cpu_seconds(process) - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="the URL of a store that views.py has built")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="pages whose name contains this")
    chosen = parser.parse_args()
    print("| page | first visit, wall ms | CPU ms | second visit, wall ms | CPU ms |\n| --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_config(folder, chosen.store)
        newest = f"/query?format=json&sql={quote('select max(run) as run from sync_runs')}"
        with served(folder) as (_, address), urllib.request.urlopen(address + newest) as answer:
            run = json.loads(answer.read())[0]["run"]
        for page, path in PAGES.items():
            if chosen.only not in page:
                continue
            visits = []
            for _ in range(chosen.rounds):
                with served(folder) as (process, address):
                    visits.append([visit(address + path.format(run=run), process) for _ in range(2)])
            medians = [statistics.median(each[number][kind] for each in visits) for number in (0, 1) for kind in (0, 1)]
            print(f"| {page} | {' | '.join(f'{seconds * 1000:,.0f}' for seconds in medians)} |", flush=True)


if __name__ == "__main__":
    main()
