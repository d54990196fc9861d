"""What `erase` deleted is also removed from the database's file; a program that has it open keeps it there."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from audience_sync.errors import StoreError
from audience_sync.store.audiences.suppressions import erased_among
from audience_sync.store.connection import engine
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.erase import erase


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_erase_that_a_reader_keeps_from_its_end_says_what_is_done_and_what_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0)
    with store.writing() as connection:
        assert erased_among(connection, ["ada"]) == set()

    with closing(sqlite3.connect(str(store.file), isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from sync_runs").fetchall()
        with pytest.raises(StoreError) as stopped:
            erase(store, ["ada", "bob"], memory_limit=768_000_000)

    assert str(stopped.value).startswith(
        f"2 users were removed from every table of {store.label}, but the deleted rows can still be read in its"
    )
    assert str(stopped.value).endswith(" To remove them there too, run the same erase again.")
    with store.writing() as connection:
        assert erased_among(connection, ["ada"]) == {"ada"}
    assert erase(store, ["ada", "bob"], memory_limit=768_000_000) == 0
