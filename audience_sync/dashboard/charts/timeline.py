"""Draw the stages of a run on one time axis: one picture a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

HEIGHT, AXIS_HEIGHT = 22, 18
#: Seconds between two ticks of a timeline.
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a row, in seconds from the start of the run. ``kind``: a class of the style sheet."""

    start: float
    end: float
    kind: str
    title: str


def axis(total: float) -> Markup:
    """The labels of the axis."""
    parts = [f'<svg width="100%" height="{AXIS_HEIGHT}" aria-hidden="true">']
    for tick in second_ticks(total):
        x = tick / total * 100 if total else 0.0
        anchor = "start" if x < 2 else "end" if x > 98 else "middle"
        parts.append(f'<text class="tick" x="{x:.2f}%" y="12" text-anchor="{anchor}">{tick_label(tick, total)}</text>')
    return Markup("".join([*parts, "</svg>"]))


def row(total: float, parts: Sequence[Part]) -> Markup:
    """One row. No part is thinner than 3 pixels."""
    found = [f'<svg width="100%" height="{HEIGHT}" aria-hidden="true">']
    for tick in second_ticks(total):
        x = tick / total * 100 if total else 0.0
        found.append(f'<line class="rule" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{HEIGHT}"/>')
    for part in parts:
        left = min(part.start / total * 100, 99.7) if total else 0.0
        width = max(min(part.end / total * 100, 100) - left, 0) if total else 0.0
        found += [
            f'<rect class="k-{part.kind}" x="{left:.2f}%" y="5" width="{size}" height="{HEIGHT - 10}">'
            f"<title>{escape(part.title)}</title></rect>"
            for size in ("3", f"{width:.2f}%")
        ]
    return Markup("".join([*found, "</svg>"]))


def second_ticks(total: float, most: int = 6) -> list[float]:
    """Round seconds from 0 to ``total``, at most ``most`` steps of equal length."""
    if total <= 0:
        return [0.0]
    step = next((each for each in _STEPS if total / each <= most), total / most)
    return [index * step for index in range(int(total / step + 1e-9) + 1)]


def tick_label(seconds: float, total: float) -> str:
    """``0``, ``0.5 s``, ``2 s``, ``3 min``, ``1.5 h``: in one unit for the whole scale."""
    if seconds == 0:
        return "0"
    if total < 180:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if total < 3 * 3600 else f"{seconds / 3600:g} h"
