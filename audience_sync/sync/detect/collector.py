"""What would a run change? Every snapshot is taken and compared; nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.errors import SourceError, StoreDamagedError
from audience_sync.model import AudienceStatus, ChangeCounts, HoldKind, InitialSync, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sources.base import SnapshotRequest, Source
from audience_sync.store.audiences.holdouts import read_held_out
from audience_sync.store.audiences.properties import Property
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import Chain, current_rows_query, download_chain
from audience_sync.store.snapshots.repair import rebuild_chain
from audience_sync.sync.diff.audience_diff import AudienceDiff
from audience_sync.sync.diff.holdout import HoldoutSplit, extended_fingerprint, split_holdout
from audience_sync.sync.diff.members import MembersDiff, diff_members
from audience_sync.sync.diff.min_stay import apply_min_stay, still_missing
from audience_sync.sync.diff.priority_groups import Earlier, PriorityGroups
from audience_sync.sync.guard.holds import HoldPolicy
from audience_sync.sync.guard.limits import removes_everyone
from audience_sync.sync.guard.messages import frozen
from audience_sync.sync.load.expectations import check_expectations, columns_text, failure_message
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.load.resolve_ids import AliasMap, ignore_renamed_users, resolve_ids
from audience_sync.sync.load.snapshot import rejected_rows, scanning, snapshot_request
from audience_sync.sync.values.change_set import AudienceResult, ChangeSet, SourceState
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.workspace import Workspace


@dataclass(slots=True)
class ChangeDetector:
    """Takes and compares snapshots, one after another; ``settle`` then takes over what may go through.

    ``profile_fields``: names that no audience may have, since they are profile fields of a destination.
    ``counted_at``: the time that ages are measured by; None = the clock is doubted.
    ``aliases``: under which ids users are known now.
    ``erased``: an SQL condition on ``user_id`` for users who are not to come back.
    ``keys``: only these audiences (None = all); ``due``: only those of these entries of the config.
    ``repairing``: whether this key's damaged chain may be made anew, since everything is told again.
    ``seeding``: the audience that a person seeds by hand, though its config says ``initial: manual``.
    """

    workspace: Workspace
    store: Store
    settings: Settings
    sources: Mapping[str, Source]
    stored: StoredState
    run: int
    counted_at: datetime | None
    changes: ChangeSet
    hold_policy: HoldPolicy
    profile_fields: frozenset[str] = frozenset()
    erased: str = "false"
    aliases: AliasMap = field(default_factory=AliasMap)
    keys: Collection[str] | None = None
    due: Sequence[AudienceConfig] | None = None
    seeding: str | None = None
    resends: Callable[[str], bool] = field(default=lambda key: False)
    watch: Callable[[str], None] = field(default=lambda what: None)
    earlier: Earlier = field(default_factory=dict)
    fetched_chains: dict[int, Chain] = field(default_factory=dict)
    held_out: dict[str, str] = field(default_factory=dict)  # tables of those who were, by key
    diffs: list[AudienceDiff] = field(default_factory=list)
    guarded_count: int = 0  # of those that were compared
    #: ``names_from`` entries of whose audiences not each was taken: their source is to be read again.
    incomplete: set[str] = field(default_factory=set)

    def stored_chain(self, chain_id: int) -> Chain:
        """The chain with its segments in the workspace, fetched once; as this run has changed it so far."""
        if chain_id not in self.fetched_chains:
            self.fetched_chains[chain_id] = self._fetch(self.stored.chains[chain_id])
        return self.fetched_chains[chain_id]

    def _fetch(self, chain: Chain) -> Chain:
        with self.store.reading() as connection:
            try:
                return download_chain(connection, self.workspace, chain)
            except StoreDamagedError:
                if not any(self.resends(key) for key in chain.keys):
                    raise
                return rebuild_chain(connection, self.workspace, chain)

    def detect_audience(self, target: ResolvedAudience) -> None:
        """Take and compare one audience; a source that fails leaves it as it is."""
        if self.is_skipped(target):
            return
        self.watch(f"audience {target.key}")
        try:
            self._compare(target)
        except SourceError as error:
            self._fail(target, failure_message(error, [target.key], of=f"audience '{target.key}': "))

    def is_skipped(self, target: ResolvedAudience) -> bool:
        """Whether the audience is left as it is, since a person has frozen it, or has to seed it first; the findings
        say so."""
        manual = target.config.initial is InitialSync.MANUAL
        waiting = manual and target.stored is None and target.key != self.seeding
        if target.key in self.stored.frozen:
            self.changes.audiences.append(self._frozen(target))
        elif waiting:
            self.changes.audiences.append(_waiting(target))
        return waiting or target.key in self.stored.frozen

    def _frozen(self, target: ResolvedAudience) -> AudienceResult:
        words = frozen(self.stored.frozen[target.key])
        return AudienceResult(target.key, target.name, AudienceStatus.FROZEN, self._before(target), error=words)

    def _fail(self, target: ResolvedAudience, message: str) -> None:
        message = mask_secrets(message, self.settings.secrets)
        self.changes.audiences.append(
            AudienceResult(target.key, target.name, AudienceStatus.FAILED, before=self._before(target), error=message)
        )

    def _before(self, target: ResolvedAudience) -> int:
        return self.stored.chains[target.stored.chain_id].user_count if target.stored else 0

    def _compare(self, target: ResolvedAudience) -> None:
        self.aliases.require()
        source, wanted = self.sources[target.config.source], self.wanted(target.config, [target.key])
        ahead = f"{self.aliases.version} {self.priority_groups.versions(target)}".strip()
        mark = extended_fingerprint(source.fingerprint(wanted), target.config, ahead)
        if target.stored is not None and self.is_unchanged([target.key], mark, wanted) and not target.is_renamed:
            self.note_unchanged(target, target.stored)
            return
        rows = source.read(self.workspace, wanted)
        if not self.is_accepted([target.key]):
            check_expectations(self.workspace, rows, target.config, [target.stored])
        rows = resolve_ids(rows, wanted, self.aliases)
        chain, taken = self.chain_of(target), self._taken(target)
        with scanning(rows):
            diff = diff_members(
                self.workspace,
                f"select user_id from ({rows.select}) anti join {taken} using (user_id)" if taken else rows.select,
                chain,
                beside=self.held_out_query(target),
                erased=self.erased,
                rereadable=rows.rereadable,
            )
        if diff.invalid:
            self.changes.rejected += rejected_rows(self.workspace, rows, target.key)
        gone = f"user_id in (select user_id from {taken})" if taken else "false"
        self.note_difference(target, chain, diff, SourceState(mark, diff.invalid, columns_text(rows)), at_once=gone)

    @property
    def priority_groups(self) -> PriorityGroups:
        return PriorityGroups(self.earlier, self.changes, self.stored, self.run, self.stored_chain, self.held_out_query)

    def _taken(self, target: ResolvedAudience) -> str | None:
        """A view of the users whom audiences that go before have taken."""
        query = self.priority_groups.claimed_users(target)
        if query is None:
            return None
        view = self.workspace.name("taken")
        self.workspace.run(f"create view {view} as {query}")
        return view

    @property
    def is_whole(self) -> bool:
        """Whether all audiences are asked for."""
        return self.keys is None and self.due is None

    def is_due(self, config: AudienceConfig) -> bool:
        return self.due is None or any(config is each for each in self.due)

    def is_accepted(self, keys: Iterable[str]) -> bool:
        """Whether a person takes the snapshot of these as it is, in this run."""
        return not set(self.hold_policy.accepted).isdisjoint(keys)

    def wanted(self, config: SnapshotConfig, keys: Iterable[str]) -> SnapshotRequest:
        return snapshot_request(config, is_accepted=self.is_accepted(keys))

    def is_unchanged(self, keys: Collection[str], mark: str | None, wanted: SnapshotRequest) -> bool:
        """Whether the source is as it was when the snapshot of all these was taken; not what is to be repaired, nor
        what has yet to be read for its columns."""
        known = [self.stored.properties.get(key) for key in keys]
        return (
            mark is not None
            and all(each is not None and each.fingerprint == mark for each in known)
            and all(each and each.columns for each in known if wanted.expected.columns)
            and not any(map(self.resends, keys))
        )

    def chain_of(self, target: ResolvedAudience) -> Chain:
        if target.stored is None:
            return Chain(id=None, kind=PropertyKind.AUDIENCE, keys=(target.key,), user_count=0)
        return self.stored_chain(target.stored.chain_id)

    def held_out_query(self, target: ResolvedAudience) -> str | None:
        """A query for the users who were held out, where there are any: they are read once."""
        if target.key not in self.stored.held_out:
            return None
        if target.key not in self.held_out:
            with self.store.reading() as connection:
                self.held_out[target.key] = read_held_out(connection, self.workspace, target.store_key)
        return f"select user_id from {self.held_out[target.key]}"

    def note_difference(
        self, target: ResolvedAudience, chain: Chain, diff: MembersDiff, taken: SourceState, *, at_once: str = "false"
    ) -> None:
        """Note what a snapshot changes for those who are told, and who is held out. ``at_once``: a condition on
        ``user_id`` for those who don't stay for a while."""
        known = self.stored.held_out.get(target.key, 0)
        parted = split_holdout(self.workspace, target, chain, diff, self.held_out_query(target), known=known)
        at_once = f"({parted.at_once}) or {at_once} or {self.aliases.is_previous}"
        self.queue_for_guard(target, chain, replace(parted, at_once=at_once), taken)

    def queue_for_guard(self, target: ResolvedAudience, chain: Chain, parted: HoldoutSplit, taken: SourceState) -> None:
        """Note the difference, to be judged together with the others."""
        diff, known = parted.diff, self.stored.absent.get(target.key, 0)
        damped = apply_min_stay(
            self.workspace,
            self.store,
            target,
            diff,
            run=self.run,
            counted_at=self.counted_at,
            known=known,
            at_once=parted.at_once,
        )
        news, counts = damped.new_difference, ChangeCounts(chain.user_count - known, diff.entered, damped.newly_missing)
        if chain.files:
            members = f"select user_id from ({current_rows_query(chain)})"
            news, counts = ignore_renamed_users(self.workspace, self.aliases, damped.diff.table, members, news, counts)
        place = len(self.changes.audiences)
        moved = 0
        if removes_everyone(counts):
            away = f"select count(*) from {damped.diff.table} where not present and ({parted.at_once})"
            moved = self.workspace.one(away)[0]
        kept = (damped.absences, parted.held_out, moved)
        self.diffs.append(AudienceDiff(target, chain, damped.diff, news, counts, taken, place, *kept))
        self.changes.audiences.append(damped.finding(target, chain.user_count))

    def note_unchanged(self, target: ResolvedAudience, stored: Property, invalid: int | None = None) -> None:
        """Note an audience whose source is as it was when its snapshot was taken: nothing was read. Who is missing from
        that is still missing."""
        invalid = stored.invalid if invalid is None else invalid
        if target.key in self.stored.absent:
            missing = still_missing(self.workspace, self.store, target, invalid)
            taken = SourceState(stored.fingerprint, stored.invalid, stored.columns)
            self.queue_for_guard(target, self.stored.chains[stored.chain_id], HoldoutSplit(missing), taken)
            return
        members = self.stored.chains[stored.chain_id].user_count
        self.changes.audiences.append(
            AudienceResult(target.key, target.name, AudienceStatus.UNCHANGED, members, invalid=invalid)
        )
        self.hold_policy.release((HoldKind.AUDIENCE, target.key))


def _waiting(target: ResolvedAudience) -> AudienceResult:
    return AudienceResult(
        target.key,
        target.name,
        AudienceStatus.WAITING,
        error=f"waiting for `audience-sync seed {target.key}`",
    )
