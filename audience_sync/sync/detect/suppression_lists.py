"""Read the suppressed users of a run: those in the store, and the lists of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from audience_sync.config.models import Settings
from audience_sync.errors import SourceError
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import Source
from audience_sync.store.audiences.suppressions import COMMAND, CONFIG, suppress, unsuppress
from audience_sync.store.tables import suppressions
from audience_sync.sync.guard.holds import Difference, HoldPolicy
from audience_sync.sync.guard.limits import suppression_reason
from audience_sync.sync.load.resolve_ids import AliasMap
from audience_sync.sync.load.snapshot import read_invalid_rows, scanning, snapshot_request
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.workspace import Workspace

#: The key of all lists together, for `--accept`.
KEY = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionUpdate:
    """The suppressed users of a run, as tables with ``user_id``.

    ``table``: all of them. ``added`` and ``removed``: changes of the config's lists, as read ``at``. ``error``: a list
    can't be read, so nothing is sent to any user.
    """

    table: str
    added: str
    removed: str
    at: datetime
    error: str | None = None

    def commit(self, connection: Connection, workspace: Workspace) -> None:
        """Write the changes of the config's lists."""
        if self.error:
            return
        for rows in workspace.stream(f"select user_id from {self.removed}"):
            unsuppress(connection, [user for (user,) in rows], CONFIG, self.at)
        for rows in workspace.stream(f"select user_id from {self.added}"):
            suppress(connection, [user for (user,) in rows], CONFIG, self.at)


def read_suppressed(
    connection: Connection,
    workspace: Workspace,
    settings: Settings,
    sources: Mapping[str, Source],
    changes: ChangeSet,
    decisions: HoldPolicy,
    *,
    erased: str,
    aliases: AliasMap,
) -> SuppressionUpdate:
    """The suppressed users under all their ids. If the guard holds the lists, no user is removed from them."""
    stored, at = _stored(connection, workspace), datetime.now(UTC)
    listed, error = workspace.name("listed"), None
    workspace.run(f"create table {listed} (user_id varchar)")
    try:
        for entry in settings.suppressed:
            rows = sources[entry.source].read(workspace, snapshot_request(entry))
            with scanning(rows):
                workspace.run(f"insert into {listed} select distinct user_id from ({rows.select})")
            if workspace.one(f"select count(*) from {listed} where user_id is null")[0]:
                changes.invalid_rows += read_invalid_rows(workspace, rows, None)
                workspace.run(f"delete from {listed} where user_id is null")
    except SourceError as failure:
        error = mask_secrets(f"the list of suppressed users can't be read: {failure}", settings.secrets)
        changes.errors.append(f"{error}. Nothing was sent to any user; pending calls stay pending")
    before = f"select user_id from {stored} where origin = '{CONFIG}'"
    added = _table(workspace, f"select distinct user_id from {listed} where not {erased} except {before}")
    removed = _table(workspace, f"{before} except select user_id from {listed}")
    if error is None:
        _guard(workspace, settings, changes, decisions, before, removed)
    everyone = aliases.ids_of(
        workspace,
        f"select user_id from {stored} where origin = '{COMMAND}' union select user_id from {added} "
        f"union ({before} except select user_id from {removed})",
    )
    return SuppressionUpdate(table=everyone, added=added, removed=removed, at=at, error=error)


def _stored(connection: Connection, workspace: Workspace) -> str:
    query = select(suppressions.c.user_id, suppressions.c.origin)
    with connection.execution_options(yield_per=10_000).execute(query) as result:
        return workspace.load({"user_id": "varchar", "origin": "varchar"}, result.partitions())


def _table(workspace: Workspace, query: str) -> str:
    table = workspace.name("suppressed")
    workspace.run(f"create table {table} as {query}")
    return table


def _guard(
    workspace: Workspace, settings: Settings, changes: ChangeSet, decisions: HoldPolicy, before: str, removed: str
) -> None:
    """Empty ``removed`` if too many users would be removed from the lists."""
    known, gone = (workspace.one(f"select count(*) from ({query})")[0] for query in (before, f"from {removed}"))
    users = f"select user_id, false as present from {removed}"
    difference = Difference(
        kind=HoldKind.SUPPRESSED,
        key=KEY,
        counts=ChangeCounts(known, 0, gone),
        users=users,
        tolerance=settings.guard.tolerance,
    )
    held = decisions.decide(difference, suppression_reason(known, gone, settings.guard))
    if held:
        workspace.run(f"delete from {removed}")
        changes.held.append(held.words)
