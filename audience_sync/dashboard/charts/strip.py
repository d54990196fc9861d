"""Draw runs as a strip of bars: the height is the time a run took, the colour what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

HEIGHT, NARROW = 84, 20
#: Pixels of a strip at least, by screen, and of a character of a label.
_WIDTHS, _CHARACTER = {"wide": 590, "narrow": 320}, 7
#: Bars of a strip at least: few runs are not drawn as blocks.
_LEAST_BARS = 16
_TOP, _FOOT, _LEAST = 18, 18, 3
#: The part of its place that a bar fills, and the height of a bar whose length is not known.
_FILL, _UNKNOWN = 0.68, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One run. ``kind``: ``ok``, ``act``, ``bad``, ``self``; ``none`` = interrupted. ``seconds``: None = not known.

    ``is_capped``: something small is amiss (some calls refused), and all else was done.
    """

    at: datetime
    seconds: float | None
    kind: str
    href: str
    title: str
    glyph: str = ""
    is_capped: bool = False


def kind_of(status: str, *, refused: int | None = 0, pending: int | None = 0) -> tuple[str, str, bool]:
    """The kind, the glyph and the cap of a run with this status and these calls."""
    match status:
        case "failed":
            return "bad", "failed", False
        case "held":
            return "act", "held", False
        case "interrupted":
            return "none", "interrupted", False
        case "running":
            return "self", "running", False
        case "partial" if pending:
            return "self", "pending", False
        case "partial":
            return "ok", "refused" if refused else "partial", True
        case _:
            return "ok", "", False


def strip(bars: Sequence[Bar], zone: ZoneInfo) -> Markup:
    """The strip, once for a wide screen and once, with the newest runs, for a narrow one. The oldest is left."""
    if not bars:
        return Markup("")
    return _drawn(bars, zone, "wide") + _drawn(bars[-NARROW:], zone, "narrow")


def _drawn(bars: Sequence[Bar], zone: ZoneInfo, screen: str) -> Markup:
    longest = max((each.seconds or 0.0) for each in bars) or 1.0
    width, base = 100 / max(len(bars), _LEAST_BARS), HEIGHT - _FOOT
    parts = [
        f'<svg class="strip {screen}" width="100%" height="{HEIGHT}" aria-hidden="true" focusable="false">'
        f'<line class="base" x1="0" x2="100%" y1="{base}.5" y2="{base}.5"/>'
    ]
    labels = _labels(bars, zone, _WIDTHS[screen] * width / 100)
    for index, bar in enumerate(bars):
        known = bar.seconds is not None
        seconds = longest * _UNKNOWN if bar.seconds is None else bar.seconds
        height = max(_LEAST, seconds / longest * (base - _TOP))
        left, top = index * width + width * (1 - _FILL) / 2, base - height
        kind = bar.kind if known else "none"
        drawn = _rect(kind, left, top, width * _FILL, height)
        if bar.is_capped:
            drawn += _rect("act", left, top, width * _FILL, min(4.0, height))
        if bar.glyph:
            hue = "act" if bar.is_capped else {"none": "self"}.get(bar.kind, bar.kind)
            drawn += (
                f'<svg x="{index * width + width / 2:.3f}%" y="{top - 15:.1f}" overflow="visible" width="1" height="1">'
                f'<svg x="-6" y="0" width="12" height="12" viewBox="0 0 16 16" class="glyph {hue}">'
                f'<use href="#i-{escape(bar.glyph)}"/></svg></svg>'
            )
        parts.append(
            f'<a href="{escape(bar.href)}" tabindex="-1"><title>{escape(bar.title)}</title>'
            f'<rect class="hit" x="{index * width:.3f}%" y="0" width="{width:.3f}%" height="{base}"/>{drawn}</a>'
        )
        if index in labels:
            at_end = left > 85
            x, anchor = (left + width * _FILL, ' text-anchor="end"') if at_end else (left, "")
            parts.append(f'<text class="tick" x="{x:.3f}%" y="{HEIGHT - 4}"{anchor}>{escape(labels[index])}</text>')
    return Markup("".join([*parts, "</svg>"]))


def _rect(kind: str, left: float, top: float, width: float, height: float) -> str:
    return f'<rect class="k-{kind}" x="{left:.3f}%" y="{top:.1f}" width="{width:.3f}%" height="{height:.1f}"/>'


def _labels(bars: Sequence[Bar], zone: ZoneInfo, width: float) -> dict[int, str]:
    """A label at the first run of each week; of each day or hour where the runs are of one week or day.

    They are so few that none touches another. ``width``: pixels of a bar's place.
    """
    local = [each.at.astimezone(zone) for each in bars]
    span = local[-1] - local[0]
    if span.total_seconds() < 26 * 3600:
        keys = [f"{each:%H}:00" for each in local]
    elif span.days < 8:
        keys = [f"{each:%a} {each.day} {each:%b}" for each in local]
    else:
        keys = [f"{each.isocalendar().year}-{each.isocalendar().week}" for each in local]
    first = [index for index in range(1, len(bars)) if keys[index] != keys[index - 1]]
    room = max(2, len(bars) // 8, ceil(_CHARACTER * max(map(len, keys)) / width))
    found, last = dict[int, str](), -room
    for index in first:
        if index - last >= room:
            day = local[index]
            found[index] = keys[index] if span.days < 8 else f"{day.day} {day:%b}"
            last = index
    return found
