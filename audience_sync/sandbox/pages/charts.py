"""Draw the calls of each hour as stacked bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from audience_sync.sandbox.pages.texts import BARS
from audience_sync.sandbox.values import Outcome
from audience_sync.text import pluralize
from audience_sync.web.bars import Column, bars

HEIGHT = 96
#: Hours from one label to the next.
LABELED = 6


def hours_chart(hours: Sequence[tuple[datetime, Mapping[Outcome, int]]], zone: ZoneInfo) -> Markup:
    """Return the bars of the last hours, the oldest left."""
    columns = []
    for index, (hour, counts) in enumerate(hours):
        local = hour.astimezone(zone)
        title = f"{local:%a %H:00}: {pluralize(sum(counts.values()), 'call')}"
        parts = [(counts[outcome], kind) for outcome, kind in BARS.items() if outcome in counts]
        columns.append(Column(parts, title, "" if index % LABELED else f"{local:%H:%M}"))
    return bars(columns, height=HEIGHT)
