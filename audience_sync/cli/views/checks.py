"""Lay out checks: one line each, marked ``ok`` or ``FAILED``, its text wrapped at its own indent."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.cli.base.layout import Screen, prose

#: Whether the check passed, the part, and the result.
CheckRow = tuple[bool, str, str]


def check_rows(marks: Sequence[CheckRow], screen: Screen) -> list[str]:
    width, lines = max((len(part) for _, part, _ in marks), default=0), list[str]()
    for good, part, text in marks:
        mark = "ok" if good else "FAILED"
        start = f"{mark:<6}  {part:<{width}}  "
        first, *others = prose(" ".join(text.split()), screen, indent=start, hanging=" " * len(start))
        lines += [screen.coloured(first, mark), *others]
    return lines
