"""Retire an audience or a computed trait: all users leave it, as if its snapshot were empty.

The exits are delivered like all changes. The key stays stored so that no config can use it again, and the subscriptions
stay, so that every destination gets the pending exits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import select

from audience_sync.errors import UnknownKeyError
from audience_sync.model import ALIAS_KEY, AudienceStatus, HoldKind, PropertyKind
from audience_sync.store.audiences.absences import read_absent
from audience_sync.store.audiences.holdouts import read_held_out
from audience_sync.store.audiences.properties import Property
from audience_sync.store.tables import delivery_destinations, properties, subscriptions
from audience_sync.sync.detect.collector import ChangeDetector
from audience_sync.sync.detect.computed_traits import users_with_traits
from audience_sync.sync.diff.members import diff_members
from audience_sync.sync.diff.new_segments import members_change, traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import Absences, AudienceResult, HeldOut, TraitsResult
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.text import not_found_message
from audience_sync.workspace import quote_identifier

_NO_USER = "select null::varchar as user_id where false"


def refuse_unretirable(key: str, stored: StoredState) -> None:
    """Raise UnknownKeyError for a key that is not stored."""
    there = [each for each in stored.properties if each != ALIAS_KEY]  # not a key of a person
    if key not in there:
        words = not_found_message("audience or computed trait", [key], there)
        never = "If it was never sent, remove it from config.yaml; it needs no retire."
        raise UnknownKeyError(f"{words} Nothing was changed or sent.\n  {never}")


def retire(detector: ChangeDetector, key: str, targets: Sequence[ResolvedAudience]) -> None:
    """Add the exits of all users. If the key is retired already, only its pending exits are sent."""
    stored, findings = detector.stored.properties[key], detector.changes
    findings.warnings += _manual_steps(detector, stored, targets)
    if not stored.retired:
        detector.watch(f"{stored.kind.value.replace('_', ' ')} {key}")
        empty = _empty_audience if stored.kind is PropertyKind.AUDIENCE else _empty_trait
        empty(detector, stored)
        closed = "would be retired" if detector.hold_policy.run is None else "is retired"
        detector.hold_policy.supersede((HoldKind(stored.kind.value), key), f"The key '{key}' {closed}")
        findings.retired.append(key)
        for target in targets:
            if target.key == key and target.is_renamed:  # so that the next run recognises its entry
                findings.renamed[key] = (target.name, target.definition)


def _empty_audience(detector: ChangeDetector, stored: Property) -> None:
    workspace, key = detector.workspace, stored.key
    chain = detector.stored_chain(stored.chain_id)
    diff = diff_members(workspace, _NO_USER, chain)
    change = members_change(workspace, chain, diff, detector.run)
    if change:
        detector.changes.changes.append(change)
    if key in detector.stored.absent:
        with detector.store.reading() as connection:
            absent = read_absent(connection, workspace, key)
        detector.changes.absences[key] = Absences(_NO_USER, f"select user_id from {absent}")
    if key in detector.stored.held_out:
        with detector.store.reading() as connection:
            out = read_held_out(connection, workspace, key)
        detector.changes.held_out[key] = HeldOut(_NO_USER, f"select user_id from {out}", 0)
    detector.changes.audiences.append(
        AudienceResult(
            key=key, name=stored.name, status=AudienceStatus.RETIRED, before=chain.user_count, left=diff.left
        )
    )


def _empty_trait(detector: ChangeDetector, stored: Property) -> None:
    workspace, key = detector.workspace, stored.key
    chain, snapshot = detector.stored_chain(stored.chain_id), workspace.name("snapshot")
    column = f"null::varchar as {quote_identifier(key)}"
    workspace.run(f"create view {snapshot} as select null::varchar as user_id, {column} where false")
    diff = diff_traits(workspace, snapshot, chain, [key])
    change = traits_change(workspace, chain, diff, detector.run)
    if change:
        detector.changes.changes.append(change)
    detector.changes.traits = TraitsResult(users=users_with_traits(detector), changed=diff.users)


def _manual_steps(detector: ChangeDetector, stored: Property, targets: Sequence[ResolvedAudience]) -> Iterator[str]:
    """Warnings about what a person has to remove."""
    settings, key = detector.settings, stored.key
    entries = [f"audiences[{settings.audiences.index(each.config)}]" for each in targets if each.key == key]
    for index, config in enumerate(settings.computed_traits):
        entries += [f"computed_traits[{index}]"] if key in config.columns else []
    for entry in entries:
        yield f"The config still has '{key}' ({entry}). Remove that entry; until then every run skips it."
    if stored.origin in {origin(config) for config in settings.audiences if config.names_from}:
        yield f"'{stored.name}' comes from {stored.origin}. Remove it there; until then every run skips it."
    absent = sorted(_subscribers(detector, key) - settings.destinations.keys())
    if absent:
        yield (
            f"{', '.join(absent)}: not in the config, so nothing is sent there, and users keep their values. If the "
            "config has it again, the next run sends the change there, too."
        )


def _subscribers(detector: ChangeDetector, key: str) -> Collection[str]:
    """The destinations that have or had a subscription to the key."""
    with detector.store.reading() as connection:
        joined = subscriptions.join(delivery_destinations).join(properties)
        query = select(delivery_destinations.c.name).select_from(joined).where(properties.c.key == key)
        return set(connection.execute(query).scalars())
