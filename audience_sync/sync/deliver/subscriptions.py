"""Update the subscriptions of each destination from the config, and from seed, resync, retire and undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.delivery.mapping import sent_form
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.delivery.state.subscriptions import keep_retired, resync, send_in_form, subscribe, undo_baseline
from audience_sync.model import ALIAS_KEY, InitialSync
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import ChangeSet, NewProperty
from audience_sync.sync.values.request import Resync, RunRequest, Seed, Undo
from audience_sync.sync.values.run_context import RunContext


def states_after_run(
    context: RunContext,
    changes: ChangeSet,
    targets: Sequence[ResolvedAudience],
    before: Mapping[str, DestinationState],
    *,
    first: Mapping[str, Mapping[str, SubscriptionVersion]],
    joining: Collection[str] = (),
) -> dict[str, DestinationState]:
    """The destination states after the run, by name. ``before``: the stored ones.

    ``first``: by destination and key, the first version of a subscription. ``joining``: destinations that merge users;
    a new one gets no previous ids.
    """
    known, request, run = context.stored, context.request, context.run
    closed = {key for key, each in known.properties.items() if each.retired}.union(changes.retired)
    created = changes.created
    exists = known.properties.keys() | {each.key for each in created}
    configs = _configs_by_key(context, created, targets)
    after = {}
    for name, state_before in before.items():
        state = keep_retired(state_before, closed, run)
        everything = {
            key: config.initial is not InitialSync.NONE
            for key, config in configs.items()
            if key in exists and name in context.settings.destinations_of(config)
        }
        everything |= {key: True for key in context.settings.traits_of(name) if key in exists}
        subscribed = {key for key, each in state.subscriptions.items() if each.ended_run is None}
        if name in joining and ALIAS_KEY in exists:
            everything[ALIAS_KEY] = state_before.id is not None
        keys = {key: everyone for key, everyone in everything.items() if key in subscribed or key not in known.frozen}
        keys = {key: everyone for key, everyone in keys.items() if key not in closed} | dict.fromkeys(
            closed & subscribed, True
        )
        keys |= {new: True for old, new in known.moves.items() if new in keys and old in state.subscriptions}
        terms, options = first.get(name, {}), context.settings.destinations[name]
        match request:
            case Seed(key=key, baseline=True) if key in keys:
                keys[key] = False
        updated = subscribe(state, keys, run)
        match request:
            case Seed(key=key, baseline=False):
                updated = _open_seed(updated, created, key)
            case Resync(destination=only) if only in (None, name):
                again = [
                    key
                    for key in keys
                    if request.resends(key) and key not in known.frozen and (key in terms or keys[key])
                ]
                since = {key: terms[key].subscription.since_run if key in terms else run for key in again}
                updated = resync(updated, since, run)
        forms = {key: sent_form(options, key) for key in keys if key not in {*known.frozen, ALIAS_KEY}}
        updated = send_in_form(updated, forms, {key: each.subscription.since_run for key, each in terms.items()}, run)
        unmade = [key for key in changes.reverted_creations if key in terms and terms[key].is_baseline]
        after[name] = undo_baseline(updated, unmade, run)
    return after


def needs_first_runs(settings: Settings, request: RunRequest, before: Mapping[str, DestinationState]) -> bool:
    """Return whether the run may send again what was sent before: by request, or because its form has changed."""
    options = settings.destinations
    return isinstance(request, Resync | Undo) or any(
        not each.form.is_same(sent_form(options[name], key))
        for name, state in before.items()
        for key, each in state.subscriptions.items()
        if key != ALIAS_KEY
    )


def _configs_by_key(
    context: RunContext, created: Sequence[NewProperty], targets: Sequence[ResolvedAudience]
) -> Mapping[str, AudienceConfig]:
    """The config of every audience, including those from ``names_from``."""
    entries = {origin(config): config for config in context.settings.audiences if config.names_from}
    stored = {key: entries[each.origin] for key, each in context.stored.properties.items() if each.origin in entries}
    new = {each.key: entries[each.origin] for each in created if each.origin in entries}
    return {target.key: target.config for target in targets} | stored | new


def _open_seed(state: DestinationState, created: Sequence[NewProperty], key: str) -> DestinationState:
    """Give an audience that a seed has created a cursor of its own, until its backfill is complete."""
    if key not in {each.key for each in created} or key not in state.subscriptions:
        return state
    return replace(state, seeds={**state.seeds, key: DeliveryCursor(seeding=key)})
