"""Who has really left? Members who are missing from a snapshot stay for a while, in case they come back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from audience_sync.config.sections.guard import MinStay
from audience_sync.model import AudienceStatus
from audience_sync.store.audiences.absences import last_loaded_runs, read_absent, times_of_absences
from audience_sync.store.connection.engine import Store
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import Absences, AudienceResult
from audience_sync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class DelayedExits:
    """``told``: who entered, and who has been missing for long enough. ``news`` (a query with ``user_id`` and
    ``present``): what the last run didn't know; ``newly_missing`` of it are missing. ``absences`` is None where nobody
    ever stays."""

    diff: MembersDiff
    new_difference: str
    newly_missing: int
    absences: Absences | None = None

    def finding(self, target: ResolvedAudience, before: int) -> AudienceResult:
        absences = self.absences or Absences("", "")
        told, counts = self.diff, (absences.absent, absences.returned)
        numbers = (before, told.entered, told.left, told.invalid)
        return AudienceResult(target.key, target.name, _status(target, told), *numbers, None, None, *counts)


def _status(target: ResolvedAudience, told: MembersDiff) -> AudienceStatus:
    if target.stored is None:
        return AudienceStatus.CREATED
    return AudienceStatus.SYNCED if told.entered + told.left else AudienceStatus.UNCHANGED


def apply_min_stay(
    workspace: Workspace,
    store: Store,
    target: ResolvedAudience,
    diff: MembersDiff,
    *,
    run: int,
    counted_at: datetime | None,
    known: int,
    at_once: str = "false",
) -> DelayedExits:
    """``diff``: the snapshot against the members, among whom are those who were missing before and stay: ``known``
    counts them. ``counted_at``: the time that stays are measured by (None = none of them ends). ``at_once``: a
    condition on ``user_id`` for those who leave without staying."""
    stay = target.config.min_stay
    if target.stored is None or (stay is None and not known):
        return DelayedExits(diff, f"from {diff.table}", diff.left)
    absent = _absent(workspace, store, target)
    gone = f"select user_id from {diff.table} where not present"
    newly = f"{gone} and user_id not in (select user_id from {absent})"
    is_due = _is_due(store, target, stay, run, counted_at)
    due = f"select user_id from {absent} semi join ({gone}) using (user_id) where {is_due} and not ({at_once})"
    leaving = f"{due} union all ({gone} and ({at_once}))" if stay else gone
    back = f"select user_id from {absent} anti join ({gone}) using (user_id)"
    told = workspace.name("told")
    workspace.run(
        f"create table {told} as select user_id, true as present from {diff.table} where present "
        f"union all select user_id, false as present from ({leaving})"
    )
    news = f"from {diff.table} where present or user_id not in (select user_id from {absent})"
    left, missing, returned = (workspace.one(f"select count(*) from ({query})")[0] for query in (leaving, newly, back))
    absences = Absences(
        f"{newly} and not ({at_once}) order by user_id" if stay else f"{newly} and false",
        f"{back} union all {leaving}",
        diff.left - left,
        returned,
    )
    return DelayedExits(MembersDiff(told, diff.entered, left, diff.invalid), news, missing, absences)


def still_missing(workspace: Workspace, store: Store, target: ResolvedAudience, invalid: int) -> MembersDiff:
    """What an unchanged source says: whoever was missing still is."""
    absent, table = _absent(workspace, store, target), workspace.name("missing")
    workspace.run(f"create table {table} as select user_id, false as present from {absent}")
    return MembersDiff(table, 0, workspace.one(f"select count(*) from {table}")[0], invalid)


def _absent(workspace: Workspace, store: Store, target: ResolvedAudience) -> str:
    with store.reading() as connection:
        return read_absent(connection, workspace, target.store_key)


def _is_due(store: Store, target: ResolvedAudience, stay: MinStay | None, run: int, counted_at: datetime | None) -> str:
    """A condition on ``run_id``, the run that missed a member first."""
    if stay is None:
        return "true"
    with store.reading() as connection:
        if stay.runs is not None:
            looks = [run, *last_loaded_runs(connection, target.store_key, stay.runs - 1)]
            return f"run_id < {looks[-1]}" if len(looks) == stay.runs else "false"
        times = times_of_absences(connection, target.store_key)
    if stay.time is None or counted_at is None:
        return "false"
    over = [str(each) for each, at in times.items() if at + stay.time <= counted_at]
    return f"run_id in ({', '.join(over)})" if over else "false"
