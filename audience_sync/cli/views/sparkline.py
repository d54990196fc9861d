"""Draw numbers as one line of characters: blocks of eight heights, or characters of ASCII."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-:=+*#"


def sparkline(values: Sequence[float], *, low: float, high: float, blocks: bool) -> str:
    """Draw values between ``low`` and ``high``, one character each; if both are equal, in the middle."""
    heights = BLOCKS if blocks else ASCII
    span, top = high - low, len(heights) - 1
    middle = top // 2
    return "".join(heights[middle if span <= 0 else round((each - low) / span * top)] for each in values)


def bars(values: Sequence[int], *, high: int, blocks: bool) -> str:
    """Draw counts from 0 to ``high``: 0 is a space, every other count at least the lowest bar."""
    heights = BLOCKS if blocks else ASCII
    top = len(heights) - 1
    return "".join(" " if not each else heights[round(max(each - 1, 0) / max(high - 1, 1) * top)] for each in values)


def buckets(items: Sequence[T], width: int) -> Iterator[Sequence[T]]:
    """Divide items into at most ``width`` groups of neighbours, as equal as possible; one item a group if they fit."""
    count = min(len(items), width)
    for number in range(count):
        yield items[number * len(items) // count : (number + 1) * len(items) // count]


def marks(groups: Sequence[Sequence[T]], mark_of: Callable[[T], str]) -> str:
    """One character a group: the first mark of its items, or a space."""
    return "".join(next(filter(None, map(mark_of, group)), " ") for group in groups)
