"""Draw how an audience has grown over its last runs: members, entered and left under each other, and marked runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audience_sync.cli.base.layout import GAP, Screen, prose, width_of
from audience_sync.cli.views.sparkline import bars, buckets, marks, sparkline
from audience_sync.text import pluralize

Row = Mapping[str, Any]
#: Characters under the lines by the status of a run, and what they mean. Every terminal has them.
MARKS = {"held": "!", "failed": "x", "created": "+", "retired": "-"}
#: The fewest runs and columns that a drawing needs.
FEWEST, NARROWEST = 2, 8
_LABELS = ("members", "entered", "left", "marked")


def chart_lines(key: str, runs: Sequence[Row], screen: Screen) -> list[str]:
    """Draw the runs, the newest first in ``runs`` and at the right. Empty without a terminal, or for a single run.

    Members have a scale of their own, from the lowest to the highest; entered and left share one from 0. On its first
    creation all members enter: that is marked and not a bar. Neighbouring runs share a column if there are too many.
    """
    if screen.width is None or len(runs) < FEWEST:
        return []
    oldest_first = list(reversed(runs))
    members = [int(run["members_after"]) for run in oldest_first]
    low, high = min(members), max(members)
    entered = [0 if run["status"] == "created" else int(run["entered"]) for run in oldest_first]
    left = [int(run["left"]) for run in oldest_first]
    scales = (_range(low, high), _sum(entered), _sum(left), "")
    start = max(map(len, _LABELS)) + len(GAP)
    room = screen.width - start - len(GAP) - max(map(width_of, scales))
    if room < NARROWEST:
        return []
    groups = list(buckets(oldest_first, room))
    moved = [[sum(each) for each in buckets(counts, room)] for counts in (entered, left)]
    most = max(1, *moved[0], *moved[1])
    drawn = (
        sparkline([group[-1]["members_after"] for group in groups], low=low, high=high, blocks=screen.blocks),
        *(bars(counts, high=most, blocks=screen.blocks) for counts in moved),
        marks(groups, lambda run: MARKS.get(run["status"], "")),
    )
    styles = ("cyan", "green", "yellow", "red")
    lines = [_headline(key, oldest_first, members, screen), [""]]
    for label, line, style, scale in zip(_LABELS, drawn, styles, scales, strict=True):
        if line.strip():
            lines.append([f"{label:<{start}}{screen.styled(line, style)}{GAP}{scale}".rstrip()])
    return [*(line for part in lines for line in part), *_axis(oldest_first, len(groups), start, screen), ""]


def _headline(key: str, runs: Sequence[Row], members: Sequence[int], screen: Screen) -> list[str]:
    change = members[-1] - members[0]
    grown = "no change" if not change else f"{change:+,}".replace("-", "−" if screen.blocks else "-")
    text = f"{key}: {pluralize(members[-1], 'member')}, {grown} since run {runs[0]['run']}."
    return prose(text, screen)


def _range(low: int, high: int) -> str:
    return f"{low:,} to {high:,}" if low < high else f"{low:,}"


def _sum(counts: Sequence[int]) -> str:
    return f"{sum(counts):,} in all"


def _legend(runs: Sequence[Row]) -> str:
    found = {run["status"] for run in runs}
    return ", ".join(f"{mark} {status}" for status, mark in MARKS.items() if status in found)


def _axis(runs: Sequence[Row], columns: int, start: int, screen: Screen) -> list[str]:
    """The first and the last run under the ends of the lines, and what the marks and the columns mean."""
    first, last, indent = f"run {runs[0]['run']}", f"run {runs[-1]['run']}", " " * start
    space = columns - len(first) - len(last)
    ends = f"{first}{' ' * space}{last}" if space > 0 else f"{first} to {last.removeprefix('run ')}"
    shared = -(-len(runs) // columns)
    notes = [_legend(runs), f"{shared} runs a character" if shared > 1 else ""]
    text = "; ".join(filter(None, notes))
    return [f"{indent}{ends}", *(prose(text, screen, indent=indent) if text else [])]
