"""How is a snapshot taken? Rows are asked of their source, scanned, and checked to be whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Origin
from audience_sync.sources.base import Rows, Source, TraitColumn, Wanted
from audience_sync.sync.findings import RejectedRow
from audience_sync.workspace import Workspace

#: Rejected rows kept of one snapshot in one run; all are counted.
MOST_REJECTED = 10_000


def audience_rows(workspace: Workspace, source: Source, config: AudienceConfig) -> Rows:
    return id_rows(workspace, source, config, name=config.names_from)


def id_rows(workspace: Workspace, source: Source, config: Origin, *, name: str | None = None) -> Rows:
    """Rows of user ids; with ``name`` a column that says which audience each is of."""
    wanted = Wanted(
        user_id=config.user_id,
        file=config.file,
        query=config.query,
        name=name,
        encoding=config.encoding,
        sheet=config.sheet,
    )
    return source.read(workspace, wanted)


def traits_rows(
    workspace: Workspace, source: Source, config: ComputedTraitsConfig, traits: Mapping[str, TraitColumn]
) -> Rows:
    wanted = Wanted(
        user_id=config.user_id,
        file=config.file,
        query=config.query,
        traits=traits,
        encoding=config.encoding,
        sheet=config.sheet,
    )
    return source.read(workspace, wanted)


@contextmanager
def scanning(rows: Rows) -> Iterator[None]:
    """While a snapshot is read: errors are said in the source's words, and what was read must be whole.

    Raises SourceError.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise rows.explain(error) from None
    rows.verify()


def rejected_rows(workspace: Workspace, rows: Rows, key: str | None) -> list[RejectedRow]:
    """The first rows whose user id can't be used; reads the source again."""
    with scanning(rows):
        found = workspace.all(f"select file, row, user_id, reason from ({rows.rejects}) limit {MOST_REJECTED}")
    return [RejectedRow(key, *row) for row in found]
