"""Items are made one step ahead, in order, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from audience_sync.delivery.send.calls import prefetch


def test_items_keep_their_order() -> None:
    assert list(prefetch(iter(range(1000)))) == list(range(1000))


def test_no_items_stay_no_items() -> None:
    assert list(prefetch(iter([]))) == []


def test_the_next_item_is_made_while_the_current_one_is_used() -> None:
    made = [threading.Event() for _ in range(2)]

    def making() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    items = prefetch(making())
    assert next(items) == 0
    assert made[1].wait(10)


def test_an_error_is_raised_after_all_items_before_it() -> None:
    def making() -> Iterator[int]:
        yield 1
        raise ValueError("the second one")

    items = prefetch(making())
    assert next(items) == 1
    with pytest.raises(ValueError, match="the second one"):
        next(items)


def test_an_early_stop_leaves_no_thread_running() -> None:
    before = threading.active_count()
    items = prefetch(iter(range(1000)))
    next(items)
    items.close()
    assert threading.active_count() == before
