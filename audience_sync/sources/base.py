"""Define the interface of sources: a request for a snapshot, and rows that DuckDB can scan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime

from msgspec import Struct, field

from audience_sync.errors import SourceError
from audience_sync.model import RunId, StateTable
from audience_sync.sql import Expression, Query, TableName
from audience_sync.workspace import Workspace


class TraitColumn(Struct, frozen=True):
    """A column of a computed trait. ``is_id``: the column has further user ids instead.

    ``type`` (``text``, ``number``, ``boolean``, ``date`` or ``json``) overrides the type that the source reports.
    """

    column: str
    type: str | None = None
    is_id: bool = False


class Expectations(Struct, frozen=True, kw_only=True):
    """What a source must meet before its rows are used.

    ``since``: the newest file, or the time that a database's query ``modified`` returns, may not be older. ``marker``
    and ``manifest`` name files next to the data files. ``columns``: report the source's columns with the rows.
    """

    since: datetime | None = None
    modified: str | None = None
    marker: str | None = None
    manifest: str | None = None
    columns: bool = False


#: Whether a guard holds an audience, by its name (None without `names_from`), which so many users entered and left.
IsHeld = Callable[[str | None, int, int], bool]


def never_held(name: str | None, entered: int, left: int) -> bool:
    return False


class Comparison(Struct, frozen=True, kw_only=True):
    """How a warehouse compares a snapshot with the last one.

    ``state``: the tables of the last one, the base first; empty without a last one. ``prefix`` and ``run``
    name new tables; ``run`` is None in a preview, which creates none. ``in_use``: tables that must stay; others with
    the prefix of earlier runs are dropped. ``source``: its name in the config. ``subject``: what the store keeps the
    state by. ``mend``: the command that compares everything, for a state that is damaged. ``counts_rows``: whether
    ``SnapshotRows.row_count`` is needed.

    Of many changes that are held (``is_held``), a sample of users is fetched, with those of the last samples
    (``sampled``). ``may_fold``: whether a long state may be replaced by a new base.
    """

    source: str
    mend: str
    state: tuple[StateTable, ...]
    prefix: str
    run: RunId | None
    in_use: frozenset[str] = frozenset()
    is_held: IsHeld = never_held
    sampled: tuple[str, ...] = ()
    may_fold: bool = True
    subject: str = ""
    counts_rows: bool = False


class ComparedState(Struct, frozen=True, kw_only=True):
    """The tables of a snapshot that a warehouse has compared, for the commit.

    ``before``: those it was compared with. ``new``: the one with its changes, or without ``before`` all of it; None if
    nothing has changed. ``names``: the audiences of `names_from` with rows in ``new``. ``traits``: the keys of an entry
    of computed traits, and ``reread`` as in ``StateTable``. Without any table, the store forgets the state.
    """

    source: str
    before: tuple[StateTable, ...]
    new: StateTable | None
    subject: str = ""
    names: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    reread: tuple[str, ...] = ()


class SnapshotRequest(Struct, frozen=True, kw_only=True):
    """A request for a snapshot: one of ``file`` or ``query``, and the names of the columns.

    ``traits`` maps a trait's key to its column. ``name`` is the column of ``names_from``. ``probe`` is a query whose
    answer changes with the rows. ``partitions`` is ``hive`` if folders add columns.
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
    #: For a source that compares; None: read the whole snapshot.
    comparison: Comparison | None = None
    #: Read only a sample: this number of rows of a database, or the beginning of a text file. None: everything.
    sample_rows: int | None = None


class Unsendable(Struct, frozen=True):
    """Replaces a value that has no form in JSON or in Python; ``reason`` is one of ``values.json_sql``."""

    reason: str


class UncheckedRows(Struct, frozen=True, kw_only=True):
    """The rows of a snapshot with ids as written, of a source where an id's text decides whether it is valid.

    An id that a valid one equals is valid, so a diff checks only the others. ``valid_id``: SQL for the column
    ``user_id``, NULL if it is invalid. ``row_count``: their number, if they were counted and can be read again cheaply.
    """

    select: str
    valid_id: Expression
    row_count: int | None = None


#: The column of ``SnapshotRows.select`` that marks a row with an invalid value.
HAS_INVALID_VALUE = "has an invalid value"


class SnapshotRows(Struct, frozen=True, kw_only=True):
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
    #: Called after the scan; raises SourceError if a file changed during the read.
    verify: Callable[[], None] = lambda: None
    #: Whether a second read is cheap and returns the same rows, as for Parquet files.
    rereadable: bool = False
    manifest_rows: int | None = None
    columns: Mapping[str, str] | None = None
    may_have_invalid_values: bool = False
    #: The same rows, if none can have an invalid value and ids can be checked later.
    unchecked: UncheckedRows | None = None
    #: A query for users who have left (``user_id``, and ``name`` if there are names). If it is set, the source has
    #: compared the snapshot with the last one, and ``select`` has only those who entered; for traits, all rows of each
    #: user with a changed row.
    left: Query | None = None
    #: Of a compared snapshot: by name (None without names), the users who entered and left an audience that a guard
    #: holds, if ``select`` and ``left`` have only a sample of them.
    held: Mapping[str | None, tuple[int, int]] = field(default_factory=dict)
    #: The table of the workspace with what was fetched of a compared snapshot, for the diff and for claims.
    fetched: TableName | None = None
    #: Whether a compared snapshot of traits has no user at all.
    is_empty: bool = False
    #: The number of all rows of a compared snapshot, if it was counted; ``select`` may have only some of them.
    row_count: int | None = None
    #: The tables of a snapshot that a warehouse has compared; None if it created none.
    state: ComparedState | None = None
    #: Context of every scan: it translates all errors into SourceErrors and limits the time.
    scan_context: Callable[[], AbstractContextManager[None]] = nullcontext

    @contextmanager
    def scanning(self) -> Iterator[None]:
        """A scan. It raises SourceError in the source's words, also if the snapshot is not complete at the end."""
        import duckdb

        with self.scan_context():
            try:
                yield
            except duckdb.Error as error:
                raise self.explain(error) from None
            self.verify()

    @property
    def is_compared(self) -> bool:
        """Whether the source has kept the snapshot to compare the next one with it, or has compared this one."""
        return self.left is not None or self.state is not None

    @property
    def to_diff(self) -> UncheckedRows:
        """The rows with unchecked ids if there are such, or else the checked rows, with NULL for an invalid id."""
        return self.unchecked or UncheckedRows(select=self.select, valid_id=Expression("user_id"))


class Source(ABC):
    """A source of snapshots, without state between reads."""

    @abstractmethod
    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        """Find the rows and check the columns, without scanning.

        Raises SourceError with the file, line or column and the remedy, and IncompleteError if expectations are not
        met.
        """

    @abstractmethod
    def fingerprint(self, request: SnapshotRequest) -> str | None:
        """A cheap value that changes when the rows change.

        None if there is no cheap way, or if something is missing or not as expected: ``read`` then raises the error.
        """

    @abstractmethod
    def check(self) -> str:
        """The source in one line (``folder examples/shop, 5 files``). Raises SourceError if it is unreachable."""

    def stop(self) -> None:  # noqa: B027  # most sources have nothing of their own to stop
        """Interrupt a read in another thread. It may raise, and it may have no effect."""
