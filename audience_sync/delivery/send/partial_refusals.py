"""Write the reason of a call that was sent without its refused properties."""

from __future__ import annotations

from collections.abc import Iterable


def partial_refusal_reason(reason: str, keys: Iterable[str]) -> str:
    return f"{reason.removesuffix('.')}. The rest was sent, without: {', '.join(sorted(keys))}"
