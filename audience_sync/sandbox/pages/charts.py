"""Draw the calls of each hour as stacked bars: SVG with attributes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from audience_sync.sandbox.pages.texts import BARS
from audience_sync.sandbox.values import Outcome
from audience_sync.text import pluralize

HEIGHT, TOP, FOOT = 96, 16, 18
#: The order of the kinds in a bar, from below.
KINDS = ("in", "act", "self", "bad")
#: A bar is cut, and has its number, if it is this many times higher than the next.
FAR = 2.5


def hours_chart(hours: Sequence[tuple[datetime, Mapping[Outcome, int]]], zone: ZoneInfo) -> Markup:
    """Return the bars of the last hours, the oldest left."""
    totals = sorted(sum(counts.values()) for _, counts in hours)
    highest, cut = totals[-1] or 1, 0
    if len(totals) > 2 and totals[-1] > FAR * totals[-2] > 0:
        highest, cut = int(totals[-2] * 1.25) or 1, totals[-1]
    base = HEIGHT - FOOT
    parts = [
        f'<svg width="100%" height="{HEIGHT}" aria-hidden="true" focusable="false">',
        f'<line class="base" x1="0" x2="100%" y1="{base}.5" y2="{base}.5"/>',
        f'<line class="rule" x1="0" x2="100%" y1="{TOP}.5" y2="{TOP}.5"/>',
        f'<text class="tick" x="0" y="{TOP - 5}">{highest:,}</text>',
    ]
    width = 100 / len(hours)
    for index, (hour, counts) in enumerate(hours):
        left = f'x="{index * width + width * 0.16:.2f}%" width="{width * 0.68:.2f}%"'
        local = hour.astimezone(zone)
        total = sum(counts.values())
        title = f"<title>{escape(local.strftime('%a %H:00'))}: {pluralize(total, 'call')}</title>"
        if cut and total == cut:
            parts.append(f'<rect class="k-in" {left} y="{TOP + 8}" height="{base - TOP - 8}">{title}</rect>')
            parts.append(f'<rect class="k-in" {left} y="{TOP}" height="5"/>')
            middle = min(max(index * width + width / 2, 6), 94)
            parts.append(f'<text class="tick" x="{middle:.2f}%" y="{TOP - 5}" text-anchor="middle">{cut:,}</text>')
        else:
            top = float(base)
            for kind in KINDS:
                calls = sum(number for outcome, number in counts.items() if BARS[outcome] == kind)
                if calls:
                    height = max(2.0, calls / highest * (base - TOP))
                    top -= height
                    parts.append(f'<rect class="k-{kind}" {left} y="{top:.1f}" height="{height:.1f}">{title}</rect>')
        if index % 6 == 0:
            parts.append(f'<text class="tick" x="{index * width:.2f}%" y="{HEIGHT - 4}">{local:%H:%M}</text>')
    return Markup("".join(parts) + "</svg>")
