"""Undo one run: make the inverse of its changes, except where a newer run has changed the value again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audience_sync.errors import FrozenError, UnknownNameError
from audience_sync.model import AudienceStatus, ChangeCounts, HoldKind, PropertyKind
from audience_sync.store.audiences.holdouts import read_held_out
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.diff.members import MembersDiff
from audience_sync.sync.diff.new_segments import members_change, traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.guard.holds import Difference
from audience_sync.sync.guard.messages import frozen
from audience_sync.sync.operations.run_changes import RevertibleChange, changes_of_run
from audience_sync.sync.values.change_set import AudienceResult, SkippedUser, SourceState
from audience_sync.text import form, listed, pluralize
from audience_sync.workspace import quote_identifier, quote_literal

#: Users of an audience or computed trait who are named, of those who are left as they are; all are counted.
MAX_LISTED_USERS = 1000


def undo(detector: ChangeDetector, run: int) -> None:
    """Take back what ``run`` changed, as changes of this run. If its sources say the same again, that is held.

    No source is read. Raises UnknownNameError, FrozenError and HistoryPrunedError.
    """
    changed = changes_of_run(detector, run)
    if not changed:
        raise UnknownNameError(f"Run {run} changed nothing: there is nothing to undo.")
    _refuse_frozen(detector, run, [each.of.key for each in changed])
    detector.changes.skipped_users = []
    detector.changes.reverted_creations = [each.of.key for each in changed if each.of.created_run == run]
    there = [each for each in changed if not each.of.retired]
    for each in changed:
        _note_skipped(detector, each)
    for each in there:
        if each.of.kind is PropertyKind.AUDIENCE:
            _undo_audience(detector, each, run)
    traits = [each for each in there if each.of.kind is PropertyKind.COMPUTED_TRAIT]
    for chain_id in dict.fromkeys(each.of.chain_id for each in traits):
        _undo_traits(detector, [each for each in traits if each.of.chain_id == chain_id], run)
    if detector.changes.new_holds:
        detector.changes.warnings.append("If the source still has the undone changes, the next run holds them.")


def _refuse_frozen(detector: ChangeDetector, run: int, keys: Sequence[str]) -> None:
    found = [f"audience '{key}' is {frozen(freeze)}" for key in keys if (freeze := detector.stored.frozen.get(key))]
    if found:
        raise FrozenError(f"Run {run} changed what is frozen: {'; '.join(found)}. Nothing was changed or sent.")


def _note_skipped(detector: ChangeDetector, each: RevertibleChange) -> None:
    """Add the users whom the undo skips, with the reason."""
    findings, key = detector.changes, each.of.key
    if each.of.retired:
        findings.warnings.append(f"Skipped: {key} is retired.")
        return
    count = detector.workspace.one(f"select count(*) from ({each.superseded})")[0]
    if count:
        named = detector.workspace.all(f"from ({each.superseded}) order by user_id limit {MAX_LISTED_USERS}")
        findings.skipped_users = [
            *(findings.skipped_users or ()),
            *(SkippedUser(key, user, newer) for user, newer in named),
        ]
        some = listed([f"{user} (run {newer})" for user, newer in named], most=5, count=count)
        words = f"Skipped: {pluralize(count, 'user')} of {key} {form(count, 'has')} a newer change: {some}."
        findings.warnings.append(words)
    if each.unknown:
        words = f"{pluralize(each.unknown, 'user')} of {key}: the value before is not stored"
        findings.warnings.append(f"Skipped: {words}.")


def _undo_audience(detector: ChangeDetector, each: RevertibleChange, run: int) -> None:
    workspace, key, known = detector.workspace, each.of.key, detector.stored
    table = workspace.name("restored")
    back = f"select user_id, before = 'true' as present from ({each.rows})"
    with detector.store.reading() as connection:
        held_out = read_held_out(connection, workspace, key)
    stays_out = f"({detector.erased} or user_id in (select user_id from {held_out}))"
    workspace.run(f"create table {table} as from ({back}) where not (present and {stays_out})")
    entered, left = workspace.one(
        f"select count(*) filter (where present), count(*) filter (where not present) from {table}"
    )
    chain = detector.stored_chain(each.of.chain_id)
    finding = AudienceResult(
        key=key,
        name=each.of.name,
        status=AudienceStatus.SYNCED,
        before=chain.user_count,
        entered=entered,
        left=left,
        invalid=each.of.invalid,
    )
    if not entered + left:
        detector.changes.audiences.append(replace(finding, status=AudienceStatus.UNCHANGED))
        return
    detector.changes.audiences.append(finding)
    change = members_change(workspace, chain, MembersDiff(table, entered, left, 0), detector.run)
    assert change is not None
    detector.changes.changes.append(change)
    detector.fetched_chains[each.of.chain_id] = change.chain
    _read_again(detector, each)
    again = f"select user_id, not present as present from {table}"
    counts = ChangeCounts(finding.after - known.absent.get(key, 0), left, entered)
    detector.hold_policy.hold_undone(
        Difference(kind=HoldKind.AUDIENCE, key=key, counts=counts, users=again, tolerance=0), run
    )


def _undo_traits(detector: ChangeDetector, changed: Sequence[RevertibleChange], run: int) -> None:
    """Undo the changes of traits in one chain."""
    workspace, keys = detector.workspace, [each.of.key for each in changed]
    chain = detector.stored_chain(changed[0].of.chain_id)
    snapshot = workspace.name("snapshot")
    workspace.run(f"create table {snapshot} as {_values_before(chain, changed)}")
    diff = diff_traits(workspace, snapshot, chain, keys, erased=detector.erased)
    change = traits_change(workspace, chain, diff, detector.run)
    if change is None:
        return
    detector.changes.changes.append(change)
    detector.fetched_chains[changed[0].of.chain_id] = change.chain
    users, found = workspace.one(f"select count(distinct user_id) from {diff.log}")[0], detector.changes.traits
    detector.changes.traits = replace(
        found, users=max(found.users, change.chain.user_count), changed=found.changed + users
    )
    for each in changed:
        _read_again(detector, each)
        mine = f"from {diff.log} where key = {quote_literal(each.of.key)}"
        again = f"select user_id, before <> 'null' as present {mine}"
        entered, left, had = workspace.one(
            f"select count(*) filter (where before <> 'null'), count(*) filter (where before = 'null'), "
            f"(select count({trait_column(each.of.key)}) from ({current_rows_query(change.chain)})) {mine}"
        )
        if entered + left:
            counts = ChangeCounts(had, entered, left)
            detector.hold_policy.hold_undone(
                Difference(kind=HoldKind.COMPUTED_TRAIT, key=each.of.key, counts=counts, users=again, tolerance=0), run
            )


def _values_before(chain: Chain, changed: Sequence[RevertibleChange]) -> str:
    """A query for the traits without the run's changes: ``user_id`` and a column per key."""
    columns = ", ".join(
        f"case when r{place}.user_id is not null then r{place}.before else c.{trait_column(each.of.key)} end "
        f"as {quote_identifier(each.of.key)}"
        for place, each in enumerate(changed)
    )
    joins = " ".join(f"left join ({each.rows}) r{place} using (user_id)" for place, each in enumerate(changed))
    everyone = " union ".join(
        [
            f"select user_id from ({current_rows_query(chain)})",
            *(f"select user_id from ({each.rows})" for each in changed),
        ]
    )
    rows = current_rows_query(chain)
    return f"select u.user_id, {columns} from ({everyone}) u left join ({rows}) c using (user_id) {joins}"


def _read_again(detector: ChangeDetector, each: RevertibleChange) -> None:
    """Drop the fingerprint, so that the next run reads the source even if it is unchanged."""
    detector.changes.source_states[each.of.key] = SourceState(None, each.of.invalid, each.of.columns)
