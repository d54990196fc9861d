from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NewUrl

from .harness import Harness


@pytest.fixture
def harness(request: pytest.FixtureRequest, tmp_path: Path, new_url: NewUrl) -> Iterator[Harness]:
    """Its parameter: the kind of store, the bug that is planted into the command or None, and destination types."""
    database, bug, *types = request.param
    opened = Harness(tmp_path, lambda: new_url(database, with_schema=True), bug, *types)
    yield opened
    opened.close()
