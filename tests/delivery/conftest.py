from __future__ import annotations

from collections.abc import Iterator

import pytest

from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import acquire
from audience_sync.workspace import Workspace

from .harness import DeliveryHarness


@pytest.fixture
def harness(store: Store, workspace: Workspace) -> Iterator[DeliveryHarness]:
    with acquire(store) as lease:
        yield DeliveryHarness(store, workspace, lease)
