"""Where do the peers live? Each in a virtual environment of its own, made once, with pinned packages."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

#: Where data, environments and results stay, and whose program is measured, unless a benchmark is told otherwise.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "audience-sync-benchmarks"
PROGRAM = Path(sys.executable).with_name("audience-sync")

PACKAGES: dict[str, tuple[str, ...]] = {
    "receiver": ("httptools==0.9.0", "orjson==3.13.0"),
    "cron": ("pandas==3.1.1", "segment-analytics-python==2.4.0"),
    "drt": ("drt-core[duckdb]==1.2.1", "duckdb==2.0.0"),
    "dlt": ("dlt[duckdb]==1.31.0", "duckdb==2.0.0", "pyarrow==26.0.1", "requests==2.34.2"),
    "duckdb": ("duckdb==2.0.0",),
    "plot": ("matplotlib==3.11.2",),
}


def python_of(name: str, work: Path) -> Path:
    """The interpreter of a peer's environment; installing it is a matter of a minute, the first time."""
    folder = work / "environments" / name
    python = folder / "bin" / "python"
    done, wanted = folder / "packages.txt", "\n".join(PACKAGES[name])
    if not done.exists() or done.read_text() != wanted:
        print(f"installing {', '.join(PACKAGES[name])}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
        done.write_text(wanted)
    return python
