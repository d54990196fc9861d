"""Read the suppressed users of a run: those in the store, and the lists of the config."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from audience_sync.errors import SourceError
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sql import Query, TableName
from audience_sync.store.audiences.suppressions import COMMAND, CONFIG
from audience_sync.store.tables import suppressions
from audience_sync.sync.guard.holds import Difference, compare_with_hold, guard_difference
from audience_sync.sync.guard.limits import suppression_reason
from audience_sync.sync.load.snapshot import read_invalid_rows, snapshot_request
from audience_sync.sync.values.change_set import SuppressionUpdate
from audience_sync.sync.values.findings import Detection, RunFindings
from audience_sync.sync.values.run_context import RunContext
from audience_sync.workspace import Workspace

#: The key of all lists together, for `--accept`.
KEY = "suppressed"


def read_suppressed(context: RunContext, connection: Connection) -> tuple[SuppressionUpdate, Detection]:
    """The suppressed users under all their ids. If the guard holds the lists, no user is removed from them."""
    workspace, secrets = context.workspace, context.settings.secrets
    stored, at = _stored(connection, workspace), datetime.now(UTC)
    listed, error, found = workspace.name("listed"), None, Detection()
    workspace.run(f"create table {listed} (user_id varchar)")
    try:
        for entry in context.settings.suppressed:
            rows = context.sources[entry.source].read(workspace, snapshot_request(entry))
            with rows.scanning():
                workspace.run(f"insert into {listed} select distinct user_id from ({rows.select})")
            if workspace.one(f"select count(*) from {listed} where user_id is null")[0]:
                found += Detection(findings=RunFindings(invalid_rows=read_invalid_rows(workspace, rows)))
                workspace.run(f"delete from {listed} where user_id is null")
    except SourceError as failure:
        error = mask_secrets(f"the list of suppressed users can't be read: {failure}", secrets)
        stays = f"{error}. Nothing was sent to any user; pending calls stay pending"
        found += Detection(findings=RunFindings(errors=(stays,)))
    before = f"select user_id from {stored} where origin = '{CONFIG}'"
    added = workspace.table(
        "suppressed", f"select distinct user_id from {listed} where not {context.erased} except {before}"
    )
    removed = workspace.table("suppressed", f"{before} except select user_id from {listed}")
    if error is None:
        found += _guard(context, before, removed)
    everyone = _all_ids(
        context,
        f"select user_id from {stored} where origin = '{COMMAND}' union select user_id from {added} "
        f"union ({before} except select user_id from {removed})",
    )
    return SuppressionUpdate(table=everyone, added=added, removed=removed, at=at, error=error), found


def _stored(connection: Connection, workspace: Workspace) -> TableName:
    query = select(suppressions.c.user_id, suppressions.c.origin)
    with connection.execution_options(yield_per=10_000).execute(query) as result:
        return workspace.load({"user_id": "varchar", "origin": "varchar"}, result.partitions())


def _all_ids(context: RunContext, users: str) -> TableName:
    """A table with all ids of the users (``users``: a query with ``user_id``), their previous ones, too."""
    workspace, pairs = context.workspace, context.aliases.pairs
    if pairs is None:
        return workspace.table("ids", users)
    own = f"select coalesce(a.user_id, u.user_id) as user_id from ({users}) u left join {pairs} a "
    own += "on u.user_id = a.previous_id"
    return workspace.table(
        "ids",
        f"with own as materialized (select distinct user_id from ({own})) "
        f"from own union select previous_id from {pairs} semi join own using (user_id) union from ({users})",
    )


def _guard(context: RunContext, before: str, removed: str) -> Detection:
    """Empty ``removed`` if too many users would be removed from the lists."""
    workspace, guard = context.workspace, context.settings.guard
    known, gone = (workspace.one(f"select count(*) from ({query})")[0] for query in (before, f"from {removed}"))
    difference = Difference(
        kind=HoldKind.SUPPRESSED,
        key=KEY,
        counts=ChangeCounts(known, 0, gone),
        users=Query(f"select user_id, false as present from {removed}"),
        tolerance=guard.tolerance,
    )
    reason = suppression_reason(known, gone, guard)
    verdict = guard_difference(context, compare_with_hold(context, difference), reason)
    if verdict.held is None:
        return verdict.holds
    workspace.run(f"delete from {removed}")
    return verdict.holds + Detection(findings=RunFindings(held=(verdict.held.message,)))
