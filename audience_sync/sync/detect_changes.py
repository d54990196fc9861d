"""In which order is everything taken? Audiences before others of their priority group, computed traits at last."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from audience_sync.config.read.suggestions import there_is_no
from audience_sync.errors import UnknownKeyError
from audience_sync.model import ALIAS_KEY, AudienceStatus
from audience_sync.sync.detect.collector import Collector
from audience_sync.sync.detect.computed_traits import collect_traits
from audience_sync.sync.detect.guard_audiences import finish, settle
from audience_sync.sync.detect.names_from import collect_names
from audience_sync.sync.detect.suppression_lists import KEY as SUPPRESSED
from audience_sync.sync.diff.priority_groups import earlier_in_groups, grouped, waves
from audience_sync.sync.guard.messages import thawed
from audience_sync.sync.load.resolve_audiences import Target
from audience_sync.sync.operations.move_key import move_keys
from audience_sync.sync.operations.retire import retire
from audience_sync.sync.operations.undo import undo
from audience_sync.sync.values.request import Order

_PLURALS = {
    "audience": "Audiences",
    "computed trait": "Computed traits",
    "audience or computed trait": "Audiences and computed traits",
}


def collect_all(collector: Collector, targets: Sequence[Target], order: Order) -> None:
    """Take, compare and judge everything that was asked for.

    Those of a priority group one after another: what each is left with depends on what became of those before.
    Raises UnknownKeyError for a key that nothing has, before anything is read where the config alone says so.
    """
    if order.retire is not None:
        retire(collector, order.retire, targets)
        return
    if order.undoes is not None:
        undo(collector, order.undoes)
        return
    named = {target.key for target in targets}
    if not any(config.names_from for config in collector.settings.audiences):
        _refuse_unknown(collector, order, named)
    collector.findings.warnings += [thawed(freeze) for freeze in collector.known.thawed]
    move_keys(collector)
    collector.earlier = earlier_in_groups(grouped(collector.settings, targets, collector.known.properties))
    turns = list(waves(targets, collector.earlier))
    for turn in turns[:-1]:
        _take_turn(collector, turn)
        settle(collector)
    _take_turn(collector, turns[-1])
    for config in collector.settings.audiences:
        named_alone = order.keys is not None and named.issuperset(order.keys)
        if config.names_from is not None and collector.is_due(config) and not named_alone:
            collect_names(collector, config)
    _refuse_unfound(collector, order, named)
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


def _refuse_unfound(collector: Collector, order: Order, named: Collection[str]) -> None:
    """What has none of the keys that were named, now that all is read; unless something failed that may have them."""
    if not any(each.status is AudienceStatus.FAILED for each in collector.findings.audiences):
        _refuse_unknown(collector, order, {*named, *(each.key for each in collector.findings.audiences)})


def _refuse_unknown(collector: Collector, order: Order, audiences: Collection[str]) -> None:
    """Raise UnknownKeyError for what none of these audiences, and nothing else, has as its key."""
    traits = {key for config in collector.settings.computed_traits for key in config.columns}
    accepted = {*audiences, *traits, *collector.known.properties, SUPPRESSED}
    by_name = {key for key, each in collector.known.properties.items() if each.origin and not each.retired}
    _require("audience", order.keys, audiences, also=by_name)
    _require("computed trait", order.traits, traits)
    _require("audience or computed trait", order.accept, accepted - {ALIAS_KEY})


def _require(what: str, named: Collection[str] | None, known: Collection[str], *, also: Collection[str] = ()) -> None:
    """``also``: keys of `names_from` that were there in earlier runs, for people to see."""
    missing = sorted(set(named or ()).difference(known))
    if missing:
        known = {*known, *also}.difference(missing)
        there = ", ".join(sorted(known)) or "none"
        raise UnknownKeyError(
            f"{there_is_no(what, missing, known)} Nothing was changed or sent.\n  {_PLURALS[what]}: {there}"
        )
