"""Make the matrix of the users that audiences share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audience_sync.dashboard.overlap import Overlap
from audience_sync.web.formats import share


@dataclass(frozen=True, slots=True)
class OverlapCell:
    """A cell of the matrix. ``tint``: 0 to 5. ``count`` None: not counted."""

    count: int | None
    share: str
    tint: int
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """The row of an audience; the cell of the audience itself is None."""

    key: str
    members: int
    cells: Sequence[OverlapCell | None]


def overlap_rows(overlap: Overlap, key: str) -> list[OverlapRow]:
    """Make the matrix: this audience first, then the largest ones."""
    keys = sorted(overlap.sizes, key=lambda each: (each != key, -overlap.sizes[each], each))
    return [OverlapRow(one, overlap.sizes[one], [_cell(overlap, one, other) for other in keys]) for one in keys]


def _cell(overlap: Overlap, one: str, other: str) -> OverlapCell | None:
    if one == other:
        return None
    shared, size = overlap.between(one, other), overlap.sizes[one]
    if shared is None or not size:
        return OverlapCell(None, "–", 0, is_estimate=False)
    part = min(shared.count / size, 1.0)
    return OverlapCell(
        shared.count,
        share(min(shared.count, size), size),
        min(int(part * 10) + 1, 5) if shared.count else 0,
        shared.is_estimate,
    )
