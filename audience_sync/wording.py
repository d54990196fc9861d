"""How are numbers of things said to people?"""

from __future__ import annotations


def plural(count: int, thing: str) -> str:
    """``1 call``, ``1,234 calls``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
