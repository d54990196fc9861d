"""Update the subscriptions of each destination from the config, and from seed, resync, retire and undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.guard import Guard
from audience_sync.delivery.mapping import known_by, sent_form
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.delivery.state.subscriptions import (
    forget_ended_names,
    keep_retired,
    resync,
    send_in_form,
    subscribe,
    undo_baseline,
)
from audience_sync.model import ALIAS_KEY, NO_RUN, USER_ID, InitialSync
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
    held: Collection[str] = (),
) -> dict[str, DestinationState]:
    """The destination states after the run, by name. ``before``: the stored ones. ``held``: those that keep the names
    and the id under which they are sent properties.

    ``first``: by destination and key, the first version of a subscription. ``joining``: destinations that merge users;
    a new one gets no previous ids.
    """
    known, created = context.stored.properties, changes.created
    after = _StateAfterRun(
        context=context,
        changes=changes,
        configs=_configs_by_key(context, created, targets),
        exists=known.keys() | {each.key for each in created},
        closed={key for key, each in known.items() if each.retired}.union(changes.retired),
        joining=joining,
        held=held,
    )
    return {name: after.of(state, first.get(name, {})) for name, state in before.items()}


class _StateAfterRun(Struct, frozen=True, kw_only=True):
    """Derive the state of a destination. ``exists`` and ``closed``: the keys that exist, and those that are retired,
    after the run.
    """

    context: RunContext
    changes: ChangeSet
    configs: Mapping[str, AudienceConfig]
    exists: Set[str]
    closed: Set[str]
    joining: Collection[str]
    held: Collection[str]

    def of(self, before: DestinationState, first: Mapping[str, SubscriptionVersion]) -> DestinationState:
        """The state after the run. ``first``: by key, the first version of each of its subscriptions."""
        run = self.context.run
        state = keep_retired(forget_ended_names(before), self.closed, run)
        keys = self._wanted(before, state)
        updated = self._requested(subscribe(state, keys, run), keys, first)
        since = {key: each.subscription.since_run for key, each in first.items()}
        updated = send_in_form(updated, self._forms(before, keys), since, run)
        unmade = [key for key in self.changes.reverted_creations if key in first and first[key].is_baseline]
        return undo_baseline(updated, unmade, run)

    def _wanted(self, before: DestinationState, state: DestinationState) -> dict[str, bool]:
        """The properties that the destination gets, and whether their current members (values) are sent first."""
        settings, name = self.context.settings, before.name
        frozen, moves = self.context.stored.frozen, self.context.stored.moves
        keys = {
            key: config.initial is not InitialSync.NONE
            for key, config in self.configs.items()
            if key in self.exists and name in settings.destinations_of(config)
        }
        keys |= {key: True for key in settings.traits_of(name) if key in self.exists}
        if name in self.joining and ALIAS_KEY in self.exists:
            keys[ALIAS_KEY] = before.id is not None
        subscribed = {key for key, each in state.subscriptions.items() if each.ended_run is None}
        keys = {key: everyone for key, everyone in keys.items() if key in subscribed or key not in frozen}
        open_keys = {key: everyone for key, everyone in keys.items() if key not in self.closed}
        keys = open_keys | dict.fromkeys(self.closed & subscribed, True)
        keys |= {new: True for old, new in moves.items() if new in keys and old in state.subscriptions}
        match self.context.request:
            case Seed(key=key, baseline=True) if key in keys:
                keys[key] = False
        return keys

    def _requested(
        self, state: DestinationState, keys: Mapping[str, bool], first: Mapping[str, SubscriptionVersion]
    ) -> DestinationState:
        """The state with what a seed opens or a resync sends again."""
        request, run = self.context.request, self.context.run
        match request:
            case Seed(key=key, baseline=False):
                return _open_seed(state, self.changes.created, key)
            case Resync(destination=only) if only in (None, state.name):
                frozen = self.context.stored.frozen
                wanted = [key for key in keys if request.resends(key) and key not in frozen]
                again = [key for key in wanted if key in first or keys[key]]
                since = {key: first[key].subscription.since_run if key in first else run for key in again}
                return resync(state, since, run)
        return state

    def _forms(self, before: DestinationState, keys: Mapping[str, bool]) -> Mapping[str, SentForm]:
        """How each property is sent, without those that keep their form."""
        settings, name = self.context.settings, before.name
        traits, kept = set(settings.traits_of(name)), {*self.context.stored.frozen, *self.closed, ALIAS_KEY}
        options = settings.destinations[name]
        forms = {
            key: sent_form(options, key, self.context.run, is_trait=key in traits) for key in keys if key not in kept
        }
        return _former_forms(forms, before, options) if name in self.held else forms


def _former_forms(
    forms: Mapping[str, SentForm], before: DestinationState, options: DestinationOptions
) -> dict[str, SentForm]:
    """The forms with the names and the id that the destination has now."""
    now = {key: each.form for key, each in before.subscriptions.items() if each.ended_run is None}
    trait, hashed, kind = known_by(options, now.values())
    names = {key: now[key].name if key in now else form.name for key, form in forms.items()}
    return {
        key: replace(form, name=names[key], user_id=trait, hashed_id=hashed, id_kind=kind)
        for key, form in forms.items()
    }


def guards_by_key(context: RunContext, changes: ChangeSet, targets: Sequence[ResolvedAudience]) -> Mapping[str, Guard]:
    """The limits of every audience and computed trait of the config."""
    settings = context.settings
    audiences = _configs_by_key(context, changes.created, targets)
    traits = {key: settings.guard_of(entry) for entry in settings.computed_traits for key in entry.columns}
    return traits | {key: settings.guard_of(config) for key, config in audiences.items()}


def mappings_differ(before: Mapping[str, DestinationState], after: Mapping[str, DestinationState]) -> bool:
    """Return whether a stored destination gets other properties after the run, or gets them in another form."""
    return any(_forms(state) != _forms(after[name]) for name, state in before.items() if state.id is not None)


def _forms(state: DestinationState) -> dict[str, SentForm]:
    """How each property is sent that the destination gets."""
    active = {key: each.form for key, each in state.subscriptions.items() if each.ended_run is None}
    skipping = {key: NO_RUN if form.skips_null else None for key, form in active.items()}
    return {
        key: replace(form, former=(), identifiers=(), skips_null_since=skipping[key]) for key, form in active.items()
    }


def needs_first_runs(settings: Settings, request: RunRequest, before: Mapping[str, DestinationState]) -> bool:
    """Return whether the run may send again what was sent before.

    It does so by request, because the form of a property has changed, or because a user has another id.
    """
    options = settings.destinations
    return isinstance(request, Resync | Undo) or any(
        options[name].known_by != USER_ID or not each.form.is_same(_form(settings, name, key))
        for name, state in before.items()
        for key, each in state.subscriptions.items()
        if key != ALIAS_KEY
    )


def _form(settings: Settings, destination: str, key: str) -> SentForm:
    is_trait = key in settings.traits_of(destination)
    return sent_form(settings.destinations[destination], key, NO_RUN, is_trait=is_trait)


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
