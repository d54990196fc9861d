"""Where and with what was it measured?"""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environments import PACKAGES


def facts(program: Path) -> dict[str, str]:
    packages = sorted({package for name, names in PACKAGES.items() for package in names if name != "plot"})
    python = program.with_name("python")
    ask = "import duckdb, sqlite3, sqlalchemy as s; print(duckdb.__version__, sqlite3.sqlite_version, s.__version__)"
    duckdb, sqlite, sqlalchemy = _say([str(python), "-c", ask]).split()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _say(["git", "-C", str(Path(__file__).parent), "describe", "--always"]),
        "machine": machine(),
        "load before the start": f"{os.getloadavg()[0]:.1f} processes",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "ours": f"DuckDB {duckdb}, SQLite {sqlite}, SQLAlchemy {sqlalchemy}",
        "peers": ", ".join(package.replace("==", " ") for package in packages),
    }


def machine() -> str:
    return f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB"


def _say(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
