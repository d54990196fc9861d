"""Measure a command: wall time, CPU and peak memory of the whole process, as the kernel counted them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: An answer in numbers is shorter (bytes).
LONGEST_ANSWER = 1_000_000
#: Variables that would make every process compile all its modules again.
NOT_INHERITED = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of a command.

    ``cpu`` is user and system time in seconds, of its children too. ``answer`` is what the command itself prints, as
    JSON on stdout: ``seconds`` without the start of the process, and ``delivery``, a part of these. ``amounts``: what
    only some cases count.
    """

    wall: float = 0
    cpu: float = 0
    memory: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    calls: int | None = None
    lost: int | None = None
    amounts: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    command: Sequence[str], folder: Path, environment: dict[str, str] | None = None, stdout: str = "stdout"
) -> Measured:
    """Run it to its end, with its output in files of the folder. Raises RuntimeError if it fails, with its output.

    The kernel counts a parent's memory as a child's until the child has started its own program, so the parent must
    stay small: data are made and answers counted in other processes.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    output, errors = folder / stdout, folder / "stderr"
    with output.open("wb") as out, errors.open("wb") as error:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=error, env={**inherited, **(environment or {})}
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        printed = (errors.read_text() + output.read_text())[-3_000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {printed}")
    cpu = used.ru_utime + used.ru_stime
    return Measured(wall=wall, cpu=cpu, memory=used.ru_maxrss * 1024, answer=_answer(output))


def _answer(output: Path) -> dict[str, Any]:
    """The JSON document that a command printed, reduced to its numbers; empty if it printed something else."""
    if output.stat().st_size > LONGEST_ANSWER:  # a list; reading it would make this process large
        return {}
    try:
        document = json.loads(output.read_text())
    except ValueError:
        return {}
    numbers = {key: value for key, value in document.items() if isinstance(value, int | float)}
    for destination in document.get("destinations", ()):
        numbers["delivery"] = destination["seconds"]
    return numbers


@dataclass(frozen=True)
class Summary:
    """Median and spread (greatest less smallest) of several rounds."""

    median: float
    spread: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        return cls(statistics.median(values), max(values) - min(values))
