"""A harness with a receiver for each protocol, for the tests of what becomes of calls that meet a fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .harness import PROTOCOLS, FaultHarness, servers, short_pauses

NewHarness = Callable[..., FaultHarness]


@pytest.fixture
def new_harness(tmp_path: Path, sqlite_schema: Path) -> Iterator[NewHarness]:
    """``new_harness("segment")``: an audience `vip` of ada, bob, cyd and dan, and nothing is sent yet."""
    with ExitStack() as stack:
        stack.enter_context(short_pauses())

        def made(*protocols: str) -> FaultHarness:
            harness = FaultHarness(tmp_path, stack.enter_context(servers(*protocols)))
            shutil.copy(sqlite_schema, harness.store)
            harness.write_members("vip.csv", "ada", "bob", "cyd", "dan")
            return harness

        yield made


@pytest.fixture
def harness(new_harness: NewHarness) -> FaultHarness:
    """With all protocols."""
    return new_harness(*PROTOCOLS)
