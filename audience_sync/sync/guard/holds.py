"""Decide whether a difference passes, from its guard's reason, earlier holds and decisions of people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from audience_sync.model import ChangeCounts, HoldKind, HoldStatus, RunId
from audience_sync.sql import Query
from audience_sync.store.audiences.holds import Hold, HoldKey, NewHold, Sample, first_run_to_hold, read_sample
from audience_sync.sync.guard.limits import same_difference
from audience_sync.sync.guard.messages import (
    decision_commands,
    effect,
    is_held,
    nothing_done,
    subject_name,
    would_be_held,
)
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.findings import Detection, HeldDifference, RunFindings
from audience_sync.sync.values.request import GuardExceptions
from audience_sync.sync.values.run_context import RunContext
from audience_sync.workspace import Workspace

#: Users sampled for a hold: this many who would enter, and this many who would leave.
SAMPLE_USERS = 100


class Difference(Struct, frozen=True, kw_only=True):
    """The changes of a snapshot to one audience, trait or suppression list.

    ``users``: a query with ``user_id`` and ``present``, false for users who would leave or lose the value.
    ``tolerance``: the share of users (0 to 1) by which an equal difference may vary. ``changed``: for a trait, a query
    for all users whose value changes, while ``users`` has those who lose it.
    """

    kind: HoldKind
    key: str
    counts: ChangeCounts
    users: Query
    tolerance: float
    changed: Query | None = None


class ComparedDifference(Struct, frozen=True, kw_only=True):
    """A difference, compared with the last hold of its subject if that waits for a decision or was rejected.

    ``is_same``: whether ``last`` holds this difference. ``undone_by``: the run that undid ``last.undone_run``.
    """

    difference: Difference
    last: Hold | None = None
    sample: Sample = field(default_factory=Sample)
    is_same: bool = False
    undone_by: RunId | None = None

    @property
    def waiting(self) -> Hold | None:
        """The hold that waits for a person's decision, if any."""
        return self.last if self.last and self.last.needs_decision else None

    @property
    def undone_runs(self) -> tuple[RunId, RunId] | None:
        """The run whose undone changes the difference repeats, and the run that undid it."""
        if self.last is None or self.last.undone_run is None or self.undone_by is None or not self.is_same:
            return None
        return self.last.undone_run, self.undone_by

    def is_approved(self, exceptions: GuardExceptions) -> bool:
        """Whether a person has approved this difference, or accepted any of its key."""
        approved = self.waiting is not None and self.waiting.id in exceptions.approved_holds and self.is_same
        return approved or self.difference.key in exceptions.accepted


class Verdict(Struct, frozen=True, kw_only=True):
    """The decision on a difference. ``held``: None if it passes. ``holds``: changes of holds, and their warnings."""

    held: HeldDifference | None
    holds: Detection


def compare_with_hold(context: RunContext, difference: Difference) -> ComparedDifference:
    """Compare a difference with the last hold of its subject."""
    last = context.stored.last_holds.get((difference.kind, difference.key))
    if last is None or last.status not in (HoldStatus.HELD, HoldStatus.REJECTED):
        return ComparedDifference(difference=difference)
    with context.reader.reading() as connection:
        sample = read_sample(connection, last.id)
        undone_by = first_run_to_hold(connection, last) if last.undone_run is not None else None
    is_same = _is_same(context.workspace, last, sample, difference)
    return ComparedDifference(difference=difference, last=last, sample=sample, is_same=is_same, undone_by=undone_by)


def _is_same(workspace: Workspace, hold: Hold, sample: Sample, difference: Difference) -> bool:
    if hold.undone_run is not None:  # the snapshot may have other changes, too
        return _share_of_others(workspace, difference.changed or difference.users, sample) <= difference.tolerance
    others = _share_of_others(workspace, difference.users, sample)
    return same_difference(hold.counts, difference.counts, others=others, tolerance=difference.tolerance)


def decide(
    compared: ComparedDifference,
    reason: str | None,
    exceptions: GuardExceptions,
    run: RunId | None,
    *,
    together: bool = False,
    repeated: bool = False,
) -> Verdict:
    """Decide whether the difference passes. The sample of a new hold is still empty.

    ``reason``: the guard's reason to hold it, alone or ``together`` with others. ``repeated``: the reason is that it
    repeats undone changes, which goes before the guard's reason. ``run``: None for a preview, which holds nothing.
    """
    difference, waiting, undone = compared.difference, compared.waiting, compared.undone_runs
    if compared.is_approved(exceptions):
        return Verdict(held=None, holds=_ended(waiting, HoldStatus.APPROVED))
    if undone is not None and not repeated:
        reason = repeated_changes_reason([difference], *undone)
    if reason is None:
        within = "The new snapshot is within the limits"
        return Verdict(held=None, holds=_superseded(waiting, run, within) if waiting else Detection())
    if waiting and compared.is_same:
        since = f"It is held since run {waiting.first_run}."
        message = _message(replace(waiting, together=together) if repeated else waiting, run, reason, since)
        last = run or waiting.last_run
        held = HeldDifference(message=message, since=waiting.first_run, counts=difference.counts, last=last)
        return Verdict(held=held, holds=Detection(changes=ChangeSet(repeated_holds=(waiting,))))
    new = _new_hold(difference, reason, undone and undone[0], together=together)
    before = _before(compared)
    message = _message(new, run, reason, before)
    held = HeldDifference(message=message, since=run, counts=difference.counts, last=run, before=before)
    return Verdict(
        held=held, holds=_ended(waiting, HoldStatus.SUPERSEDED) + Detection(changes=ChangeSet(new_holds=(new,)))
    )


