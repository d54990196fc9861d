"""Measure what an installation brings: packages and bytes, without extras, next to drt-core with DuckDB."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.environments import PACKAGES, install
from benchmarks.measure import Measured
from benchmarks.results import Run
from benchmarks.rounds import Bench, home_of

ROOT = Path(__file__).resolve().parent.parent
#: What a virtual environment has by itself.
TOOLS = ("pip", "setuptools", "_distutils_hack", "pkg_resources", "distutils-precedence")


def play(case: Case, bench: Bench, number: int) -> Iterator[Run]:
    arguments = {"ours": ("-c", str(ROOT / "constraints.txt"), str(ROOT)), "drt": PACKAGES["drt"]}
    for who in case.contenders:
        with home_of(f"{case.name}-{who}", bench) as home:
            install(home / "environment", *arguments[who])
            yield who, "install", Measured(amounts=_weigh(home / "environment"))


def _weigh(environment: Path) -> dict[str, float]:
    """Packages, and bytes of their files, with the bytecode that pip writes."""
    (site,) = environment.glob("lib/python*/site-packages")
    installed = [entry for entry in site.iterdir() if not entry.name.startswith(TOOLS)]
    used = subprocess.run(["du", "-sck", *installed], capture_output=True, text=True, check=True)
    packages = sum(entry.name.endswith(".dist-info") for entry in installed)
    return {"packages": packages, "megabytes": int(used.stdout.splitlines()[-1].split()[0]) * 1024 / 1_000_000}
