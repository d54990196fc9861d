"""Of which properties is each destination told after a run, and on which terms?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from audience_sync.delivery.state.cursors import Feed, Ledger
from audience_sync.delivery.state.subscription_history import Terms
from audience_sync.delivery.state.subscriptions import keep_closing, retell, subscribe, undo_baseline
from audience_sync.model import ALIAS_KEY
from audience_sync.sync.deliver.pending import configs_by_key, wanted
from audience_sync.sync.detect.collector import Collector
from audience_sync.sync.load.resolve_audiences import Target
from audience_sync.sync.values.change_set import Findings
from audience_sync.sync.values.request import Order, Parts


def ledgers_after(
    parts: Parts,
    order: Order,
    collector: Collector,
    targets: Sequence[Target],
    before: Mapping[str, Ledger],
    first: Mapping[str, Mapping[str, Terms]],
    *,
    joining: Collection[str] = (),
) -> dict[str, Ledger]:
    """Each destination's, by name; ``before`` are those of the store. ``first``: by destination and key, on which
    terms it was told of a property for the first time. ``joining``: those that are told of previous ids; one that
    is new has not heard of any."""
    known, findings = collector.known, collector.findings
    closed = {key for key, each in known.properties.items() if each.retired}.union(findings.retired)
    configs = configs_by_key(parts.settings, known, findings, targets)
    after = {}
    for name, ledger_before in before.items():
        ledger = keep_closing(ledger_before, closed, collector.run)
        everything = wanted(parts.settings, known, findings, configs, name)
        told_of = {key for key, each in ledger.subscriptions.items() if each.ended_run is None}
        if name in joining and ALIAS_KEY in known.properties.keys() | {each.key for each in findings.created}:
            everything[ALIAS_KEY] = ledger_before.id is not None
        keys = {key: everyone for key, everyone in everything.items() if key in told_of or key not in known.frozen}
        keys = {key: everyone for key, everyone in keys.items() if key not in closed} | dict.fromkeys(
            closed & told_of, True
        )
        keys |= {new: True for old, new in known.moves.items() if new in keys and old in ledger.subscriptions}
        if order.seed in keys and order.baseline:
            keys[order.seed] = False
        told = _open_seed(subscribe(ledger, keys, collector.run), findings, order)
        terms = first.get(name, {})
        if order.resync and order.destination in (None, name):
            again = [
                key for key in keys if order.resyncs(key) and key not in known.frozen and (key in terms or keys[key])
            ]
            since = {key: terms[key].subscription.since_run if key in terms else collector.run for key in again}
            told = retell(told, since, collector.run)
        unmade = [key for key in findings.unmade if key in terms and terms[key].is_baseline]
        after[name] = undo_baseline(told, unmade, collector.run)
    return after


def _open_seed(ledger: Ledger, findings: Findings, order: Order) -> Ledger:
    """An audience created by hand is told over a feed of its own, until everyone has been told."""
    created = {each.key for each in findings.created}
    if order.seed is None or order.seed not in created or order.baseline:
        return ledger
    if order.seed not in ledger.subscriptions:
        return ledger
    return replace(ledger, seeds={**ledger.seeds, order.seed: Feed(None, 0, seeding=order.seed)})
