"""In which order is everything taken? Audiences before others of their priority group, computed traits at last."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from audience_sync.errors import ConfigError, Problem
from audience_sync.model import AudienceStatus
from audience_sync.sync.collect import Collector
from audience_sync.sync.group import earlier_in_groups, grouped, waves
from audience_sync.sync.known import Known
from audience_sync.sync.move import move_keys
from audience_sync.sync.named import collect_names
from audience_sync.sync.order import Order
from audience_sync.sync.retire import retire
from audience_sync.sync.settle import finish, settle
from audience_sync.sync.suppressed import KEY as SUPPRESSED
from audience_sync.sync.targets import Target
from audience_sync.sync.traits import collect_traits
from audience_sync.sync.undo import undo
from audience_sync.sync.words import thawed


def collect_all(collector: Collector, targets: Sequence[Target], order: Order) -> None:
    """Take, compare and judge everything that was asked for.

    Those of a priority group one after another: what each is left with depends on what became of those before.
    Raises ConfigError for a key that nothing has.
    """
    if order.retire is not None:
        retire(collector, order.retire, targets)
        return
    if order.undoes is not None:
        undo(collector, order.undoes)
        return
    collector.findings.warnings += [thawed(freeze) for freeze in collector.known.thawed]
    move_keys(collector)
    collector.earlier = earlier_in_groups(grouped(collector.settings, targets, collector.known.properties))
    turns = list(waves(targets, collector.earlier))
    for turn in turns[:-1]:
        _take_turn(collector, turn)
        settle(collector)
    _take_turn(collector, turns[-1])
    named = {target.key for target in targets}
    for config in collector.settings.audiences:
        named_alone = order.keys is not None and named.issuperset(order.keys)
        if config.names_from is not None and collector.is_due(config) and not named_alone:
            collect_names(collector, config)
    _refuse_unknown(collector, order, named)
    settle(collector)
    finish(collector)
    if order.seed is None:
        collect_traits(collector, order.traits)


def _take_turn(collector: Collector, turn: Sequence[Target]) -> None:
    """Of a run over some audiences also those that lose users by it, to one that goes before in their group."""
    for target in turn:
        asked = collector.keys is None or target.key in collector.keys
        if (asked and collector.is_due(target.config)) or collector.ahead.moves(target):
            collector.audience(target)


def _refuse_unknown(collector: Collector, order: Order, named: Collection[str]) -> None:
    """Raise ConfigError for what has none of the keys that were named, unless something failed and may have them."""
    if any(each.status is AudienceStatus.FAILED for each in collector.findings.audiences):
        return
    audiences = {each.key for each in collector.findings.audiences}
    traits = {key for config in collector.settings.computed_traits for key in config.columns}
    accepted = audiences.union(named, traits, collector.known.properties, [SUPPRESSED])
    _require("audience", order.keys, audiences, collector.known)
    _require("computed trait", order.traits, traits, collector.known)
    _require("audience or computed trait", order.accept, accepted, collector.known)


def _require(what: str, named: Collection[str] | None, found: Collection[str], known: Known) -> None:
    missing = sorted(set(named or ()).difference(found))
    if missing:
        there = ", ".join(sorted(known.properties)) or "none yet"
        raise ConfigError(
            [Problem("", f"no {what} has the key {', '.join(missing)} (known: {there}). Nothing was done")]
        )
