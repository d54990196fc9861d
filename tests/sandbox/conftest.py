"""Provide a project to the tests that run commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty folder."""
    return Project(tmp_path)
