from __future__ import annotations

from collections.abc import Iterator

import pytest

from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.workspace import Workspace

from .house import House


@pytest.fixture
def house(store: Store, workspace: Workspace) -> Iterator[House]:
    with acquire(store) as lease:
        yield House(store, workspace, lease)
