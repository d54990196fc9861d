"""What would a run change, and what is each destination then owed? Everything but writing and sending."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from audience_sync.delivery.pending.pending import Facts
from audience_sync.delivery.state.cursors import Feed, Ledger, read_ledgers
from audience_sync.delivery.state.subscription_history import read_first_terms
from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.destinations.boundary import contained
from audience_sync.errors import FrozenError, RetiredError
from audience_sync.model import ALIAS_KEY, PropertyKind
from audience_sync.sources.boundary import bounded
from audience_sync.store.runs.clock import RunClock, read_run_clock
from audience_sync.store.snapshots.chain import Chain
from audience_sync.store.tables import refused_values, withheld_values
from audience_sync.sync.deliver.pending import Owed, gather, owed_to, read_kept, read_log
from audience_sync.sync.deliver.subscriptions import ledgers_after
from audience_sync.sync.detect.aliases import read_aliases
from audience_sync.sync.detect.collector import Collector
from audience_sync.sync.detect.suppression_lists import Suppressed, read_suppressed
from audience_sync.sync.detect_changes import collect_all
from audience_sync.sync.guard.holds import Decisions
from audience_sync.sync.guard.messages import frozen, retired
from audience_sync.sync.load.resolve_audiences import named_targets, refuse_traits
from audience_sync.sync.load.resolve_ids import erased_persons
from audience_sync.sync.load.retired import retired_warnings, without_retired_traits
from audience_sync.sync.operations.merge_users import pass_on
from audience_sync.sync.operations.move_key import moved, refuse_unfitting
from audience_sync.sync.operations.retire import refuse_unretirable
from audience_sync.sync.values.change_set import Findings
from audience_sync.sync.values.request import Order, Parts, Watch
from audience_sync.sync.values.stored_state import Known, read_known
from audience_sync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run found, and the ledgers as the config wants them. Nothing is written yet."""

    run: int
    clock: RunClock
    known: Known
    findings: Findings
    ledgers: Mapping[str, Ledger]
    destinations: Mapping[str, Destination]
    facts: Facts
    suppressed: Suppressed

    def owed(self, workspace: Workspace, order: Order, ledgers: Mapping[str, Ledger]) -> list[Owed]:
        """What each destination is owed: what an ordered seed sends, or everything else."""
        return [
            owed_to(
                workspace,
                self.facts,
                ledger,
                self.destinations[name],
                feed=feed,
                only_told=only_told,
                retry=order.retry and order.destination in (None, name),
            )
            for name, ledger in ledgers.items()
            for feed, only_told in _feeds(ledger, order)
        ]


def _feeds(ledger: Ledger, order: Order) -> list[tuple[Feed, bool]]:
    """An audience that a person is seeding is told further by ``seed`` alone; ``sync`` keeps whom it has
    reached up to date."""
    if order.seed is not None and order.seed in ledger.seeds:
        return [(ledger.seeds[order.seed], False)]
    told = {key for key, each in ledger.subscriptions.items() if each.ended_run is None}
    reached = [(feed, True) for key, feed in ledger.seeds.items() if feed.ranges and key in told]
    return [(ledger.feed, False), *reached]


