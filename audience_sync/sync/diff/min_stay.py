"""Keep members who are missing from a snapshot for the time of `min_stay`, in case they come back."""

from __future__ import annotations

from msgspec import Struct

from audience_sync.config.sections.guard import MinStay
from audience_sync.sql import NEVER, Condition, Query, TableName
from audience_sync.store.audiences.absences import last_loaded_runs, read_absent, times_of_absences
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import Absences
from audience_sync.sync.values.run_context import RunContext


class DelayedExits(Struct, frozen=True):
    """A diff with delayed exits.

    ``diff``: users who entered, and users whose stay is over. ``guarded``: a query (``user_id``, ``present``)
    for changes since the last run, of which ``newly_missing`` are exits. ``absences``: None without a `min_stay`.
    """

    diff: MembersDiff
    guarded: Query
    newly_missing: int
    absences: Absences | None = None


def apply_min_stay(
    context: RunContext, target: ResolvedAudience, diff: MembersDiff, *, at_once: Condition = NEVER
) -> DelayedExits:
    """Delay the exits of a diff.

    ``at_once``: an SQL condition on ``user_id`` for users who leave without a stay.
    """
    workspace, stay = context.workspace, target.config.min_stay
    absent = absent_users(context, target)
    gone = f"select user_id from {diff.table} where not present"
    newly = f"{gone} and user_id not in (select user_id from {absent})"
    is_due = _is_due(context, target, stay)
    due = f"select user_id from {absent} semi join ({gone}) using (user_id) where {is_due} and not ({at_once})"
    leaving = f"{due} union all ({gone} and ({at_once}))" if stay else gone
    back = f"select user_id from {absent} anti join ({gone}) using (user_id)"
    delayed = workspace.table(
        "delayed",
        f"select user_id, true as present from {diff.table} where present "
        f"union all select user_id, false as present from ({leaving})",
    )
    guarded = Query(f"from {diff.table} where present or user_id not in (select user_id from {absent})")
    left, missing, returned = (workspace.one(f"select count(*) from ({query})")[0] for query in (leaving, newly, back))
    absences = Absences(
        Query(f"{newly} and not ({at_once}) order by user_id" if stay else f"{newly} and false"),
        Query(f"{back} union all {leaving}"),
        diff.left - left,
        returned,
    )
    return DelayedExits(MembersDiff(delayed, diff.entered, left, diff.invalid), guarded, missing, absences)


def still_missing(context: RunContext, target: ResolvedAudience, invalid: int) -> MembersDiff:
    """The diff of an unchanged source: all members who were missing still are."""
    workspace, absent = context.workspace, absent_users(context, target)
    table = workspace.table("missing", f"select user_id, false as present from {absent}")
    return MembersDiff(table, 0, workspace.one(f"select count(*) from {table}")[0], invalid)


def gone_users(context: RunContext, target: ResolvedAudience, left: Query) -> Query:
    """The users of a compared snapshot who are missing now: those who left (``left``), and those who were missing."""
    now = f"select user_id from ({left}) where not ({context.erased})"
    if target.key not in context.stored.absent:
        return Query(now)
    return Query(f"{now} union all select user_id from {absent_users(context, target)}")


def absent_users(context: RunContext, target: ResolvedAudience) -> TableName:
    """A table of the missing members who stay: ``user_id``, and ``run_id`` of the first run that missed them."""
    with context.reader.reading() as connection:
        return read_absent(connection, context.workspace, target.store_key)


def _is_due(context: RunContext, target: ResolvedAudience, stay: MinStay | None) -> str:
    """An SQL condition on ``run_id``, the first run without the member."""
    if stay is None:
        return "true"
    with context.reader.reading() as connection:
        if stay.runs is not None:
            loading_runs = [context.run, *last_loaded_runs(connection, target.store_key, stay.runs - 1)]
            return f"run_id < {loading_runs[-1]}" if len(loading_runs) == stay.runs else "false"
        times = times_of_absences(connection, target.store_key)
    if stay.time is None or context.counted_at is None:
        return "false"
    over = [str(each) for each, at in times.items() if at + stay.time <= context.counted_at]
    return f"run_id in ({', '.join(over)})" if over else "false"
