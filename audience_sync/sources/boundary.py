"""Limit the errors of a source and the time of a read to the entry that is read.

Drivers, readers of formats and file systems are code of others. All of it runs behind ``BoundedSource``: any error
becomes a ``SourceError`` of the entry, and a read that takes too long is stopped. Three errors pass unchanged, since
they concern the run: an interruption by a person or a signal, an error of the store, and a lost lease.

An internal error of DuckDB may destroy the workspace with everything loaded before: ``WorkspaceBrokenError``. The run
then loads everything again in a new workspace, except the entry that broke it (``ExcludedEntry``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.snapshot import DEFAULT_TIMEOUT
from audience_sync.errors import AudienceSyncError, SourceError, is_memory_error, summarize_error
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.timeout import Deadline, OverdueError, run_in_time, stop_when_overdue
from audience_sync.text import storable
from audience_sync.workspace import Workspace

Result = TypeVar("Result")


class ExcludedEntry(Struct, frozen=True):
    """An entry that is not read, because it broke a workspace of this run."""

    source: str
    request: SnapshotRequest
    error: SourceError


class WorkspaceBrokenError(AudienceSyncError):
    """An entry has broken the workspace; everything in it is lost."""

    def __init__(self, entry: ExcludedEntry) -> None:
        super().__init__(str(entry.error))
        self.entry = entry


class BoundedSource(Source):
    """A source with limits, opened for each read. ``timeout`` covers the whole read of an entry, with all scans."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], Source],
        timeout: timedelta = DEFAULT_TIMEOUT,
        excluded: Sequence[ExcludedEntry] = (),
    ) -> None:
        self._name, self._open, self._timeout, self._excluded = name, opened, timeout, excluded

    def excluding(self, entries: Sequence[ExcludedEntry]) -> BoundedSource:
        return BoundedSource(self._name, self._open, self._timeout, entries)

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        entry = _entry_identity(request)
        for each in self._excluded:
            if (each.source, each.request) == (self._name, entry):
                raise each.error
        deadline, interrupt = Deadline(self._timeout), workspace.connection.interrupt
        with self._guarding(workspace, request):
            source = self._open()

            def stop() -> None:
                interrupt()
                source.stop()

            rows = run_in_time(deadline, lambda: source.read(workspace, request), stop)

        @contextmanager
        def scan_context() -> Iterator[None]:
            with self._guarding(workspace, request), stop_when_overdue(deadline, interrupt):
                yield

        return replace(rows, scan_context=scan_context)

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        return self._ask(lambda source: source.fingerprint(request))

    def check(self) -> str:
        return self._ask(lambda source: source.check())

    def _ask(self, question: Callable[[Source], Result]) -> Result:
        with self._translating_errors():
            source = self._open()
            return run_in_time(Deadline(self._timeout), lambda: question(source), source.stop)

    @contextmanager
    def _guarding(self, workspace: Workspace, request: SnapshotRequest) -> Iterator[None]:
        """Translate errors; raise WorkspaceBrokenError if one of them broke the workspace for all other entries."""
        try:
            with self._translating_errors():
                yield
        except SourceError as error:
            if workspace.is_broken:
                raise WorkspaceBrokenError(ExcludedEntry(self._name, _entry_identity(request), error)) from None
            raise

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except OverdueError:
            raise self._overdue_error() from None
        except SourceError as error:
            raise _storable_error(error) from None
        except AudienceSyncError:
            raise
        except Exception as error:
            raise _storable_error(_original_error(error) or self._unexpected_error(error)) from None

    def _unexpected_error(self, error: Exception) -> SourceError:
        match error:
            case _ if is_memory_error(error):
                what, remedy = "there was not enough memory", "Return less data, or give the run more memory"
            case RecursionError():
                what, remedy = "a value is nested too deeply", "Remove the value, or write it as text"
            case _:
                what, remedy = summarize_error(error, str, with_location=False), "Correct the data or the query"
        return SourceError(f"source '{self._name}' can't be read: {what}. Nothing of it was used. {remedy}.")

    def _overdue_error(self) -> SourceError:
        return SourceError(
            f"source '{self._name}' took longer than {duration_text(self._timeout)} and was stopped. Nothing of it was "
            "used. Make the query faster, check that its server answers, or give the source a longer `timeout`."
        )


def bound_sources(sources: Mapping[str, Source]) -> Mapping[str, BoundedSource]:
    """The sources with limits; those that have them already stay unchanged."""
    return {name: each if isinstance(each, BoundedSource) else _bound(name, each) for name, each in sources.items()}


def exclude_entries(sources: Mapping[str, Source], entries: Sequence[ExcludedEntry]) -> Mapping[str, BoundedSource]:
    """The same sources, in which these entries fail without being read."""
    return {name: each.excluding(entries) for name, each in bound_sources(sources).items()}


def _bound(name: str, source: Source) -> BoundedSource:
    return BoundedSource(name, lambda: source)


def _entry_identity(request: SnapshotRequest) -> SnapshotRequest:
    """The request without its time and its comparison, which differ from read to read."""
    return replace(request, expected=replace(request.expected, since=None), comparison=None)


def _original_error(error: BaseException) -> SourceError | None:
    """The SourceError that came first, if a later error hides it: closing a broken connection often fails too."""
    context = error.__context__
    while context is not None and not isinstance(context, SourceError):
        context = context.__context__
    return context


def _storable_error(error: SourceError) -> SourceError:
    """The error without characters that PostgreSQL can't store, which a driver may quote."""
    plain = storable(str(error))
    return error if plain == str(error) else type(error)(plain)
