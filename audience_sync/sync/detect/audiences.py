"""Load and diff each audience."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.errors import SourceError
from audience_sync.model import AudienceStatus, ChangeCounts, HoldKind, InitialSync, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sql import NEVER, Condition, Query
from audience_sync.store.snapshots.chain import Chain, current_rows_query
from audience_sync.sync.diff.holdout import HoldoutSplit, split_holdout
from audience_sync.sync.diff.members import MembersDiff, diff_members
from audience_sync.sync.diff.min_stay import DelayedExits, absent_users, apply_min_stay, gone_users, still_missing
from audience_sync.sync.diff.priority_groups import Claims, claimed_users, claims_of
from audience_sync.sync.guard.holds import release
from audience_sync.sync.guard.limits import audience_reason, removes_everyone
from audience_sync.sync.guard.messages import freeze_text
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, guard_changes
from audience_sync.sync.load.resolve_ids import ignore_renamed_users
from audience_sync.sync.load.snapshot import (
    LoadedSnapshot,
    failure_message,
    load_snapshot,
    read_invalid_rows,
)
from audience_sync.sync.values.change_set import Absences, ChangeSet, Claimed, HeldOut, PropertyChange, SourceState
from audience_sync.sync.values.findings import AudienceResult, Detection, RunFindings
from audience_sync.sync.values.run_context import RunContext
from audience_sync.tracing import stage


class AudienceDiff(Struct, frozen=True, kw_only=True):
    """The diff of one audience, which a guard accepts or holds.

    ``diff``: the users to send. ``guarded`` (a query) and ``counts``: the users who are new in the diff, for the
    guard. ``unavoidable_exits``: if all users leave, those who are held out or in an earlier audience of the group.
    ``is_partial``: it is of a ``names_from`` entry that the next run has to read again. ``is_sample``: the source has
    reported the counts, and only a sample of the users, because the guard holds them.
    """

    target: ResolvedAudience
    chain: Chain
    diff: MembersDiff
    guarded: Query
    counts: ChangeCounts
    source: SourceState
    absences: Absences | None = None
    held_out: HeldOut | None = None
    claimed: Claimed | None = None
    unavoidable_exits: int = 0
    is_partial: bool = False
    is_sample: bool = False

    @property
    def result(self) -> AudienceResult:
        """The result if it is accepted."""
        absences, diff = self.absences, self.diff
        status = AudienceStatus.SYNCED if diff.entered + diff.left else AudienceStatus.UNCHANGED
        return AudienceResult(
            key=self.target.key,
            name=self.target.name,
            status=AudienceStatus.CREATED if self.target.stored is None else status,
            before=self.chain.user_count,
            entered=diff.entered,
            left=diff.left,
            invalid=diff.invalid,
            absent=absences.absent if absences else 0,
            returned=absences.returned if absences else 0,
        )


#: Of loading one audience: a diff to guard, or what is settled without.
Outcome = AudienceDiff | Detection


def detect_audience(
    context: RunContext, target: ResolvedAudience, changes: ChangeSet, earlier: Sequence[ResolvedAudience]
) -> list[Outcome]:
    """Load and diff one audience. If its source fails, it has failed and stays unchanged.

    ``changes``: those accepted so far. ``earlier``: the earlier audiences of its priority group.
    """
    if skipped := skipped_audience(context, target):
        return [skipped]
    context.loading(f"audience {target.key}")
    try:
        return _load_and_diff(context, target, changes, earlier)
    except SourceError as error:
        message = failure_message(error, [target.key], of=f"audience '{target.key}': ")
        message = mask_secrets(message, context.settings.secrets)
        return [not_loaded(context, target, AudienceStatus.FAILED, message)]


def skipped_audience(context: RunContext, target: ResolvedAudience) -> Detection | None:
    """The result of an audience that is frozen or waits for its seed; None if it is to be loaded."""
    if target.key in context.stored.frozen:
        return not_loaded(context, target, AudienceStatus.FROZEN, freeze_text(context.stored.frozen[target.key]))
    is_manual = target.config.initial is InitialSync.MANUAL and target.stored is None
    if is_manual and target.key != context.request.seeded_key:
        return not_loaded(context, target, AudienceStatus.WAITING, f"waiting for `audience-sync seed {target.key}`")
    return None


def not_loaded(context: RunContext, target: ResolvedAudience, status: AudienceStatus, error: str) -> Detection:
    users = context.stored.chains[target.stored.chain_id].user_count if target.stored else 0
    source = None if target.stored else target.config.source
    return result_of(
        AudienceResult(key=target.key, name=target.name, status=status, before=users, error=error, source=source)
    )


def result_of(result: AudienceResult) -> Detection:
    return Detection(findings=RunFindings(audiences=(result,)))


def _load_and_diff(
    context: RunContext, target: ResolvedAudience, changes: ChangeSet, earlier: Sequence[ResolvedAudience]
) -> list[Outcome]:
    claims = claims_of(context, changes, earlier)
    loaded = load_snapshot(
        context,
        target.config,
        [target.key],
        [target.stored],
        may_skip=not target.is_renamed,
        versions=claims.version,
        is_held=lambda _, entered, left: not earlier and is_certainly_held(context, target, entered, left),
    )
    if loaded is None:
        return [unchanged_audience(context, target)]
    with stage("compare", target.key):
        return _compare(context, target, loaded, claims)


def _compare(context: RunContext, target: ResolvedAudience, loaded: LoadedSnapshot, claims: Claims) -> list[Outcome]:
    """The diff of a snapshot, whose rows are read now, and its invalid rows."""
    workspace, rows, change = context.workspace, loaded.rows, None
    chain, ids = stored_chain(context, target, is_compared=rows.left is not None), rows.to_diff
    with rows.scanning():
        if rows.is_compared and (claims.earlier or (target.stored and target.stored.claims)):
            from audience_sync.sync.diff.claims import unclaimed_users

            snapshot, gone, claimed, change = unclaimed_users(context, target, rows, claims)
        else:
            snapshot, claimed = ids.select, claimed_users(context, claims)
            if claimed is not None:
                snapshot = f"select user_id from ({ids.select}) anti join {claimed} using (user_id)"
            gone = None if rows.left is None else gone_users(context, target, rows.left)
        diff = diff_members(
            workspace,
            snapshot,
            chain,
            held_out=context.reader.held_out(target.key),
            erased=context.erased,
            rereadable=rows.rereadable,
            valid_id=ids.valid_id,
            run=context.run,
            gone=gone,
        )
    invalid_rows = read_invalid_rows(workspace, rows, target.key) if diff.invalid else ()
    if rows.fetched and change is None:
        workspace.run(f"drop table {rows.fetched}")
    in_earlier = Condition(f"user_id in (select user_id from {claimed})") if claimed else NEVER
    source = loaded.source_state(diff.invalid)
    if rows.held:
        found = held_diff(context, target, chain, diff, source, numbers=rows.held[None])
    else:
        found = replace(diff_audience(context, target, chain, diff, source, at_once=in_earlier), claimed=change)
    return [Detection(findings=RunFindings(invalid_rows=invalid_rows)), found] if invalid_rows else [found]


def stored_chain(context: RunContext, target: ResolvedAudience, *, is_compared: bool = False) -> Chain:
    """The stored chain before the run. ``is_compared``: the warehouse has compared the snapshot, so that its files are
    needed only if another share is held out.
    """
    if target.stored is None:
        return Chain(id=None, kind=PropertyKind.AUDIENCE, keys=(target.key,), user_count=0)
    if is_compared and target.stored.holdout == target.holdout:
        return context.reader.unfetched_chain(target.stored.chain_id)
    return context.reader.chain(target.stored.chain_id)


def is_certainly_held(context: RunContext, target: ResolvedAudience, entered: int, left: int) -> bool:
    """Whether the guard holds a snapshot because of how many users have entered and left.

    False if it matters who they are: those who are held out, erased or in an earlier audience do not count.
    """
    stored, request = target.stored, context.request
    if stored is None or target.holdout or stored.key in context.stored.held_out or context.stored.erased_hashes:
        return False
    if stored.claims:
        return False
    last = context.stored.last_holds.get((HoldKind.AUDIENCE, stored.key))
    if stored.key in request.exceptions.accepted or (last and last.id in request.exceptions.approved_holds):
        return False
    counts = _counts(context, target, entered, left)
    return audience_reason(stored.key, counts, context.settings.guard_of(target.config)) is not None


def _counts(context: RunContext, target: ResolvedAudience, entered: int, left: int) -> ChangeCounts:
    assert target.stored is not None
    members = context.stored.chains[target.stored.chain_id].user_count
    return ChangeCounts(members - context.stored.absent.get(target.key, 0), entered, left)


def held_diff(
    context: RunContext,
    target: ResolvedAudience,
    chain: Chain,
    sample: MembersDiff,
    source: SourceState,
    *,
    numbers: tuple[int, int],
) -> AudienceDiff:
    """The diff of a snapshot that is certainly held: a ``sample`` of its users, and how many entered and left."""
    entered, left = numbers
    missing = f"or user_id not in (select user_id from {absent_users(context, target)})"
    guarded = Query(f"from {sample.table} where present {missing}")
    diff, counts = MembersDiff(sample.table, entered, left, sample.invalid), _counts(context, target, entered, left)
    return AudienceDiff(
        target=target, chain=chain, diff=diff, guarded=guarded, counts=counts, source=source, is_sample=True
    )


def unchanged_audience(context: RunContext, target: ResolvedAudience, invalid: int | None = None) -> Outcome:
    """The outcome of an unchanged source. Missing members stay missing, so their stay may end."""
    stored = target.stored
    assert stored is not None
    chain, invalid = context.stored.chains[stored.chain_id], stored.invalid if invalid is None else invalid
    if target.key in context.stored.absent:
        missing = still_missing(context, target, invalid)
        source = SourceState(stored.fingerprint, stored.invalid, stored.columns)
        return _delay_exits(context, target, chain, HoldoutSplit(missing), source)
    guard = target.new_guard(context.settings)
    result = AudienceResult(
        key=target.key,
        name=target.name,
        status=AudienceStatus.UNCHANGED,
        before=chain.user_count,
        invalid=invalid,
        config_changes=guard_changes(stored.guard, guard) if guard else None,
    )
    changes = ChangeSet(properties={target.key: PropertyChange(guard=guard)} if guard else {})
    return result_of(result) + Detection(changes=changes) + release(context, HoldKind.AUDIENCE, [target.key])


def diff_audience(
    context: RunContext,
    target: ResolvedAudience,
    chain: Chain,
    diff: MembersDiff,
    source: SourceState,
    *,
    at_once: Condition = NEVER,
) -> AudienceDiff:
    """The diff after the holdout and ``min_stay``.

    ``at_once``: an SQL condition on ``user_id`` for users who leave without ``min_stay``.
    """
    split = HoldoutSplit(diff)
    if target.config.holdout or target.key in context.stored.held_out:
        split = split_holdout(context, target, chain, diff)
    pairs = context.aliases.pairs
    is_previous = NEVER if pairs is None else Condition(f"user_id in (select previous_id from {pairs})")
    at_once = Condition(f"({split.at_once}) or {at_once} or {is_previous}")
    return _delay_exits(context, target, chain, replace(split, at_once=at_once), source)


def _delay_exits(
    context: RunContext, target: ResolvedAudience, chain: Chain, split: HoldoutSplit, source: SourceState
) -> AudienceDiff:
    workspace, diff, absent = context.workspace, split.diff, context.stored.absent.get(target.key, 0)
    delayed = DelayedExits(diff, Query(f"from {diff.table}"), diff.left)
    if target.stored is not None and (target.config.min_stay is not None or absent):
        delayed = apply_min_stay(context, target, diff, at_once=split.at_once)
    guarded, counts = delayed.guarded, ChangeCounts(chain.user_count - absent, diff.entered, delayed.newly_missing)
    if chain.files and context.aliases.pairs:
        members = f"select user_id from ({current_rows_query(chain)})"
        guarded, counts = ignore_renamed_users(
            workspace, context.aliases, delayed.diff.table, members, guarded=guarded, counts=counts
        )
    unavoidable = 0
    if removes_everyone(counts):
        exits = f"select count(*) from {delayed.diff.table} where not present and ({split.at_once})"
        unavoidable = workspace.one(exits)[0]
    return AudienceDiff(
        target=target,
        chain=chain,
        diff=delayed.diff,
        guarded=guarded,
        counts=counts,
        source=source,
        absences=delayed.absences,
        held_out=split.held_out,
        unavoidable_exits=unavoidable,
    )
