"""A project whose store is on either database, and a receiver that holds its answers back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Project
from conftest import NewUrl

from .interception import HoldingReceiver, a_project


@pytest.fixture
def url(database: str, new_url: NewUrl) -> str:
    """An empty store with its schema, once on each database."""
    return new_url(database, with_schema=True)


@pytest.fixture
def project(tmp_path: Path, url: str) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return a_project(folder, url)


@pytest.fixture
def receiver() -> Iterator[HoldingReceiver]:
    with HoldingReceiver() as running:
        yield running
        running.release.set()
