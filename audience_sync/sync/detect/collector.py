"""Load the snapshots of audiences, diff them with the stored ones and apply the policies that delay or hold out."""

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
from audience_sync.store.snapshots.chain import Chain, current_rows_query, download_chain, rebuild_chain
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
from audience_sync.sync.load.snapshot import read_invalid_rows, scanning, snapshot_request
from audience_sync.sync.values.change_set import AudienceResult, ChangeSet, SourceState
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.workspace import Workspace


@dataclass(slots=True, kw_only=True)
class ChangeDetector:
    """The state of a run's detection: snapshots are diffed one after another, and guarded in waves.

    ``profile_fields``: profile fields of destinations, which can't be keys of audiences.
    ``counted_at``: the time that ages are measured by; None if the clock is doubted.
    ``aliases``: previous ids and the ids that replace them.
    ``erased``: an SQL condition on ``user_id`` for erased users, who never enter again.
    ``keys``: only these audiences; ``due``: only audiences of these config entries. None is all.
    ``resends``: whether everything of a key is sent again, so that its damaged chain may be rebuilt.
    ``seeding``: the audience with ``initial: manual`` that this run may create.
    ``fetched_chains``: chains with downloaded segments, as changed so far. ``held_out``: tables of held-out users.
    ``guarded_count``: the number of ``diffs`` that are guarded already.
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
    held_out: dict[str, str] = field(default_factory=dict)
    diffs: list[AudienceDiff] = field(default_factory=list)
    guarded_count: int = 0
    #: ``names_from`` entries with an audience that was not accepted: the next run reads their source again.
    incomplete: set[str] = field(default_factory=set)

    def stored_chain(self, chain_id: int) -> Chain:
        """The chain with its segments in the workspace, as this run has changed it so far."""
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
        """Load and diff one audience. If its source fails, it has failed and stays unchanged."""
        if self.is_skipped(target):
            return
        self.watch(f"audience {target.key}")
        try:
            self._compare(target)
        except SourceError as error:
            self._fail(target, failure_message(error, [target.key], of=f"audience '{target.key}': "))

    def is_skipped(self, target: ResolvedAudience) -> bool:
        """Whether the audience is frozen or waits for its seed; then its result is added."""
        manual = target.config.initial is InitialSync.MANUAL
        waiting = manual and target.stored is None and target.key != self.seeding
        if target.key in self.stored.frozen:
            self.changes.audiences.append(self._frozen(target))
        elif waiting:
            self.changes.audiences.append(_waiting(target))
        return waiting or target.key in self.stored.frozen

    def _frozen(self, target: ResolvedAudience) -> AudienceResult:
        words = frozen(self.stored.frozen[target.key])
        return AudienceResult(
            key=target.key, name=target.name, status=AudienceStatus.FROZEN, before=self._before(target), error=words
        )

    def _fail(self, target: ResolvedAudience, message: str) -> None:
        message = mask_secrets(message, self.settings.secrets)
        self.changes.audiences.append(
            AudienceResult(
                key=target.key,
                name=target.name,
                status=AudienceStatus.FAILED,
                before=self._before(target),
                error=message,
            )
        )

    def _before(self, target: ResolvedAudience) -> int:
        return self.stored.chains[target.stored.chain_id].user_count if target.stored else 0

    def _compare(self, target: ResolvedAudience) -> None:
        self.aliases.require()
        source, wanted = self.sources[target.config.source], self.wanted(target.config, [target.key])
        ahead = f"{self.aliases.version} {self.priority_groups.versions(target)}".strip()
        fingerprint = extended_fingerprint(source.fingerprint(wanted), target.config, ahead)
        if target.stored is not None and self.is_unchanged([target.key], fingerprint, wanted) and not target.is_renamed:
            self.note_unchanged(target, target.stored)
            return
        rows = source.read(self.workspace, wanted)
        if not self.is_accepted([target.key]):
            check_expectations(self.workspace, rows, target.config, [target.stored])
        rows = resolve_ids(rows, wanted, self.aliases)
        chain, claimed = self.chain_of(target), self._claimed_users(target)
        with scanning(rows):
            diff = diff_members(
                self.workspace,
                f"select user_id from ({rows.select}) anti join {claimed} using (user_id)" if claimed else rows.select,
                chain,
                beside=self.held_out_query(target),
                erased=self.erased,
                rereadable=rows.rereadable,
            )
        if diff.invalid:
            self.changes.invalid_rows += read_invalid_rows(self.workspace, rows, target.key)
        in_earlier = f"user_id in (select user_id from {claimed})" if claimed else "false"
        self.note_difference(
            target, chain, diff, SourceState(fingerprint, diff.invalid, columns_text(rows)), at_once=in_earlier
        )

    @property
    def priority_groups(self) -> PriorityGroups:
        return PriorityGroups(
            earlier=self.earlier,
            changes=self.changes,
            stored=self.stored,
            run=self.run,
            chain=self.stored_chain,
            held_out=self.held_out_query,
        )

    def _claimed_users(self, target: ResolvedAudience) -> str | None:
        """A view of the users whom earlier audiences of the priority group have claimed."""
        query = self.priority_groups.claimed_users(target)
        if query is None:
            return None
        view = self.workspace.name("claimed")
        self.workspace.run(f"create view {view} as {query}")
        return view

    @property
    def is_whole(self) -> bool:
        """Whether the run covers all audiences."""
        return self.keys is None and self.due is None

    def is_due(self, config: AudienceConfig) -> bool:
        return self.due is None or any(config is each for each in self.due)

    def is_accepted(self, keys: Iterable[str]) -> bool:
        """Whether a person accepts the snapshot of one of these keys in this run."""
        return not set(self.hold_policy.accepted).isdisjoint(keys)

    def wanted(self, config: SnapshotConfig, keys: Iterable[str]) -> SnapshotRequest:
        return snapshot_request(config, is_accepted=self.is_accepted(keys))

    def is_unchanged(self, keys: Collection[str], fingerprint: str | None, wanted: SnapshotRequest) -> bool:
        """Whether all these keys were last loaded from the same fingerprint, so that the source need not be read.

        Damaged chains that may be rebuilt, and snapshots whose expected columns are not stored, are read.
        """
        known = [self.stored.properties.get(key) for key in keys]
        return (
            fingerprint is not None
            and all(each is not None and each.fingerprint == fingerprint for each in known)
            and all(each and each.columns for each in known if wanted.expected.columns)
            and not any(map(self.resends, keys))
        )

    def chain_of(self, target: ResolvedAudience) -> Chain:
        if target.stored is None:
            return Chain(id=None, kind=PropertyKind.AUDIENCE, keys=(target.key,), user_count=0)
        return self.stored_chain(target.stored.chain_id)

    def held_out_query(self, target: ResolvedAudience) -> str | None:
        """A query for the users held out before this run; None if there are none."""
        if target.key not in self.stored.held_out:
            return None
        if target.key not in self.held_out:
            with self.store.reading() as connection:
                self.held_out[target.key] = read_held_out(connection, self.workspace, target.store_key)
        return f"select user_id from {self.held_out[target.key]}"

    def note_difference(
        self,
        target: ResolvedAudience,
        chain: Chain,
        diff: MembersDiff,
        source_state: SourceState,
        *,
        at_once: str = "false",
    ) -> None:
        """Apply the holdout to a diff and queue it for the guard.

        ``at_once``: an SQL condition on ``user_id`` for users who leave without ``min_stay``.
        """
        known = self.stored.held_out.get(target.key, 0)
        split = split_holdout(self.workspace, target, chain, diff, self.held_out_query(target), known=known)
        at_once = f"({split.at_once}) or {at_once} or {self.aliases.is_previous}"
        self.queue_for_guard(target, chain, replace(split, at_once=at_once), source_state)

    def queue_for_guard(
        self, target: ResolvedAudience, chain: Chain, split: HoldoutSplit, source_state: SourceState
    ) -> None:
        """Apply ``min_stay``, ignore users with a new id only, and queue the diff for the guard."""
        diff, known = split.diff, self.stored.absent.get(target.key, 0)
        delayed = apply_min_stay(
            self.workspace,
            self.store,
            target,
            diff,
            run=self.run,
            counted_at=self.counted_at,
            known=known,
            at_once=split.at_once,
        )
        new_difference, counts = (
            delayed.new_difference,
            ChangeCounts(chain.user_count - known, diff.entered, delayed.newly_missing),
        )
        if chain.files:
            members = f"select user_id from ({current_rows_query(chain)})"
            new_difference, counts = ignore_renamed_users(
                self.workspace, self.aliases, delayed.diff.table, members, new_difference, counts
            )
        unavoidable = 0
        if removes_everyone(counts):
            exits = f"select count(*) from {delayed.diff.table} where not present and ({split.at_once})"
            unavoidable = self.workspace.one(exits)[0]
        self.diffs.append(
            AudienceDiff(
                target=target,
                chain=chain,
                diff=delayed.diff,
                new_difference=new_difference,
                counts=counts,
                source_state=source_state,
                result_index=len(self.changes.audiences),
                absences=delayed.absences,
                held_out=split.held_out,
                unavoidable_exits=unavoidable,
            )
        )
        self.changes.audiences.append(delayed.finding(target, chain.user_count))

    def note_unchanged(self, target: ResolvedAudience, stored: Property, invalid: int | None = None) -> None:
        """Add the result of an unchanged source. Missing members stay missing, so their stay may end."""
        invalid = stored.invalid if invalid is None else invalid
        if target.key in self.stored.absent:
            missing = still_missing(self.workspace, self.store, target, invalid)
            source_state = SourceState(stored.fingerprint, stored.invalid, stored.columns)
            self.queue_for_guard(target, self.stored.chains[stored.chain_id], HoldoutSplit(missing), source_state)
            return
        members = self.stored.chains[stored.chain_id].user_count
        self.changes.audiences.append(
            AudienceResult(
                key=target.key, name=target.name, status=AudienceStatus.UNCHANGED, before=members, invalid=invalid
            )
        )
        self.hold_policy.release((HoldKind.AUDIENCE, target.key))


def _waiting(target: ResolvedAudience) -> AudienceResult:
    return AudienceResult(
        key=target.key,
        name=target.name,
        status=AudienceStatus.WAITING,
        error=f"waiting for `audience-sync seed {target.key}`",
    )