def look(
    parts: Parts, order: Order, watch: Watch, workspace: Workspace, now: datetime, run: int | None = None
) -> Outlook:
    """Load and compare everything that was asked for. ``run`` is None for a run that doesn't exist yet."""
    with parts.store.reading() as connection:
        clock = read_run_clock(connection, now, before=run, accept=order.accept_clock)
        known = read_known(connection, clock.accepted_now)
        before = read_ledgers(connection, parts.settings.destinations)
        known = moved(known, order.moves, frozenset(key for ledger in before.values() for key in ledger.seeds))
        first = read_first_terms(connection) if order.resync or order.undoes else {}
    _refuse_retired(order, known)
    _refuse_frozen(order, known)
    refuse_unfitting(order.moves, parts.settings.audiences)
    targets = named_targets(parts.settings.audiences, known.properties, leaving=order.retire)
    refuse_traits(parts.settings.computed_traits, known.properties, leaving=order.retire)
    skipped = [f"{place}: {words}" for place, words in retired_warnings(parts.settings, known.properties)]
    parts = replace(parts, settings=without_retired_traits(parts.settings, known.properties))
    collector = _collector(parts, order, watch, workspace, known, clock, run)
    collector.findings.warnings += [*clock.warnings(), *skipped]
    collector.aliases = read_aliases(collector, sources=order.retire is None and order.undoes is None)
    collector.erased = erased_persons(collector.erased, collector.aliases.pairs)
    collect_all(collector, targets, order)
    findings = collector.findings
    made = contained(parts.destinations(_about(known, findings, parts.settings.secrets)))
    joining = {name for name, each in made.items() if each.has_alias}
    ledgers = ledgers_after(parts, order, collector, targets, before, first, joining=joining)
    with parts.store.reading() as connection:
        suppressed = read_suppressed(
            connection,
            workspace,
            parts.settings,
            collector.sources,
            findings,
            collector.decisions,
            erased=collector.erased,
            aliases=collector.aliases,
        )
        stored = Facts(
            read_log(connection, workspace, ledgers),
            read_kept(connection, workspace, refused_values),
            _Chains(collector),
            suppressed.table,
            read_kept(connection, workspace, withheld_values),
            collector.aliases.told,
        )
    pass_on(collector, stored, joining)
    return Outlook(
        collector.run,
        clock,
        known,
        findings,
        ledgers,
        made,
        gather(workspace, stored, findings, collector.run),
        suppressed,
    )


def _collector(
    parts: Parts, order: Order, watch: Watch, workspace: Workspace, known: Known, clock: RunClock, run: int | None
) -> Collector:
    findings = Findings()
    decisions = Decisions(workspace, parts.store, known.last_holds, findings, run, order.accept, order.approves)
    return Collector(
        workspace,
        parts.store,
        parts.settings,
        bounded(parts.sources),
        known,
        known.last_run + 1 if run is None else run,
        clock.counted_at,
        findings,
        decisions,
        profile_fields=parts.profile_fields,
        erased=_erased(workspace, known),
        keys=order.keys,
        due=order.due,
        seeding=order.seed,
        repairing=order.resyncs,
        watch=watch.loading,
    )


def _erased(workspace: Workspace, known: Known) -> str:
    """A condition on ``user_id``: the users who were erased, known by their hash alone."""
    if not known.erased:
        return "false"
    table = workspace.load({"user_hash": "varchar"}, [[(each,) for each in known.erased]])
    return f"sha256('{known.installation}:' || user_id) in (select user_hash from {table})"


def _refuse_retired(order: Order, known: Known) -> None:
    """Raise RetiredError where a person wants something of a key in particular that is closed for good."""
    if order.retire is not None:
        refuse_unretirable(order.retire, known)
    named = {*(order.keys or ()), *(order.traits or ()), *order.accept}
    found = [key for key in sorted(named) if key in known.properties and known.properties[key].retired]
    if found:
        raise RetiredError(retired(*found))


def _refuse_frozen(order: Order, known: Known) -> None:
    """Raise FrozenError where a person wants something of an audience in particular that is frozen."""
    wanted = set(order.keys or ()) if order.seed or order.resync or order.approves else set()
    wanted |= {order.retire or ""}
    found = [f"audience '{key}' is {frozen(known.frozen[key])}" for key in sorted(wanted & known.frozen.keys())]
    if found:
        raise FrozenError(f"{'; '.join(found)}. Nothing was changed or sent.")


def _about(known: Known, findings: Findings, secrets: tuple[str, ...]) -> Audiencing:
    kinds = {key: each.kind for key, each in known.properties.items()}
    kinds |= {each.key: each.kind for each in findings.created}
    kinds.pop(ALIAS_KEY, None)
    audiences = frozenset(key for key, kind in kinds.items() if kind is PropertyKind.AUDIENCE)
    return Audiencing(known.installation, audiences, frozenset(kinds) - audiences, secrets)


class _Chains(Mapping[str, Chain]):
    """Every property's chain as the run leaves it; segments are fetched when somebody asks."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._changed = {key: each.chain for each in collector.findings.changes for key in each.chain.keys}

    def __getitem__(self, key: str) -> Chain:
        if key in self._changed:
            return self._changed[key]
        return self._collector.stored_chain(self._collector.known.properties[key].chain_id)

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._collector.known.properties

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed.keys() | self._collector.known.properties.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)
