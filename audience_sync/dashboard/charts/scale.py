"""Choose the ticks of a scale: round numbers, few enough to be read."""

from __future__ import annotations

#: Seconds between two ticks of a timeline.
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)


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
