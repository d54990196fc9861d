"""What would a run change? Every snapshot is taken and compared; nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.errors import SourceError, StoreDamagedError
from audience_sync.model import AudienceStatus, Counts, HoldKind, Initial, PropertyKind
from audience_sync.redaction.secrets import masked
from audience_sync.sources.base import Source, Wanted
from audience_sync.store.audiences.holdouts import read_held_out
from audience_sync.store.audiences.properties import Property
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import Chain, current, fetch
from audience_sync.store.snapshots.repair import salvage
from audience_sync.sync.diff.audience_diff import Compared
from audience_sync.sync.diff.holdout import Parted, mark_with, part
from audience_sync.sync.diff.members import MembersDiff, diff_members
from audience_sync.sync.diff.min_stay import damp, still_missing
from audience_sync.sync.diff.priority_groups import Ahead, Earlier
from audience_sync.sync.guard.holds import Decisions
from audience_sync.sync.guard.limits import empties
from audience_sync.sync.guard.messages import frozen
from audience_sync.sync.load.expectations import admit, columns_text, in_full
from audience_sync.sync.load.resolve_audiences import Target
from audience_sync.sync.load.resolve_ids import Aliases, identified, without_moved
from audience_sync.sync.load.snapshot import rejected_rows, scanning, wanted_of
from audience_sync.sync.values.change_set import AudienceFinding, Findings, Taken
from audience_sync.sync.values.stored_state import Known
from audience_sync.workspace import Workspace


@dataclass(slots=True)
class Collector:
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
    known: Known
    run: int
    counted_at: datetime | None
    findings: Findings
    decisions: Decisions
    profile_fields: frozenset[str] = frozenset()
    erased: str = "false"
    aliases: Aliases = field(default_factory=Aliases)
    keys: Collection[str] | None = None
    due: Sequence[AudienceConfig] | None = None
    seeding: str | None = None
    repairing: Callable[[str], bool] = field(default=lambda key: False)
    watch: Callable[[str], None] = field(default=lambda what: None)
    earlier: Earlier = field(default_factory=dict)
    fetched: dict[int, Chain] = field(default_factory=dict)
    held_out: dict[str, str] = field(default_factory=dict)  # tables of those who were, by key
    compared: list[Compared] = field(default_factory=list)
    settled: int = 0  # of those that were compared
    #: ``names_from`` entries of whose audiences not each was taken: their source is to be read again.
    incomplete: set[str] = field(default_factory=set)

    def stored_chain(self, chain_id: int) -> Chain:
        """The chain with its segments in the workspace, fetched once; as this run has changed it so far."""
        if chain_id not in self.fetched:
            self.fetched[chain_id] = self._fetch(self.known.chains[chain_id])
        return self.fetched[chain_id]

    def _fetch(self, chain: Chain) -> Chain:
        with self.store.reading() as connection:
            try:
                return fetch(connection, self.workspace, chain)
            except StoreDamagedError:
                if not any(self.repairing(key) for key in chain.keys):
                    raise
                return salvage(connection, self.workspace, chain)

    def audience(self, target: Target) -> None:
        """Take and compare one audience; a source that fails leaves it as it is."""
        if self.passes_over(target):
            return
        self.watch(f"audience {target.key}")
        try:
            self._compare(target)
        except SourceError as error:
            self._fail(target, in_full(error, [target.key], of=f"audience '{target.key}': "))

    def passes_over(self, target: Target) -> bool:
        """Whether the audience is left as it is, since a person has frozen it, or has to seed it first; the findings
        say so."""
        manual = target.config.initial is Initial.MANUAL
        waiting = manual and target.stored is None and target.key != self.seeding
        if target.key in self.known.frozen:
            self.findings.audiences.append(self._frozen(target))
        elif waiting:
            self.findings.audiences.append(_waiting(target))
        return waiting or target.key in self.known.frozen

    def _frozen(self, target: Target) -> AudienceFinding:
        words = frozen(self.known.frozen[target.key])
        return AudienceFinding(target.key, target.name, AudienceStatus.FROZEN, self._before(target), error=words)

    def _fail(self, target: Target, message: str) -> None:
        message = masked(message, self.settings.secrets)
        self.findings.audiences.append(
            AudienceFinding(target.key, target.name, AudienceStatus.FAILED, before=self._before(target), error=message)
        )

    def _before(self, target: Target) -> int:
        return self.known.chains[target.stored.chain_id].users if target.stored else 0

    def _compare(self, target: Target) -> None:
        self.aliases.require()
        source, wanted = self.sources[target.config.source], self.wanted(target.config, [target.key])
        ahead = f"{self.aliases.version} {self.ahead.versions(target)}".strip()
        mark = mark_with(source.mark(wanted), target.config, ahead)
        if target.stored is not None and self.is_known([target.key], mark, wanted) and not target.is_renamed:
            self.pass_over(target, target.stored)
            return
        rows = source.read(self.workspace, wanted)
        if not self.is_accepted([target.key]):
            admit(self.workspace, rows, target.config, [target.stored])
        rows = identified(rows, wanted, self.aliases)
        chain, taken = self.chain_of(target), self._taken(target)
        with scanning(rows):
            diff = diff_members(
                self.workspace,
                f"select user_id from ({rows.select}) anti join {taken} using (user_id)" if taken else rows.select,
                chain,
                beside=self.beside(target),
                erased=self.erased,
                rereadable=rows.rereadable,
            )
        if diff.invalid:
            self.findings.rejected += rejected_rows(self.workspace, rows, target.key)
        gone = f"user_id in (select user_id from {taken})" if taken else "false"
        self.part(target, chain, diff, Taken(mark, diff.invalid, columns_text(rows)), at_once=gone)

    @property
    def ahead(self) -> Ahead:
        return Ahead(self.earlier, self.findings, self.known, self.run, self.stored_chain, self.beside)

    def _taken(self, target: Target) -> str | None:
        """A view of the users whom audiences that go before have taken."""
        query = self.ahead.taken(target)
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
        return not set(self.decisions.accept).isdisjoint(keys)

    def wanted(self, config: SnapshotConfig, keys: Iterable[str]) -> Wanted:
        return wanted_of(config, is_accepted=self.is_accepted(keys))

    def is_known(self, keys: Collection[str], mark: str | None, wanted: Wanted) -> bool:
        """Whether the source is as it was when the snapshot of all these was taken; not what is to be repaired, nor
        what has yet to be read for its columns."""
        known = [self.known.properties.get(key) for key in keys]
        return (
            mark is not None
            and all(each is not None and each.mark == mark for each in known)
            and all(each and each.columns for each in known if wanted.expected.columns)
            and not any(map(self.repairing, keys))
        )

    def chain_of(self, target: Target) -> Chain:
        if target.stored is None:
            return Chain(None, PropertyKind.AUDIENCE, (target.key,), 0)
        return self.stored_chain(target.stored.chain_id)

    def beside(self, target: Target) -> str | None:
        """A query for the users who were held out, where there are any: they are read once."""
        if target.key not in self.known.held_out:
            return None
        if target.key not in self.held_out:
            with self.store.reading() as connection:
                self.held_out[target.key] = read_held_out(connection, self.workspace, target.store_key)
        return f"select user_id from {self.held_out[target.key]}"

    def part(self, target: Target, chain: Chain, diff: MembersDiff, taken: Taken, *, at_once: str = "false") -> None:
        """Note what a snapshot changes for those who are told, and who is held out. ``at_once``: a condition on
        ``user_id`` for those who don't stay for a while."""
        known = self.known.held_out.get(target.key, 0)
        parted = part(self.workspace, target, chain, diff, self.beside(target), known=known)
        at_once = f"({parted.at_once}) or {at_once} or {self.aliases.is_previous}"
        self.keep(target, chain, replace(parted, at_once=at_once), taken)

    def keep(self, target: Target, chain: Chain, parted: Parted, taken: Taken) -> None:
        """Note the difference, to be judged together with the others."""
        diff, known = parted.told, self.known.absent.get(target.key, 0)
        damped = damp(
            self.workspace,
            self.store,
            target,
            diff,
            run=self.run,
            counted_at=self.counted_at,
            known=known,
            at_once=parted.at_once,
        )
        news, counts = damped.news, Counts(chain.users - known, diff.entered, damped.newly_missing)
        if chain.segments:
            members = f"select user_id from ({current(chain)})"
            news, counts = without_moved(self.workspace, self.aliases, damped.told.table, members, news, counts)
        place = len(self.findings.audiences)
        moved = 0
        if empties(counts):
            away = f"select count(*) from {damped.told.table} where not present and ({parted.at_once})"
            moved = self.workspace.one(away)[0]
        kept = (damped.absences, parted.held_out, moved)
        self.compared.append(Compared(target, chain, damped.told, news, counts, taken, place, *kept))
        self.findings.audiences.append(damped.finding(target, chain.users))

    def pass_over(self, target: Target, stored: Property, invalid: int | None = None) -> None:
        """Note an audience whose source is as it was when its snapshot was taken: nothing was read. Who is missing from
        that is still missing."""
        invalid = stored.invalid if invalid is None else invalid
        if target.key in self.known.absent:
            missing = still_missing(self.workspace, self.store, target, invalid)
            taken = Taken(stored.mark, stored.invalid, stored.columns)
            self.keep(target, self.known.chains[stored.chain_id], Parted(missing), taken)
            return
        members = self.known.chains[stored.chain_id].users
        self.findings.audiences.append(
            AudienceFinding(target.key, target.name, AudienceStatus.UNCHANGED, members, invalid=invalid)
        )
        self.decisions.is_healthy((HoldKind.AUDIENCE, target.key))


def _waiting(target: Target) -> AudienceFinding:
    return AudienceFinding(
        target.key,
        target.name,
        AudienceStatus.WAITING,
        error=f"waiting for `audience-sync seed {target.key}`",
    )
