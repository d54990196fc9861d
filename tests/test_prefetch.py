"""Items are made ahead, in order, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from audience_sync.prefetch import in_order, prefetch


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


def test_several_results_are_made_at_a_time_and_come_in_order() -> None:
    both = threading.Barrier(2, timeout=10)

    def make(number: int) -> int:
        both.wait()
        return number

    assert list(in_order(make, range(10), threads=2)) == list(range(10))


def test_an_error_of_one_result_is_raised_after_all_before_it() -> None:
    def make(number: int) -> float:
        return 1 / (2 - number)

    found = in_order(make, range(5), threads=2)
    assert [next(found), next(found)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_results_that_are_not_used_leave_no_thread_running() -> None:
    before = threading.active_count()
    found = in_order(str, range(1000), threads=2)
    next(found)
    found.close()
    assert threading.active_count() == before
