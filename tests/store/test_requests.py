"""A request with an idempotency key leads to one run, which is found again for a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, insert

from audience_sync.model import RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.requests import (
    StoredRequest,
    find_request,
    forget_request,
    keep_request,
    record_run,
    run_of_process,
)
from audience_sync.store.tables import runs

SIX = datetime(2026, 11, 30, 6, tzinfo=UTC)
ME = "process 8 on shop (boot/1)"


def begin(connection: Connection, holder: str) -> RunId:
    row = {"command": "sync", "status": "running", "holder": holder, "version": "1", "started_at": SIX}
    key = connection.execute(insert(runs).values(row)).inserted_primary_key
    assert key is not None
    return RunId(key[0])


@pytest.fixture
def kept(store: Store) -> Store:
    with store.writing() as connection:
        keep_request(connection, "build-7", "a hash", ME, SIX)
    return store


def test_its_run_is_found_before_and_after_it_is_recorded(kept: Store) -> None:
    with kept.writing() as connection:
        assert find_request(connection, "build-7") == StoredRequest("a hash", ME, None)
        begin(connection, "process 9 on shop (boot/2)")
        mine = begin(connection, ME)
        assert find_request(connection, "build-7") == StoredRequest("a hash", ME, mine)
        record_run(connection, "build-7", mine)
        connection.execute(runs.update().values(holder=""))
        assert find_request(connection, "build-7") == StoredRequest("a hash", ME, mine)
        assert find_request(connection, "build-8") is None
        assert run_of_process(connection, "process 1 on shop (boot/3)") is None


def test_a_request_without_a_run_is_forgotten(kept: Store) -> None:
    with kept.writing() as connection:
        forget_request(connection, "build-7")
        assert find_request(connection, "build-7") is None
        keep_request(connection, "build-8", "a hash", ME, SIX)
        run = begin(connection, ME)
        record_run(connection, "build-8", run)
        forget_request(connection, "build-8")
        assert find_request(connection, "build-8") is not None, "its run has begun"
        connection.execute(delete(runs).where(runs.c.id == run))
        assert find_request(connection, "build-8") is None, "the run of a wrong use is deleted"


def test_a_key_is_kept_for_a_week(kept: Store) -> None:
    with kept.writing() as connection:
        keep_request(connection, "build-8", "a hash", ME, SIX + timedelta(days=6))
        assert find_request(connection, "build-7") is not None
        keep_request(connection, "build-9", "a hash", ME, SIX + timedelta(days=8))
        assert find_request(connection, "build-7") is None
