"""Update the subscriptions of each destination from the config, and from seed, resync, retire and undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.delivery.state.subscriptions import keep_retired, resync, subscribe, undo_baseline
from audience_sync.model import ALIAS_KEY, RunId
from audience_sync.sync.deliver.pending import configs_by_key, wanted_properties
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.request import Resync, RunDependencies, RunRequest, Seed


def states_after_run(
    dependencies: RunDependencies,
    request: RunRequest,
    detector: ChangeDetector,
    targets: Sequence[ResolvedAudience],
    before: Mapping[str, DestinationState],
    first: Mapping[str, Mapping[str, SubscriptionVersion]],
    *,
    joining: Collection[str] = (),
) -> dict[str, DestinationState]:
    """The destination states after the run, by name. ``before``: the stored ones.

    ``first``: by destination and key, the first version of a subscription. ``joining``: destinations that merge users;
    a new one gets no previous ids.
    """
    known, findings = detector.stored, detector.changes
    closed = {key for key, each in known.properties.items() if each.retired}.union(findings.retired)
    configs = configs_by_key(dependencies.settings, known, findings, targets)
    after, run = {}, RunId(detector.run)
    for name, state_before in before.items():
        state = keep_retired(state_before, closed, run)
        everything = wanted_properties(dependencies.settings, known, findings, configs, name)
        subscribed = {key for key, each in state.subscriptions.items() if each.ended_run is None}
        if name in joining and ALIAS_KEY in known.properties.keys() | {each.key for each in findings.created}:
            everything[ALIAS_KEY] = state_before.id is not None
        keys = {key: everyone for key, everyone in everything.items() if key in subscribed or key not in known.frozen}
        keys = {key: everyone for key, everyone in keys.items() if key not in closed} | dict.fromkeys(
            closed & subscribed, True
        )
        keys |= {new: True for old, new in known.moves.items() if new in keys and old in state.subscriptions}
        terms = first.get(name, {})
        match request:
            case Seed(key=key, baseline=True) if key in keys:
                keys[key] = False
        updated = subscribe(state, keys, run)
        match request:
            case Seed(key=key, baseline=False):
                updated = _open_seed(updated, findings, key)
            case Resync(destination=only) if only in (None, name):
                again = [
                    key
                    for key in keys
                    if request.resends(key) and key not in known.frozen and (key in terms or keys[key])
                ]
                since = {key: terms[key].subscription.since_run if key in terms else run for key in again}
                updated = resync(updated, since, run)
        unmade = [key for key in findings.reverted_creations if key in terms and terms[key].is_baseline]
        after[name] = undo_baseline(updated, unmade, run)
    return after


def _open_seed(state: DestinationState, changes: ChangeSet, key: str) -> DestinationState:
    """Give an audience that a seed has created a cursor of its own, until its backfill is complete."""
    if key not in {each.key for each in changes.created} or key not in state.subscriptions:
        return state
    return replace(state, seeds={**state.seeds, key: DeliveryCursor(seeding=key)})
