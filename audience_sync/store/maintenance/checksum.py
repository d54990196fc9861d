"""Count rows, and compute a checksum of their values in any order: databases sort texts differently."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any


def count_and_checksum(rows: Iterable[Sequence[Any]]) -> tuple[int, int]:
    """The number of rows, and a number of 128 bits that depends on each value and on its column's position."""
    count, total = 0, 0
    for row in rows:
        digest = hashlib.blake2b(digest_size=16)
        for value in row:
            part = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
            digest.update(len(part).to_bytes(8, "big") + part)
        count, total = count + 1, (total + int.from_bytes(digest.digest(), "big")) % 2**128
    return count, total
