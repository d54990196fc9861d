"""Decide whether a difference passes, from its guard's reason, earlier holds and decisions of people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from audience_sync.model import ChangeCounts, HoldKind, HoldStatus
from audience_sync.store.audiences.holds import Hold, HoldKey, NewHold, Sample, first_run_to_hold, read_sample
from audience_sync.store.connection.engine import Store
from audience_sync.sync.guard.limits import same_difference
from audience_sync.sync.guard.messages import (
    decision_commands,
    effect,
    is_held,
    nothing_done,
    subject_name,
    would_be_held,
)
from audience_sync.sync.values.change_set import ChangeSet, HeldDifference
from audience_sync.workspace import Workspace

#: Users sampled for a hold: this many who would enter, and this many who would leave.
SAMPLED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The changes of a snapshot to one audience, trait or suppression list.

    ``users``: a query with ``user_id`` and ``present``, false for users who would leave or lose the value.
    ``tolerance``: the share of users (0 to 1) by which an equal difference may vary. ``changed``: for a trait, a query
    for all users whose value changes, while ``users`` has those who lose it.
    """

    kind: HoldKind
    key: str
    counts: ChangeCounts
    users: str
    tolerance: float
    changed: str | None = None

    @property
    def subject(self) -> HoldKey:
        return self.kind, self.key


