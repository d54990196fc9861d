"""Draw members over time, and below them the users who entered and left: the picture that needs no script.

uPlot draws the same over it. Membership changes at runs and not between them, so the line has steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from audience_sync.dashboard.charts.time_axis import time_ticks

#: As in the style sheet (px).
HEIGHT, BARS_HEIGHT = 240, 76
_TOP, _BOTTOM, _MARGIN = 20, 24, 0.06
#: The room of a glyph, in percent of a chart's usual width: a glyph that would cover another one moves to the right.
_GLYPH_ROOM = 1.6
_BAR = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartPoint:
    """The members after a run, or after the last run of a day; ``entered`` and ``left`` since the point before."""

    run: int
    at: datetime
    members: int
    entered: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartEvent:
    """An event in the chart. ``icon`` and ``hue`` name a symbol and a class of the style sheet."""

    run: int | None
    at: datetime
    icon: str
    hue: str
    word: str
    text: str


def members_svg(
    points: Sequence[ChartPoint], events: Sequence[ChartEvent], zone: ZoneInfo, *, is_fitted: bool = False
) -> Markup:
    """Draw both charts; empty for fewer than two points.

    ``is_fitted``: the axis begins near the least members, so that small changes are seen; then there is no area.
    """
    if len(points) < 2 or points[0].at == points[-1].at:
        return Markup("")
    return _area(points, events, zone, is_fitted=is_fitted) + _bars(points)


def chart_data(points: Sequence[ChartPoint], events: Sequence[ChartEvent]) -> dict[str, object]:
    """Return the same data for the script: columns, with times in seconds since 1970."""
    return {
        "t": [round(each.at.timestamp()) for each in points],
        "run": [each.run for each in points],
        "members": [each.members for each in points],
        "entered": [each.entered for each in points],
        "left": [-each.left for each in points],
        "events": [
            {"t": round(at.timestamp()), "icon": each.icon, "cls": each.hue}
            for at, each in _drawn_events(points, events)
        ],
    }


def _drawn_events(points: Sequence[ChartPoint], events: Sequence[ChartEvent]) -> list[tuple[datetime, ChartEvent]]:
    """The events within the chart and where they are drawn. The last one after the newest run is drawn at that run.

    Such a one is the hold of the newest run, which is stored a moment after the run started.
    """
    if not points:
        return []
    start, end = points[0].at, points[-1].at
    later = [(end, each) for each in events if each.at > end]
    return [*((each.at, each) for each in events if start <= each.at <= end), *later[-1:]]


def round_steps(high: int, low: int = 0) -> list[int]:
    """Return the values of about four lines of a scale from ``low`` to ``high``."""
    if high <= low:
        return [low]
    rough = (high - low) / 4
    magnitude = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(
        round(each * magnitude)
        for each in (1, 2, 2.5, 5, 10)
        if each * magnitude >= rough and each * magnitude % 1 == 0
    )
    return list(range(-(-low // step) * step, high + 1, step))


def _area(
    points: Sequence[ChartPoint], events: Sequence[ChartEvent], zone: ZoneInfo, *, is_fitted: bool = False
) -> Markup:
    start, end = points[0].at, points[-1].at
    least, most = min(each.members for each in points) if is_fitted else 0, max(each.members for each in points)
    margin = (most - least) * _MARGIN or 1.0
    low, high = max(least - margin, 0.0), most + margin

    def share(at: datetime) -> float:
        return (at - start) / (end - start)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    corners, last = list[tuple[float, float]](), None
    for each in points:
        x = share(each.at) * 1000
        if last is not None:
            corners.append((x, last))
        last = y(each.members)
        corners.append((x, last))
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    base = HEIGHT - _BOTTOM
    area = "" if is_fitted else f'<path class="fill" d="{line}L1000 {base}L0 {base}Z"/>'
    parts = [
        f'<svg class="area" width="100%" height="{HEIGHT}" aria-hidden="true" overflow="visible">'
        f'<svg width="100%" height="{HEIGHT}" viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">'
        f'{area}<path class="line" d="{line}"/></svg>'
    ]
    parts += [
        f'<line class="rule" x1="0" x2="100%" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="tick" x="4" y="{y(value) - 4:.1f}">{value:,}</text>'
        for value in round_steps(most, least)
    ]
    free = -math.inf
    for moment, event in _drawn_events(points, events):
        at = share(moment) * 100
        glyph = max(at, free)
        free = glyph + _GLYPH_ROOM
        parts.append(
            f'<line class="base" x1="{at:.2f}%" x2="{at:.2f}%" y1="16" y2="{base}" stroke-dasharray="3 3"/>'
            f'<svg x="{glyph:.2f}%" y="0" width="1" height="1" overflow="visible"><svg x="-6" y="0" width="13" '
            f'height="13" viewBox="0 0 16 16" class="glyph {event.hue}"><use href="#i-{event.icon}"/></svg></svg>'
        )
    parts += [
        f'<text class="tick" x="{share(tick.at) * 100:.2f}%" y="{HEIGHT - 6}">{tick.label}</text>'
        for tick in time_ticks(start, end, zone)
    ]
    return Markup("".join([*parts, "</svg>"]))


def _bars(points: Sequence[ChartPoint]) -> Markup:
    """Draw bars up for entered and down for left."""
    start, end = points[0].at, points[-1].at
    up, down = max(each.entered for each in points), max(each.left for each in points)
    if not up and not down:
        return Markup("")
    scale = (BARS_HEIGHT - 8) / (up + down)
    zero = 4 + up * scale
    parts = [
        f'<svg class="area low" width="100%" height="{BARS_HEIGHT}" aria-hidden="true">'
        f'<line class="base" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}"/>'
    ]
    for each in points:
        x = (each.at - start) / (end - start) * 99
        for count, kind, top in ((each.entered, "in", zero - each.entered * scale), (each.left, "out", zero)):
            if count:
                height = max(count * scale, 1)
                parts.append(
                    f'<rect class="k-{kind}" x="{x:.2f}%" y="{top:.1f}" width="{_BAR}" height="{height:.1f}"/>'
                )
    return Markup("".join([*parts, "</svg>"]))
