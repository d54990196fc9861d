"""Read the history of a project: its last runs, one run in full, and calls that are pending."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct, convert

from audience_sync.model import AudienceStatus, RunId, RunStatus
from audience_sync.project.access import Access
from audience_sync.project.records import Records
from audience_sync.project.unsynced import explaining_unsynced
from audience_sync.text import iso_time, path_text

Kind = TypeVar("Kind", bound=Struct)
Row = dict[str, Any]

_PENDING = "select destination, calls, waiting, since_run, since_at from {views}pending_calls order by destination"


class PastRun(Struct, frozen=True, kw_only=True):
    """One run of the history.

    ``audiences``: how many it loaded; ``entered`` and ``left``: users of all of them. ``held`` and ``failed``: how many
    audiences. ``started_by``: the user who started it, on ``host``. ``reason``: why, in their words.
    """

    run: int
    command: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    audiences: int | None
    entered: int | None
    left: int | None
    held: int | None
    failed: int | None
    trait_users_changed: int | None
    delivered: int | None
    refused: int | None
    pending: int | None
    error: str | None
    started_by: str | None = None
    host: str | None = None
    reason: str | None = None

    @property
    def number(self) -> int:
        return self.run

    @property
    def is_over(self) -> bool:
        """Whether it has ended, also without a result."""
        return self.status is not RunStatus.RUNNING


class AudienceRun(Struct, frozen=True, kw_only=True):
    """The result of one audience in one run of the history."""

    run: int
    started_at: datetime
    seconds: float | None
    status: AudienceStatus
    members_before: int
    members_after: int
    entered: int
    left: int
    invalid: int
    absent: int
    returned: int
    held_out: int
    error: str | None


class PastAudienceSync(Struct, frozen=True, kw_only=True):
    """One audience in a past run: a row of the view `audience_syncs`."""

    audience_key: str
    status: AudienceStatus
    members_before: int
    members_after: int
    entered: int
    left: int
    invalid: int
    error: str | None
    absent: int
    returned: int
    held_out: int
    config_changes: str | None = None


class PastDelivery(Struct, frozen=True, kw_only=True):
    """One destination in a past run: a row of the view `deliveries`."""

    destination: str
    calls: int
    delivered: int
    refused: int
    pending: int
    retries: int
    requests: int
    seconds: float | None
    error: str | None


class RefusedCall(Struct, frozen=True, kw_only=True):
    """A call that a destination has refused and not accepted since: a row of the view `refused_calls`."""

    run: int
    destination: str
    user_id: str
    reason: str
    http_status: int | None
    attempts: int
    refused_at: datetime


class PastInvalidRow(Struct, frozen=True, kw_only=True):
    """A row of a snapshot that could not be used: a row of the view `invalid_rows`."""

    audience_key: str | None
    file: str
    row: int
    user_id: str | None
    reason: str


class PendingCalls(Struct, frozen=True, kw_only=True):
    """The calls that are pending at one destination, and since when. ``waiting``: only the next seed sends them."""

    destination: str
    calls: int
    waiting: int
    since_run: int | None
    since_at: datetime | None


class RunRecord(PastRun, frozen=True, kw_only=True):
    """One run of the history in full. ``document``: everything, as ``audience-sync show --json`` has it.

    ``program``: the words that start the client of the store, in a shell. ``views``: the text before a view's name.
    """

    document: dict[str, Any]
    program: tuple[str, ...]
    views: str

    def __repr__(self) -> str:
        return f"<RunRecord {self.run}: {self.status}>"

    @property
    def audience_syncs(self) -> Records[PastAudienceSync]:
        return records(PastAudienceSync, self.document["audience_syncs"])

    @property
    def deliveries(self) -> Records[PastDelivery]:
        return records(PastDelivery, self.document["deliveries"])

    @property
    def refused_calls(self) -> Records[RefusedCall]:
        """The calls of this run that are refused now."""
        return records(RefusedCall, self.document["refused_calls"])

    @property
    def invalid_rows(self) -> Records[PastInvalidRow]:
        return records(PastInvalidRow, self.document["invalid_rows"])

    def query_command(self, view: str) -> str:
        """The shell command that prints the run's rows in a view."""
        return shlex.join([*self.program, f"select * from {self.views}{view} where run = {self.run}"])

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync show --json``."""
        return plain_json(self.document)


class PastRuns(Records[Kind]):
    """Runs of the history, the newest first. ``documents``: the same, as ``audience-sync history --json`` has them."""

    __slots__ = ("documents",)

    def __init__(self, kind: type[Kind], documents: Sequence[Row]) -> None:
        super().__init__(kind, convert(documents, list[kind], strict=False))  # type: ignore[valid-type]
        self.documents = documents

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync history --json``."""
        return plain_json({"runs": self.documents})


def records(kind: type[Kind], rows: Sequence[Row]) -> Records[Kind]:
    """The rows of a view as values; columns that they don't have are left out."""
    return Records(kind, convert(rows, list[kind], strict=False))  # type: ignore[valid-type]


def plain_json(document: dict[str, Any]) -> dict[str, Any]:
    """The document as JSON has it: with times as text."""
    plain: dict[str, Any] = json.loads(json.dumps(document, default=json_text))
    return plain


def json_text(value: object) -> str:
    """A value that JSON has no form for: a time in ISO 8601, anything else as its text."""
    return iso_time(value, "auto") if isinstance(value, datetime) else str(value)


def read_runs(access: Access, limit: int) -> PastRuns[PastRun]:
    from audience_sync.history.runs import last_runs

    with access.reading() as store, store.reading() as connection:
        return PastRuns(PastRun, last_runs(connection, limit=limit))


def read_audience_runs(access: Access, key: str, limit: int) -> PastRuns[AudienceRun]:
    """The last results of an audience; empty before the first run of all. Raises UnknownNameError."""
    from audience_sync.history.runs import last_runs
    from audience_sync.store.audiences.properties import read_audience

    with access.reading() as store, store.reading() as connection:
        runs = last_runs(connection, key=key, limit=limit)
        if not runs and last_runs(connection, limit=1):
            with explaining_unsynced(access, key):
                read_audience(connection, key)
        return PastRuns(AudienceRun, runs)


def read_run(access: Access, number: int) -> RunRecord:
    """One run in full. Raises UnknownNameError if there is no such run."""
    from audience_sync.history.runs import one_run
    from audience_sync.store.tables.views import view_prefix

    with access.reading() as store, store.reading() as connection:
        found = one_run(connection, RunId(number))
        program = ("sqlite3", path_text(str(store.file))) if store.file else ("psql", store.label, "-c")
        views = view_prefix(store.engine)
    return convert({**found, "document": found, "program": program, "views": views}, RunRecord, strict=False)


def read_pending(access: Access) -> Records[PendingCalls]:
    from audience_sync.history.view_rows import read_as

    with access.reading() as store, store.reading() as connection:
        return Records(PendingCalls, read_as(connection, PendingCalls, _PENDING))
