"""Say to people of a refused call that it was sent without some of its properties."""

from __future__ import annotations

from collections.abc import Iterable


def partial_refusal_reason(reason: str, keys: Iterable[str]) -> str:
    """The reason of a call that was sent without these properties."""
    return f"{reason.removesuffix('.')}. The rest was sent, without: {', '.join(sorted(keys))}"
