"""Install each peer, with pinned packages, into a virtual environment of its own that stays."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

#: Where data, environments and results stay, and the program that is measured, unless an option names others.
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
_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
_PACKAGE = "import audience_sync; print(audience_sync.__path__[0])"


def python_of(name: str, work: Path) -> Path:
    """The interpreter of a peer's environment. Installing it needs a minute, the first time."""
    folder = work / "environments" / name
    python = folder / "bin" / "python"
    done, wanted = folder / "packages.txt", "\n".join(PACKAGES[name])
    if not done.exists() or done.read_text() != wanted:
        install(folder, *PACKAGES[name])
        done.write_text(wanted)
    return python


def install(folder: Path, *arguments: str) -> None:
    """Make a new virtual environment there, with these arguments of ``pip install``, and its bytecode."""
    print(f"installing {', '.join(arguments)}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)
    _compile(python, _SITE)


def write_bytecode(program: Path) -> None:
    """Compile the program and its packages, so that no measurement includes that."""
    python = program.with_name("python")
    _compile(python, _SITE)
    _compile(python, _PACKAGE)


def _compile(python: Path, code: str) -> None:
    """Compile the folder that this code prints. Files that are no valid Python (a few templates) are skipped."""
    folder = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run([python, "-m", "compileall", "-qq", folder], check=False)