@dataclass(slots=True, kw_only=True)
class HoldPolicy:
    """Decides on differences, and adds new, repeated and ended holds to the change set.

    ``last_holds``: the last hold of each subject. ``run``: None for a preview, which holds nothing. ``accepted``: keys
    whose guard does not apply. ``approved_holds``: ids of holds that a person approves.
    """

    workspace: Workspace
    store: Store
    last_holds: Mapping[HoldKey, Hold]
    changes: ChangeSet
    run: int | None
    accepted: Collection[str] = ()
    approved_holds: Collection[int] = ()
    _same: dict[HoldKey, bool] = field(default_factory=dict)

    def waiting(self, subject: HoldKey) -> Hold | None:
        """The hold of the subject that waits for a person's decision, if any."""
        hold = self.last_holds.get(subject)
        return hold if hold and hold.needs_decision else None

    def is_approved(self, difference: Difference) -> bool:
        """Whether a person has approved this difference, or accepted any of its key."""
        hold = self.waiting(difference.subject)
        approved = hold is not None and hold.id in self.approved_holds and self._is_same(hold, difference)
        return approved or difference.key in self.accepted

    def decide(
        self, difference: Difference, reason: str | None, *, together: bool = False, repeated: bool = False
    ) -> HeldDifference | None:
        """Return None if the difference passes, or else what is held.

        ``reason``: the guard's reason to hold it, alone or ``together`` with others. ``repeated``: the reason is that
        it repeats undone changes, which goes before the guard's reason.
        """
        hold = self.waiting(difference.subject)
        if self.is_approved(difference):
            self._end(hold, HoldStatus.APPROVED)
            return None
        undone = self.undone(difference)
        if undone is not None and not repeated:
            reason = repeats([difference], *self.undone_by(undone))
        if reason is None:
            self.release(difference.subject)
            return None
        if hold and self._is_same(hold, difference):
            self.changes.repeated_holds.append(hold)
            since = f"It is held since run {hold.first_run}."
            met = replace(hold, together=together) if repeated else hold
            words = self._words(met, reason, since)
            return HeldDifference(
                words=words, since=hold.first_run, counts=difference.counts, last=self.run or hold.last_run
            )
        self._end(hold, HoldStatus.SUPERSEDED)
        sample = self._read_sample(undone) if undone else _sample(self.workspace, difference.users)
        undone_run = undone.undone_run if undone else None
        new = NewHold(
            kind=difference.kind,
            key=difference.key,
            reason=reason,
            counts=difference.counts,
            sample=sample,
            together=together,
            undone_run=undone_run,
        )
        self.changes.new_holds.append(new)
        before = self._before(difference)
        return HeldDifference(
            words=self._words(new, reason, before),
            since=self.run,
            counts=difference.counts,
            last=self.run,
            before=before,
        )

    def hold_undone(self, difference: Difference, undone_run: int) -> None:
        """Hold the changes of an undone run, as long as a snapshot would repeat them."""
        self._end(self.waiting(difference.subject), HoldStatus.SUPERSEDED)
        reason = repeats([difference], undone_run, self.run)
        sample = _sample(self.workspace, difference.users)
        self.changes.new_holds.append(
            NewHold(
                kind=difference.kind,
                key=difference.key,
                reason=reason,
                counts=difference.counts,
                sample=sample,
                undone_run=undone_run,
            )
        )

    def undone_by(self, hold: Hold) -> tuple[int, int]:
        """The undone run and the run that undid it, which is the first that held the changes."""
        assert hold.undone_run is not None
        with self.store.reading() as connection:
            return hold.undone_run, first_run_to_hold(connection, hold)

    def undone(self, difference: Difference) -> Hold | None:
        """The last hold, if it is for undone changes that the difference repeats, and was not approved."""
        last = self.last_holds.get(difference.subject)
        if last is None or last.undone_run is None or last.status not in (HoldStatus.HELD, HoldStatus.REJECTED):
            return None
        return last if self._is_same(last, difference) else None

    def release(self, subject: HoldKey) -> None:
        """End the hold of a subject whose new snapshot passes its guard."""
        self.supersede(subject, "The new snapshot is within the limits")

    def supersede_missing(self, kind: HoldKind, known: Collection[str]) -> None:
        """End the holds of subjects that the config no longer has."""
        for each, key in self.last_holds:
            if each is kind and key not in known:
                self.supersede((each, key), "It is no longer in the config")

    def supersede(self, subject: HoldKey, why: str) -> None:
        """End the hold of a subject, if it has one, with a warning."""
        hold = self.waiting(subject)
        if hold:
            self._end(hold, HoldStatus.SUPERSEDED)
            ends = "would end" if self.run is None else "has ended"
            self.changes.warnings.append(f"{subject_name(*subject)}: the hold of run {hold.first_run} {ends}. {why}.")

    def _end(self, hold: Hold | None, status: HoldStatus) -> None:
        if hold:
            self.changes.ended_holds[hold] = status

    def _is_same(self, hold: Hold, difference: Difference) -> bool:
        if hold.subject not in self._same:
            sample = self._read_sample(hold)
            if hold.undone_run is not None:  # the snapshot may have other changes, too
                others = _others(self.workspace, difference.changed or difference.users, sample)
                same = others <= difference.tolerance
            else:
                others = _others(self.workspace, difference.users, sample)
                same = same_difference(hold.counts, difference.counts, others=others, tolerance=difference.tolerance)
            self._same[hold.subject] = same
        return self._same[hold.subject]

    def _read_sample(self, hold: Hold) -> Sample:
        with self.store.reading() as connection:
            return read_sample(connection, hold.id)

    def _before(self, difference: Difference) -> str:
        """A sentence about the last hold of the same subject; empty if it is of no interest."""
        last = self.last_holds.get(difference.subject)
        if last is None:
            return ""
        if last.needs_decision:
            then = effect(last.kind, last.counts)
            share = f"{difference.tolerance * 100:g}%"
            return f"Run {last.last_run} held another difference, more than {share} apart: {then}."
        if last.status is HoldStatus.REJECTED and self._is_same(last, difference):
            return f"Run {last.last_run} held the same, and a person rejected it."
        return ""

    def _words(self, hold: Hold | NewHold, reason: str, before: str) -> str:
        run = self.run or (hold.last_run if isinstance(hold, Hold) else None)
        if run is None:
            reason = would_be_held(reason)
        decide = decision_commands(hold, run) if run else "`sync` would hold it."
        return " ".join(part for part in (f"{reason}.", nothing_done(hold.kind), before, decide) if part)


def repeats(differences: Sequence[Difference], undone_run: int, by: int | None) -> str:
    """The reason to hold undone changes; one for several traits."""
    what = is_held(differences[0].kind, *(each.key for each in differences))
    undoing = f"run {by} undid" if by else "would be undone"
    return f"{what}: the snapshot repeats changes of run {undone_run}, which {undoing}"


def _sample(workspace: Workspace, users: str) -> Sample:
    """A sample that represents all users, since it is chosen by hash."""
    query = f"select present, arg_min(user_id, hash(user_id), {SAMPLED}) from ({users}) group by present"
    found = dict(workspace.all(query))
    return Sample(tuple(sorted(found.get(True, ()))), tuple(sorted(found.get(False, ()))))


def _others(workspace: Workspace, users: str, sample: Sample) -> float:
    """The share of sampled users (0 to 1) whom the difference doesn't change in the same way."""
    sampled = len(sample.entered) + len(sample.left)
    still = workspace.one(
        f"select count(*) from ({users}) where (present and user_id in (select unnest(?::varchar[]))) "
        "or (not present and user_id in (select unnest(?::varchar[])))",
        [list(sample.entered), list(sample.left)],
    )[0]
    return 1 - still / sampled if sampled else 0.0
