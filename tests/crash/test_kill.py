"""A run may be killed at any instant. The long version: python tests/crash/soak.py --kills 200"""

from __future__ import annotations

from pathlib import Path

from conftest import PostgreSQL

from .soak import soak


def test_a_run_that_is_killed_again_and_again_loses_nothing_and_sends_no_old_value(tmp_path: Path) -> None:
    assert soak(tmp_path / "project", kills=10, seed=20261123) == []


def test_nor_does_it_on_postgresql(tmp_path: Path, postgresql: PostgreSQL) -> None:
    assert soak(tmp_path / "project", kills=5, seed=20261123, new_store=postgresql.create) == []


def test_nor_do_vendors_that_refuse_single_users_or_answer_without_storing(tmp_path: Path) -> None:
    vendors = ("braze", "hubspot", "iterable")
    assert soak(tmp_path / "project", kills=5, seed=20261129, users=300, vendors=vendors) == []


def test_nor_does_it_if_a_warehouse_compares(tmp_path: Path, postgresql: PostgreSQL) -> None:
    """The warehouse keeps no table that the store does not name."""
    assert soak(tmp_path / "project", kills=5, seed=20261130, users=300, warehouse=postgresql.create()) == []
