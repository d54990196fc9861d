"""Request snapshots from sources, scan their rows and collect invalid ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig
from audience_sync.config.sections.snapshot import RowsConfig, SnapshotConfig
from audience_sync.sources.base import Expectations, SnapshotRequest, SnapshotRows, TraitColumn
from audience_sync.sync.values.change_set import InvalidRow
from audience_sync.workspace import Workspace

#: Invalid rows stored of one snapshot in one run; all are counted.
MAX_INVALID_ROWS = 10_000


def snapshot_request(config: RowsConfig, *, is_accepted: bool = False) -> SnapshotRequest:
    """The request of a config entry to its source: user ids, and names of audiences or traits if it has them.

    ``is_accepted``: a person accepts the snapshot, so nothing is expected of it.
    """
    traits = config.columns if isinstance(config, ComputedTraitsConfig) else {}
    user_id, *others = (isinstance(config, SnapshotConfig) and config.ids) or [config.user_id]
    return SnapshotRequest(
        user_id=user_id,
        file=config.file,
        query=config.query,
        name=config.names_from if isinstance(config, AudienceConfig) else None,
        traits={
            **{key: TraitColumn(trait.column, trait.type) for key, trait in traits.items()},
            **{f"id {place}": TraitColumn(column, is_id=True) for place, column in enumerate(others, 2)},
        },
        encoding=config.encoding,
        sheet=config.sheet,
        partitions=config.partitions,
        probe=config.probe if isinstance(config, SnapshotConfig) else None,
        expected=Expectations() if is_accepted else _expected(config),
    )


def _expected(config: RowsConfig) -> Expectations:
    expect = config.expect if isinstance(config, SnapshotConfig) else None
    if expect is None:
        return Expectations()
    since = datetime.now(UTC) - expect.max_age if expect.max_age else None
    return Expectations(
        since=since,
        modified=expect.modified,
        marker=expect.marker,
        manifest=expect.manifest,
        columns=expect.columns is not None,
    )


def loaded_from(config: RowsConfig) -> str:
    """The source of a snapshot, for people. The query is left out because it may name persons."""
    return f"{config.file or 'a query'} of {config.source}"


@contextmanager
def scanning(rows: SnapshotRows) -> Iterator[None]:
    """Raise errors of DuckDB as SourceError in the source's words; at the end check that the snapshot is complete."""
    import duckdb

    with rows.scanning():
        try:
            yield
        except duckdb.Error as error:
            raise rows.explain(error) from None
        rows.verify()


def read_invalid_rows(workspace: Workspace, rows: SnapshotRows, key: str | None) -> list[InvalidRow]:
    """The first invalid rows; reads the source again."""
    with scanning(rows):
        found = workspace.all(f"select file, row, user_id, reason from ({rows.invalid_rows}) limit {MAX_INVALID_ROWS}")
    return [
        InvalidRow(audience_key=key, file=file, row=row, user_id=user, reason=reason)
        for file, row, user, reason in found
    ]