def guard_difference(
    context: RunContext,
    compared: ComparedDifference,
    reason: str | None,
    *,
    together: bool = False,
    repeated: bool = False,
) -> Verdict:
    """The decision, with the sample of a new hold."""
    verdict = decide(
        compared, reason, context.request.exceptions, context.recorded_run, together=together, repeated=repeated
    )
    changes = verdict.holds.changes
    if not changes.new_holds:
        return verdict
    sample = compared.sample if compared.undone_runs else _sample(context.workspace, compared.difference.users)
    new = tuple(replace(each, sample=sample) for each in changes.new_holds)
    return replace(verdict, holds=replace(verdict.holds, changes=replace(changes, new_holds=new)))


def hold_undone(context: RunContext, difference: Difference, undone_run: RunId) -> ChangeSet:
    """Hold the changes of an undone run, as long as a snapshot would repeat them."""
    waiting = waiting_hold(context, (difference.kind, difference.key))
    new = _new_hold(difference, repeated_changes_reason([difference], undone_run, context.recorded_run), undone_run)
    new = replace(new, sample=_sample(context.workspace, difference.users))
    return _ended(waiting, HoldStatus.SUPERSEDED).changes + ChangeSet(new_holds=(new,))


def waiting_hold(context: RunContext, subject: HoldKey) -> Hold | None:
    """The hold of the subject that waits for a person's decision, if any."""
    hold = context.stored.last_holds.get(subject)
    return hold if hold and hold.needs_decision else None


def release(context: RunContext, kind: HoldKind, keys: Collection[str]) -> Detection:
    """End the holds of subjects whose unchanged snapshot is the stored one."""
    return Detection.total(supersede(context, (kind, key), "The new snapshot is within the limits") for key in keys)


def supersede_missing(context: RunContext, kind: HoldKind, known: Collection[str]) -> Detection:
    """End the holds of subjects that the config no longer has."""
    return Detection.total(
        supersede(context, (each, key), "It is no longer in the config")
        for each, key in context.stored.last_holds
        if each is kind and key not in known
    )


def supersede(context: RunContext, subject: HoldKey, why: str) -> Detection:
    """End the hold of a subject, if it has one, with a warning."""
    hold = waiting_hold(context, subject)
    return _superseded(hold, context.recorded_run, why) if hold else Detection()


def _superseded(hold: Hold, run: RunId | None, why: str) -> Detection:
    ends = "would end" if run is None else "has ended"
    warning = f"{subject_name(hold.kind, hold.key)}: the hold of run {hold.first_run} {ends}. {why}."
    return _ended(hold, HoldStatus.SUPERSEDED) + Detection(findings=RunFindings(warnings=(warning,)))


def _ended(hold: Hold | None, status: HoldStatus) -> Detection:
    return Detection(changes=ChangeSet(ended_holds={hold: status})) if hold else Detection()


def _new_hold(difference: Difference, reason: str, undone_run: RunId | None, *, together: bool = False) -> NewHold:
    return NewHold(
        kind=difference.kind,
        key=difference.key,
        reason=reason,
        counts=difference.counts,
        sample=Sample(),
        together=together,
        undone_run=undone_run,
    )


def _before(compared: ComparedDifference) -> str:
    """A sentence about the last hold of the same subject; empty if it is of no interest."""
    last, difference = compared.last, compared.difference
    if last is None:
        return ""
    if last.needs_decision:
        then = effect(last.kind, last.counts)
        share = f"{difference.tolerance * 100:g}%"
        return f"Run {last.last_run} held another difference, more than {share} apart: {then}."
    return f"Run {last.last_run} held the same, and a person rejected it." if compared.is_same else ""


def _message(hold: Hold | NewHold, run: RunId | None, reason: str, before: str) -> str:
    held_by = run or (hold.last_run if isinstance(hold, Hold) else None)
    if held_by is None:
        reason = would_be_held(reason)
    commands = decision_commands(hold, held_by) if held_by else "`sync` would hold it."
    return " ".join(part for part in (f"{reason}.", nothing_done(hold.kind), before, commands) if part)


def repeated_changes_reason(differences: Sequence[Difference], undone_run: RunId, by: RunId | None) -> str:
    """The reason to hold undone changes; one for several traits."""
    what = is_held(differences[0].kind, *(each.key for each in differences))
    undoing = f"run {by} undid" if by else "would be undone"
    return f"{what}: the snapshot repeats changes of run {undone_run}, which {undoing}"


def _sample(workspace: Workspace, users: str) -> Sample:
    """A sample that represents all users, since it is chosen by hash."""
    query = f"select present, arg_min(user_id, hash(user_id), {SAMPLE_USERS}) from ({users}) group by present"
    found = dict(workspace.all(query))
    return Sample(tuple(sorted(found.get(True, ()))), tuple(sorted(found.get(False, ()))))


def _share_of_others(workspace: Workspace, users: str, sample: Sample) -> float:
    """The share of sampled users (0 to 1) whom the difference doesn't change in the same way."""
    sampled = len(sample.entered) + len(sample.left)
    still = workspace.one(
        f"select count(*) from ({users}) where (present and user_id in (select unnest(?::varchar[]))) "
        "or (not present and user_id in (select unnest(?::varchar[])))",
        [list(sample.entered), list(sample.left)],
    )[0]
    return 1 - still / sampled if sampled else 0.0
