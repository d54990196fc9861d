"""Draw a lane of one user's page: the values of a property over time, or the requests to a destination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from audience_sync.dashboard.charts.time_axis import time_ticks

HEIGHT = 26
_MIDDLE = HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a lane shows."""

    start: datetime
    end: datetime

    def percent(self, at: datetime) -> float:
        length = (self.end - self.start).total_seconds() or 1.0
        return min(max((at - self.start).total_seconds() / length, 0.0), 1.0) * 100


@dataclass(frozen=True, slots=True)
class Band:
    """A membership over a time: ``value`` true or false. ``title`` is read by a pointer only."""

    start: datetime
    end: datetime
    value: bool
    title: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A request or a change. ``glyph``: the symbol of what was not accepted; empty for a dot."""

    at: datetime
    hue: str
    title: str
    glyph: str = ""


def axis_svg(span: Span, zone: ZoneInfo, end_label: str) -> Markup:
    """Draw the labels of the time axis; those that would touch the label of the end are left out."""
    parts = ['<svg width="100%" height="18" aria-hidden="true">']
    for tick in time_ticks(span.start, span.end, zone, 6):
        x = span.percent(tick.at)
        if x < 86:
            parts.append(
                f'<text class="tick" x="{x:.2f}%" y="12" text-anchor="{_anchor(x)}">{escape(tick.label)}</text>'
            )
    parts.append(f'<text class="tick" x="100%" y="12" text-anchor="end">{escape(end_label)}</text></svg>')
    return Markup("".join(parts))


def lane_svg(
    span: Span, zone: ZoneInfo, bands: Sequence[Band] = (), dots: Sequence[Dot] = (), *, line: datetime | None = None
) -> Markup:
    """Draw one lane. ``line``: since when a computed trait has had a value; its changes are ticks (``dots``)."""
    parts = [f'<svg width="100%" height="{HEIGHT}" aria-hidden="true">']
    marks = [span.percent(tick.at) for tick in time_ticks(span.start, span.end, zone, 6)]
    parts += [f'<line class="rule" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{HEIGHT}"/>' for x in marks]
    parts += [_band(span, each) for each in bands]
    if line is not None:
        parts.append(f'<line class="base" x1="{span.percent(line):.2f}%" x2="100%" y1="{_MIDDLE}" y2="{_MIDDLE}"/>')
    parts += [_dot(span, each, is_tick=line is not None) for each in dots]
    return Markup("".join([*parts, "</svg>"]))


def _anchor(x: float) -> str:
    return "start" if x < 4 else "middle"


def _band(span: Span, band: Band) -> str:
    left, right = span.percent(band.start), span.percent(band.end)
    title = f"<title>{escape(band.title)}</title>"
    if band.value:
        # A membership of minutes is 2 px wide at least.
        return "".join(
            f'<rect class="k-in" x="{left:.2f}%" y="{_MIDDLE - 6}" width="{width}" height="12">{title}</rect>'
            for width in ("2", f"{right - left:.2f}%")
        )
    return (
        f'<rect class="k-off" x="{left:.2f}%" y="{_MIDDLE - 6}" width="{right - left:.2f}%" height="12"/>'
        f'<line class="base" x1="{left:.2f}%" x2="{right:.2f}%" y1="{_MIDDLE}" y2="{_MIDDLE}">{title}</line>'
    )


def _dot(span: Span, dot: Dot, *, is_tick: bool) -> str:
    x, title = span.percent(dot.at), f"<title>{escape(dot.title)}</title>"
    if is_tick:
        return f'<rect class="k-out" x="{x:.2f}%" y="{_MIDDLE - 5}" width="3" height="10">{title}</rect>'
    if not dot.glyph:
        return f'<circle class="k-{dot.hue}" cx="{x:.2f}%" cy="{_MIDDLE}" r="4">{title}</circle>'
    return (
        f'<svg x="{x:.2f}%" y="0" width="1" height="{HEIGHT}" overflow="visible">'
        f'<svg x="-8" y="{_MIDDLE - 8}" width="16" height="16" viewBox="0 0 16 16" class="glyph {dot.hue}">'
        f'{title}<use href="#i-{dot.glyph}"/></svg></svg>'
    )
