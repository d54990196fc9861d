"""A run that is interrupted in the middle of a query is interrupted, not failed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from audience_sync.workspace import Workspace


@pytest.fixture
def heeded() -> Iterator[None]:
    """An alarm is what Ctrl-C is."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("heeded")
def test_a_signal_in_the_middle_of_a_query_is_no_error_of_the_query() -> None:
    with Workspace(768_000_000) as workspace:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            workspace.all("select count(distinct hash(range)) from range(30000000)")
