"""Build the next calls in a thread while the current ones are sent."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def prefetch(items: Iterator[T]) -> Generator[T]:
    """Yield the same items; the next one is made in a thread meanwhile. Its error is raised in its turn."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        coming = maker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = maker.submit(next, items, _END)
            yield cast(T, item)
