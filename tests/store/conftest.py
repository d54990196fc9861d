"""A store with a week of runs, and a program with one more migration than this one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate

from .example_week import fill


@pytest.fixture
def week(store: Store) -> Store:
    fill(store)
    return store


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """``next_version(body)``: from now on the program has one more migration, which does this."""

    def make(body: str) -> None:
        shutil.copytree(migrate.folder(), tmp_path / "migrations")
        number = f"{int(migrate.HEAD) + 1:04}"
        (tmp_path / "migrations" / "versions" / f"{number}_next.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n\n"
            f"revision = {number!r}\ndown_revision = {migrate.HEAD!r}\n\n\n"
            "def upgrade():\n    views = '' if op.get_bind().dialect.name == 'sqlite' else 'audience_sync.'"
            f"{body}\n"
        )
        monkeypatch.setattr(migrate, "folder", lambda: tmp_path / "migrations")
        monkeypatch.setattr(migrate, "HEAD", number)

    return make
