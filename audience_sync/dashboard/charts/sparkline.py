"""Draw a sparkline: one row of a table, with a scale of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 120, 24
_LEFT, _RIGHT, _TOP, _BOTTOM = 2, 6, 4, 4


def sparkline(values: Sequence[int | None], marks: Collection[int] = ()) -> Markup:
    """Draw a line over a soft area, with a dot at its end; empty if fewer than two values are not None.

    ``values``: evenly spaced, None where there is no number yet. ``marks``: the indexes at which a snapshot was held.
    """
    points = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(points) < 2:
        return Markup("")
    low, high = min(value for _, value in points), max(value for _, value in points)

    def x(index: int) -> float:
        return _LEFT + index * (WIDTH - _LEFT - _RIGHT) / (len(values) - 1)

    def y(value: int) -> float:
        if high == low:
            return HEIGHT / 2
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    line = "M" + "L".join(f"{x(index):.1f} {y(value):.1f}" for index, value in points)
    (first, _), (last, end) = points[0], points[-1]
    area = f"{line}L{x(last):.1f} {HEIGHT}L{x(first):.1f} {HEIGHT}Z"
    ticks = "".join(
        f'<rect class="k-act" x="{x(index) - 1:.1f}" y="{HEIGHT - 4}" width="2" height="4"/>' for index in sorted(marks)
    )
    return Markup(
        f'<svg class="spark" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<path class="fill" d="{area}"/><path class="line" d="{line}"/>{ticks}'
        f'<circle class="dot" cx="{x(last):.1f}" cy="{y(end):.1f}" r="2.2"/></svg>'
    )
