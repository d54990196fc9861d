"""A workspace and a folder of data files: what the tests of sources start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source, TraitColumn
from audience_sync.sources.files.source import FilesSource
from audience_sync.sql import quote_identifier
from audience_sync.workspace import Workspace


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace(400_000_000, ["/"]) as opened:
        yield opened


@dataclass(slots=True)
class Snapshot:
    """What was read: rows as they were, and those that can't be used (file, row, user id, reason)."""

    rows: list[tuple[Any, ...]]
    invalid_rows: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return sorted(row[0] for row in self.rows if row[0] is not None)

    @property
    def values(self) -> dict[str, Any]:
        """The first trait (or the name) by user id."""
        return {row[0]: row[1] for row in self.rows}


Read = Callable[..., Snapshot]


@pytest.fixture
def read(workspace: Workspace, tmp_path: Path) -> Read:
    """``read(file="a.csv", traits={"plan": "plan"})``: scan as a run does, errors in the source's words."""

    def scan(
        source: Source | None = None, traits: Mapping[str, TraitColumn | str] | None = None, **wanted: Any
    ) -> Snapshot:
        columns = {
            key: trait if isinstance(trait, TraitColumn) else TraitColumn(trait)
            for key, trait in (traits or {}).items()
        }
        asked = SnapshotRequest(**({"user_id": "user_id"} | wanted), traits=columns)
        rows = (source or FilesSource(tmp_path)).read(workspace, asked)
        return _scanned(workspace, rows, [*(["name"] if asked.name else []), *columns])

    return scan


def _scanned(workspace: Workspace, rows: SnapshotRows, columns: list[str]) -> Snapshot:
    names = ", ".join(quote_identifier(name) for name in ["user_id", *columns])
    try:
        found = workspace.all(f"select {names} from ({rows.select})")
        invalid_rows = workspace.all(f"select file, row, user_id, reason from ({rows.invalid_rows}) order by all")
        if rows.unchecked:
            ids = f"select * replace ({rows.unchecked.valid_id} as user_id) from ({rows.unchecked.select})"
            assert sorted(workspace.all(f"select {names} from ({ids})"), key=str) == sorted(found, key=str)
            assert rows.unchecked.row_count in (None, len(found))
    except duckdb.Error as error:
        raise rows.explain(error) from None
    rows.verify()
    return Snapshot(found, invalid_rows)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


Write = Callable[[str, "str | bytes"], Path]
