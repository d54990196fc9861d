"""What does a source hand over? Rows in one shape, whatever they were read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from audience_sync.errors import SourceError
from audience_sync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TraitColumn:
    """A column wanted as a computed trait; ``type`` overrides what the source would say
    (``text``, ``number``, ``boolean``, ``date`` or ``json``). ``is_id``: it holds further user ids instead."""

    column: str
    type: str | None = None
    is_id: bool = False


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a source must show before its rows are used.

    ``since``: something of it was written then or later; a database says when by the query ``modified``. ``marker``
    and ``manifest`` are files beside the others. ``columns``: its rows come with the columns there are.
    """

    since: datetime | None = None
    modified: str | None = None
    marker: str | None = None
    manifest: str | None = None
    columns: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What a snapshot needs of a source: one of ``file`` or ``query``, and the columns' names there.

    ``traits`` maps a trait's key to its column; ``name`` is the column of ``names_from``; ``probe`` is a query
    whose answer changes whenever the rows do. ``partitions``: ``hive`` where folders give columns.
    """

    user_id: str
    file: str | None = None
    query: str | None = None
    name: str | None = None
    traits: Mapping[str, TraitColumn] = field(default_factory=dict)
    encoding: str = "utf-8"
    sheet: str | None = None
    probe: str | None = None
    partitions: str | None = None
    expected: Expectations = Expectations()
    #: A look at the columns: of a database so many rows are fetched, of a text file its beginning is read. None: all.
    sample_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Stands for a value that was met, and has no form in JSON or in Python: the reason, as in ``values``."""

    reason: str


#: The column of ``SnapshotRows.select`` that marks a row with an invalid value.
HAS_INVALID_VALUE = "has a rejected value"


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """Rows that DuckDB can scan, not yet read.

    ``select`` is a query with these columns: ``user_id`` (text as written, NULL for an invalid id); ``name`` (text, if
    ``names_from`` is requested); per trait one column of JSON text, named by the trait's key, NULL without a value.
    A further id (``is_id``) stands there as text, NULL if it is invalid.

    ``invalid_rows`` is a query with the columns ``file``, ``row``, ``user_id`` and ``reason``: one row for each row
    with an invalid id, and one for each invalid value of the others, which is NULL in ``select``. Rows count from 1,
    the first row of data or of the answer. The query reads the source again, so run it only if there are such rows.

    ``may_have_invalid_values``: ``select`` has the column ``HAS_INVALID_VALUE``. ``manifest_rows``: the number of rows
    that a manifest states. ``columns``: all columns of the source with their generic types, if they are expected.
    """

    select: str
    invalid_rows: str
    #: Translates an error met while scanning into a SourceError; raises nothing itself.
    explain: Callable[[Exception], SourceError]
    #: Called after the scan; raises SourceError if what was read was being written meanwhile.
    verify: Callable[[], None] = lambda: None
    #: Whether a second read costs little and gives the same rows, as that of Parquet files does.
    rereadable: bool = False
    manifest_rows: int | None = None
    columns: Mapping[str, str] | None = None
    may_have_invalid_values: bool = False
    #: What surrounds every scan: errors of any kind become the source's, and the time is limited.
    scanning: Callable[[], AbstractContextManager[None]] = nullcontext


class Source(ABC):
    """A place snapshots come from. It keeps nothing between reads."""

    @abstractmethod
    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        """Find the rows and check that the columns are there.

        Raises SourceError, with the file, line or column and the remedy, where they aren't, and IncompleteError where
        what is expected isn't there.
        """

    @abstractmethod
    def fingerprint(self, request: SnapshotRequest) -> str | None:
        """What the rows depend on, without reading them: while it is the same they are too. None where that can't
        be known cheaply, or where something is missing or not as expected (``read`` says what)."""

    @abstractmethod
    def check(self) -> str:
        """Say in one line what is there (``folder examples/shop, 5 files``); raises SourceError if it can't
        be reached."""

    def stop(self) -> None:  # noqa: B027  # most sources have nothing of their own to stop
        """Ask what another thread is reading to end. May raise, and may do nothing."""
