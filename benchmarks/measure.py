"""What did a command cost? Wall time, CPU and peak memory of the whole process, as the kernel counted them."""

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

#: Bytes that an answer in numbers may have.
LONGEST_ANSWER = 1_000_000


@dataclass(frozen=True)
class Measured:
    """One run of a command.

    ``cpu`` is user and system time in seconds, of its children too; ``answer`` is what the command itself says, as JSON
    on stdout: ``seconds`` without the start of the process, ``delivery`` of these.
    """

    wall: float
    cpu: float
    memory: int
    answer: dict[str, Any] = field(default_factory=dict)
    calls: int | None = None
    lost: int | None = None
    store_bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> Measured:
    """Run it to its end; a command that fails stops the benchmark, with what it said.

    The kernel takes a parent's memory for a child's until the child has started its own program, so whoever measures
    must stay small itself: data are made and answers counted in other processes.
    """
    output, errors = folder / "stdout", folder / "stderr"
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=stdout, stderr=stderr, env={**os.environ, **(environment or {})}
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (errors.read_text() + output.read_text())[-3_000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said}")
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, _answer(output))


def _answer(output: Path) -> dict[str, Any]:
    """The JSON document a command printed, reduced to its numbers; nothing where it printed something else."""
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
