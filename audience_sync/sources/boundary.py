"""Keep whatever a source raises, and the time it takes, to the entry that is read from it.

Drivers, readers of formats and file systems are the code of others. All of it runs behind ``Bounded``: an error of any
kind becomes a ``SourceError`` of the entry that is read, and what doesn't end is stopped. Three things pass, since they
are the run's: an interruption by a person or a signal, an error of the store, and a lost lease.

An error of DuckDB's own may end the workspace, with all that was read before: ``WorkspaceBrokenError``. Then everything
is read again in another one, but for the entry that broke it, which is ``Barred``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.snapshot import TIMEOUT
from audience_sync.errors import AudienceSyncError, SourceError, is_of_memory, summarize_error
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sources.timeout import Deadline, OverdueError, in_time, watched
from audience_sync.workspace import Workspace

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Barred:
    """An entry that is not read, since it has broken a workspace of this run."""

    source: str
    wanted: SnapshotRequest
    problem: SourceError


class WorkspaceBrokenError(AudienceSyncError):
    """An entry has broken the workspace, in which nothing can be used any more."""

    def __init__(self, barred: Barred) -> None:
        super().__init__(str(barred.problem))
        self.barred = barred


class Bounded(Source):
    """A source behind the boundary, opened for each read. ``timeout`` is for all of it: finding the rows of one entry,
    and scanning them."""

    def __init__(
        self,
        name: str,
        opened: Callable[[], Source],
        timeout: timedelta = TIMEOUT,
        barred: Sequence[Barred] = (),
    ) -> None:
        self._name, self._opened, self._timeout, self._barred = name, opened, timeout, barred

    def barring(self, barred: Sequence[Barred]) -> Bounded:
        return Bounded(self._name, self._opened, self._timeout, barred)

    def read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        entry = _entry(wanted)
        for each in self._barred:
            if (each.source, each.wanted) == (self._name, entry):
                raise each.problem
        return self._rows(workspace, wanted)

    def mark(self, wanted: SnapshotRequest) -> str | None:
        return self._asked(lambda source: source.mark(wanted))

    def check(self) -> str:
        return self._asked(lambda source: source.check())

    def _rows(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        deadline, interrupt = Deadline(self._timeout), workspace.connection.interrupt
        with self._sparing(workspace, wanted), self._owning():
            source = self._opened()

            def stop() -> None:
                interrupt()
                source.stop()

            rows = in_time(deadline, lambda: source.read(workspace, wanted), stop)

        @contextmanager
        def scanning() -> Iterator[None]:
            with self._sparing(workspace, wanted), self._owning(), watched(deadline, interrupt):
                yield

        return replace(rows, scanning=scanning)

    def _asked(self, question: Callable[[Source], Found]) -> Found:
        with self._owning():
            source = self._opened()
            return in_time(Deadline(self._timeout), lambda: question(source), source.stop)

    @contextmanager
    def _sparing(self, workspace: Workspace, wanted: SnapshotRequest) -> Iterator[None]:
        """Raises WorkspaceBrokenError where an error of this entry would be all others' as well."""
        try:
            yield
        except SourceError as error:
            if workspace.is_broken:
                raise WorkspaceBrokenError(Barred(self._name, _entry(wanted), error)) from None
            raise

    @contextmanager
    def _owning(self) -> Iterator[None]:
        try:
            yield
        except OverdueError:
            raise self._too_long() from None
        except SourceError as error:
            raise _storable(error) from None
        except AudienceSyncError:
            raise
        except Exception as error:
            raise _storable(_first(error) or self._unexpected(error)) from None

    def _unexpected(self, error: Exception) -> SourceError:
        match error:
            case _ if is_of_memory(error):
                what, remedy = "there was not enough memory", "Let it give less, or give the run more memory"
            case RecursionError():
                what, remedy = "a value is nested too deeply", "Leave the value out, or have it written as text"
            case _:
                what, remedy = summarize_error(error, str, place=False), "Correct the data or the query"
        return SourceError(f"source '{self._name}' can't be read: {what}. Nothing of it was used. {remedy}.")

    def _too_long(self) -> SourceError:
        return SourceError(
            f"source '{self._name}' took longer than {duration_text(self._timeout)} and was stopped. Nothing of it was "
            "used. Make the query faster, see whether its server answers, or give the source a longer `timeout`."
        )


def bounded(sources: Mapping[str, Source]) -> Mapping[str, Bounded]:
    """All of them behind the boundary, whoever made them."""
    return {name: each if isinstance(each, Bounded) else _of(name, each) for name, each in sources.items()}


def barring(sources: Mapping[str, Source], barred: Sequence[Barred]) -> Mapping[str, Bounded]:
    """The same sources, where these entries fail without being read."""
    return {name: each.barring(barred) for name, each in bounded(sources).items()}


def _of(name: str, source: Source) -> Bounded:
    return Bounded(name, lambda: source)


def _entry(wanted: SnapshotRequest) -> SnapshotRequest:
    """What is asked for, whenever it is asked."""
    return replace(wanted, expected=replace(wanted.expected, since=None))


def _first(error: BaseException) -> SourceError | None:
    """The problem in whose cleaning up the error was raised: a connection that broke often can't be closed either."""
    context = error.__context__
    while context is not None and not isinstance(context, SourceError):
        context = context.__context__
    return context


def _storable(error: SourceError) -> SourceError:
    """Its words without what PostgreSQL can't keep, which a driver may quote."""
    words = str(error)
    plain = words.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return error if plain == words else type(error)(plain)
