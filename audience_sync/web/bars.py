"""Draw counts over time as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_FILL = 0.68


@dataclass(frozen=True, slots=True)
class Column:
    """One bar: its parts from below as counts and kinds, what a pointer reads, and a label under it."""

    parts: Sequence[tuple[int, str]]
    title: str
    label: str = ""

    @property
    def total(self) -> int:
        return sum(count for count, _ in self.parts)


def bars(columns: Sequence[Column], *, height: int = 72) -> Markup:
    """The bars, with the number of the highest one. A bar far above the others is cut and shows its own number."""
    if not columns:
        return Markup("")
    totals = sorted(each.total for each in columns)
    cut = totals[-1] if len(totals) > 8 and totals[-1] > 2.5 * totals[-2] > 0 else None
    high = round(totals[-2] * 1.25) if cut else totals[-1] or 1
    base, width = height - 18, 100 / max(len(columns), 8)
    found = [
        f'<svg width="100%" height="{height}" aria-hidden="true"><line class="base" x1="0" x2="100%" y1="{base}.5" '
        f'y2="{base}.5"/><line class="rule" x1="0" x2="100%" y1="14.5" y2="14.5"/>'
        f'<text class="tick" x="100%" y="10" text-anchor="end">{high:,}</text>'
    ]
    free = 0.0
    for index, column in enumerate(columns):
        left = index * width + width * (1 - _FILL) / 2
        place = _Place(left, width, column.title)
        found.append(_cut(column, place, base) if column.total == cut else _stack(column, place, base, high))
        if column.label and index >= free:
            at_end = left > 85
            x, anchor = (left + width * _FILL, ' text-anchor="end"') if at_end else (left, "")
            found.append(f'<text class="tick" x="{x:.3f}%" y="{height - 4}"{anchor}>{escape(column.label)}</text>')
            free = index + 7 / width  # a label needs about 7% of the width
    return Markup("".join([*found, "</svg>"]))


def _stack(column: Column, place: _Place, base: int, high: int) -> str:
    top, found = float(base), list[str]()
    for count, kind in column.parts:
        if count:
            tall = max(2.0, count / high * (base - 14))
            top -= tall
            found.append(place.rect(kind, top, tall))
    return "".join(found)


def _cut(column: Column, place: _Place, base: int) -> str:
    kind, middle = max(column.parts)[1], place.left + place.width * _FILL / 2
    return (
        place.rect(kind, 22, base - 22)
        + place.rect(kind, 14, 5)
        + f'<text class="tick" x="{middle:.3f}%" y="10" text-anchor="middle">{column.total:,}</text>'
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a bar stands, in percent of the width, and its title."""

    left: float
    width: float
    title: str

    def rect(self, kind: str, top: float, tall: float) -> str:
        return (
            f'<rect class="k-{kind}" x="{self.left:.3f}%" y="{top:.1f}" width="{self.width * _FILL:.3f}%" '
            f'height="{tall:.1f}"><title>{escape(self.title)}</title></rect>'
        )


def small_bars(counts: Sequence[int], kind: str, titles: Sequence[str]) -> Markup:
    """Bars of a table's cell, 120 by 24, on a scale of their own."""
    high, width = max(counts, default=0) or 1, 120 / max(len(counts), 1)
    found = ['<svg class="spark" width="120" height="24" viewBox="0 0 120 24" aria-hidden="true">']
    found.append('<line class="base" x1="0" x2="120" y1="23.5" y2="23.5"/>')
    for index, (count, title) in enumerate(zip(counts, titles, strict=True)):
        if count:
            tall = max(2.0, count / high * 20)
            found.append(
                f'<rect class="k-{kind}" x="{index * width:.2f}" y="{23 - tall:.1f}" '
                f'width="{max(width * 0.75, 1):.2f}" height="{tall:.1f}"><title>{escape(title)}</title></rect>'
            )
    return Markup("".join([*found, "</svg>"]))
