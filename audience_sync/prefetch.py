"""Make the next items in threads while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")
Made = TypeVar("Made")

_THREAD_NAME = "ahead"
_END = object()


def prefetch(items: Iterator[Item]) -> Generator[Item]:
    """Yield the same items; the next one is made in a thread meanwhile. Its error is raised in its turn."""
    with ThreadPoolExecutor(1, thread_name_prefix=_THREAD_NAME) as maker:
        coming = maker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = maker.submit(next, items, _END)
            yield cast(Item, item)


def in_order(make: Callable[[Item], Made], items: Iterable[Item], threads: int) -> Generator[Made]:
    """Yield what is made of each item, in order. So many are made at a time, each in a thread of its own.

    An error is raised in its turn.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix=_THREAD_NAME) as makers:
        coming = deque[Future[Made]]()
        for item in items:
            coming.append(makers.submit(make, item))
            if len(coming) == threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
