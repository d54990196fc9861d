"""Install the last release, to be compared with the program under test."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Stands for the last release until there is one: the newest tag.
BEFORE_RELEASES = "3ee0fb6a63a4217a3f02b9cbdd14154efd193a5d"
EXTRAS = "otel,postgresql,remote"


def last_release() -> str:
    tags = _git("tag", "--list", "v*", "--sort=-version:refname", "--merged").split()
    return tags[0] if tags else BEFORE_RELEASES


def install(ref: str, folder: Path) -> Path:
    """Install the version of a Git ref below ``folder``, or find it there. Returns the Python of its environment."""
    commit = _git("rev-parse", f"{ref}^{{commit}}").strip()
    environment, source = folder / commit / "environment", folder / commit / "source"
    python = environment / "bin" / "python"
    done = folder / commit / "installed"
    if not done.exists():
        source.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-x"], cwd=source, check=True, input=archive)
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", "constraints.txt", f".[{EXTRAS}]"], cwd=source, check=True)
        shutil.rmtree(source)
        done.touch()
    return python


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout
