"""Say of a refused call that it was sent without some of its properties, in words that can be read back.

The store keeps one reason for each call that was not accepted; which properties it is about follows from its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_END = re.compile(r"\. The rest was sent, without: ([^\s,]+(?:, [^\s,]+)*)\Z")


def partly(reason: str, keys: Iterable[str]) -> str:
    """The reason of a call that was sent without these properties."""
    return f"{reason.removesuffix('.')}. The rest was sent, without: {', '.join(sorted(keys))}"


def left_out(reason: str | None) -> frozenset[str]:
    """The properties that the call was sent without; none where all of it was refused."""
    found = _END.search(reason or "")
    return frozenset(found[1].split(", ")) if found else frozenset()
