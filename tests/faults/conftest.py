"""A world with a receiver for each protocol, for the tests of what becomes of calls that meet a fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .world import PROTOCOLS, World, servers, short_pauses

NewWorld = Callable[..., World]


@pytest.fixture
def new_world(tmp_path: Path, sqlite_schema: Path) -> Iterator[NewWorld]:
    """``new_world("segment")``: an audience `vip` of ada, bob, cyd and dan, and nothing is told yet."""
    with ExitStack() as stack:
        stack.enter_context(short_pauses())

        def made(*protocols: str) -> World:
            world = World(tmp_path, stack.enter_context(servers(*protocols)))
            shutil.copy(sqlite_schema, world.store)
            world.write_members("vip.csv", "ada", "bob", "cyd", "dan")
            return world

        yield made


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """With all protocols."""
    return new_world(*PROTOCOLS)
