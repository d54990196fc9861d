"""Check a snapshot against `expect.rows`, `expect.columns` and its manifest before it is compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.errors import ACCEPT_ANYWAY, IncompleteError
from audience_sync.sources.base import SnapshotRows
from audience_sync.sources.rows.column_schema import schema_changes
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.load.snapshot import scanning
from audience_sync.text import pluralize
from audience_sync.workspace import Workspace


def check_expectations(
    workspace: Workspace, rows: SnapshotRows, config: SnapshotConfig, known: Iterable[Property | None]
) -> None:
    """Raise IncompleteError if the snapshot is not complete, SourceError if its rows can't be read.

    ``known``: the stored audiences or traits of the snapshot.
    """
    _require_columns(rows, {each.columns for each in known if each and each.columns})
    least = config.expect.rows if config.expect and config.expect.rows else 0
    if not least and rows.manifest_rows is None:
        return
    with scanning(rows):
        count = workspace.one(f"select count(*) from ({rows.select})")[0]
    if rows.manifest_rows not in (None, count):
        raise IncompleteError(f"there are {count} rows, and the manifest says {rows.manifest_rows}")
    if count < least:
        raise IncompleteError(
            f"the snapshot has {pluralize(count, 'row')}, and `expect.rows` requires at least {least:,}"
        )


def _require_columns(rows: SnapshotRows, known: Collection[str]) -> None:
    """Stored columns may differ, if they are of several runs; equality with one of them is enough."""
    if rows.columns is None:
        return
    changed = [schema_changes(json.loads(columns), rows.columns) for columns in known]
    if changed and all(changed):
        raise IncompleteError(f"the columns are not those of the last snapshot: {changed[0]}")


def columns_text(rows: SnapshotRows) -> str | None:
    """The columns as they are stored; None if the config doesn't expect them to stay the same."""
    return None if rows.columns is None else json.dumps(rows.columns, ensure_ascii=False)


def failure_message(error: Exception, keys: Iterable[str], *, of: str = "") -> str:
    """The message for a failed source of these audiences or traits, which begins with ``of``."""
    if not isinstance(error, IncompleteError):
        return str(error)
    key = next(iter(keys), None)
    accept = f" {ACCEPT_ANYWAY}audience-sync sync --accept {key}" if key else ""
    return f"{of}{error}. Nothing of it was compared or sent.{accept}"
