"""Describe where, when and with what a case was measured, and how busy the machine was before."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.environments import PACKAGES

#: A machine with more load than this at the start is not quiet: the page says so.
QUIET = 0.5
#: Seconds to watch the machine for, before a case.
WATCHED = 3.0


def facts(program: Path) -> dict[str, Any]:
    """``load``: the system's average over a minute, when the command starts."""
    packages = sorted({package for name, names in PACKAGES.items() for package in names if name != "plot"})
    python = program.with_name("python")
    ask = "import duckdb, sqlite3, sqlalchemy as s; print(duckdb.__version__, sqlite3.sqlite_version, s.__version__)"
    duckdb, sqlite, sqlalchemy = _output([str(python), "-c", ask]).split()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _output(["git", "-C", str(Path(__file__).parent), "describe", "--always"]),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "ours": f"DuckDB {duckdb}, SQLite {sqlite}, SQLAlchemy {sqlalchemy}",
        "peers": ", ".join(package.replace("==", " ") for package in packages),
    }


def busy_processors() -> float:
    """How many processors other processes keep busy, watched for some seconds in which this one waits.

    A load average would still include the case before. Without ``/proc`` it has to do.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return os.getloadavg()[0]
    before = _processor_times(stat)
    time.sleep(WATCHED)
    after = _processor_times(stat)
    passed = [now - then for now, then in zip(after, before, strict=True)]
    idle = passed[3] + passed[4]
    return (1 - idle / sum(passed)) * (os.cpu_count() or 1)


def _processor_times(stat: Path) -> list[int]:
    """user, nice, system, idle, iowait and more, of all processors."""
    return [int(field) for field in stat.read_text().partition("\n")[0].split()[1:9]]


def machine() -> str:
    return f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB"


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
