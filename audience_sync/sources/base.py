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
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Stands for a value that was met, and has no form in JSON or in Python: the reason, as in ``values``."""

    reason: str


#: The column of ``Rows.select`` that says whether a value of the row was rejected.
ODD = "has a rejected value"


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """Rows that DuckDB can scan, not yet read.

    ``select`` is a query with the columns ``user_id`` (text as written, NULL where it can't be used), ``name``
    (text, where ``names_from`` is wanted) and one column of JSON text per trait, called by the trait's key
    (NULL where there is no value); of further ids it holds the id itself, where it can be used. ``rejects`` is a query
    with the columns ``file``, ``row`` (counted from 1 = the first row of data, for a database the first row of the
    answer), ``user_id`` and ``reason`` of the rows that can't be used, and of the rejected values of the others, which
    are NULL in ``select``; it costs another read, so it is asked only when there are some. ``may_reject_values``:
    ``select`` has the column ``ODD``. ``promised``: how many rows a manifest says there are. ``columns``: all that
    there are, with types in plain words, where they are expected.
    """

    select: str
    rejects: str
    #: Says in the source's words what an error met while scanning means; raises nothing itself.
    explain: Callable[[Exception], SourceError]
    #: Called after the scan; raises SourceError if what was read was being written meanwhile.
    verify: Callable[[], None] = lambda: None
    #: Whether a second read costs little and gives the same rows, as that of Parquet files does.
    rereadable: bool = False
    promised: int | None = None
    columns: Mapping[str, str] | None = None
    may_reject_values: bool = False
    #: What surrounds every scan: errors of any kind become the source's, and the time is limited.
    scanning: Callable[[], AbstractContextManager[None]] = nullcontext


class Source(ABC):
    """A place snapshots come from. It keeps nothing between reads."""

    @abstractmethod
    def read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        """Find the rows and check that the columns are there.

        Raises SourceError, with the file, line or column and the remedy, where they aren't, and IncompleteError where
        what is expected isn't there.
        """

    @abstractmethod
    def mark(self, wanted: SnapshotRequest) -> str | None:
        """What the rows depend on, without reading them: while it is the same they are too. None where that can't
        be known cheaply, or where something is missing or not as expected (``read`` says what)."""

    @abstractmethod
    def check(self) -> str:
        """Say in one line what is there (``folder examples/shop, 5 files``); raises SourceError if it can't
        be reached."""

    def stop(self) -> None:  # noqa: B027  # most sources have nothing of their own to stop
        """Ask what another thread is reading to end. May raise, and may do nothing."""
