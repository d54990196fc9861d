"""Provide a project to the tests that run commands, and the file of a sandbox to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Project

from audience_sync.sandbox.state.state import State


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty folder."""
    return Project(tmp_path)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "sandbox.db")
    yield opened
    opened.close()
