"""How are calls made while others are sent and answered? One step ahead, in a thread."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def prefetch(items: Iterator[T]) -> Generator[T]:
    """The same items; while one is worked on the next one is made. What making raises is raised in its turn."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as maker:
        coming = maker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = maker.submit(next, items, _END)
            yield cast(T, item)
