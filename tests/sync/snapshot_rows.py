"""The rows that a source in a test has."""

from __future__ import annotations

from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRows


def valid_rows(select: str) -> SnapshotRows:
    """The rows of this query, which are all valid."""
    return SnapshotRows(select=select, invalid_rows="select 1 where false", explain=_unexpected)


def _unexpected(error: Exception) -> SourceError:
    raise error
