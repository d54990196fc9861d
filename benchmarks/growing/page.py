"""Show growth: a table and a plot for each axis."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.environments import python_of
from benchmarks.growing.axes import Axis
from benchmarks.page import fact_lines, markdown
from benchmarks.results import Results

PLOT = Path(__file__).parents[1] / "peers" / "plot.py"


def page(results: Results, known: dict[str, Axis], pictures: str) -> Iterator[str]:
    """Parts of a Markdown page. ``pictures``: the folder of the plots, as the page refers to it."""
    yield "\n".join(f"- {fact}" for fact in fact_lines(results, known))
    for axis in known.values():
        if _sizes(results, axis):
            yield f"## {axis.title}"
            yield f"![CPU seconds by {axis.unit}]({pictures}/{axis.name}.svg)"
            yield markdown(*_table(results, axis), names=0)


def _sizes(results: Results, axis: Axis) -> list[int]:
    return [size for size in axis.points if any(results.values(axis.name, str(size), step) for step in axis.steps)]


def _table(results: Results, axis: Axis) -> tuple[list[str], list[list[str]]]:
    """CPU seconds of every step, and the peak memory of the greediest."""
    rows = []
    for size in _sizes(results, axis):
        cpu = [results.median(axis.name, str(size), step, "cpu") for step in axis.steps]
        memory = [results.median(axis.name, str(size), step, "memory") or 0 for step in axis.steps]
        seconds = ["" if each is None else f"{each:.2f}" for each in cpu]
        rows.append([f"{size:,}", *seconds, f"{max(memory) / 1_000_000:,.0f}"])
    return [axis.unit, *(f"{step}, s" for step in axis.steps), "peak MB"], rows


def draw(results: Results, known: dict[str, Axis], folder: Path, work: Path) -> None:
    """An SVG file for each axis, drawn by matplotlib in an environment of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for axis in known.values():
        sizes = _sizes(results, axis)
        if not sizes:
            continue
        lines = {step: [results.median(axis.name, str(size), step, "cpu") for size in sizes] for step in axis.steps}
        drawing = {"title": axis.title, "x": axis.unit, "y": "CPU seconds", "sizes": sizes, "lines": lines}
        target = folder / f"{axis.name}.svg"
        subprocess.run([python_of("plot", work), PLOT, target], input=json.dumps(drawing), text=True, check=True)
