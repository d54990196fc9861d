"""Retire an audience or a computed trait: all users leave it, as if its snapshot were empty.

The exits are delivered like all changes. The key stays stored so that no config can use it again, and the subscriptions
stay, so that every destination gets the pending exits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from msgspec.structs import replace
from sqlalchemy import select

from audience_sync.errors import UnknownKeyError
from audience_sync.model import ALIAS_KEY, AudienceStatus, HoldKind, PropertyKind
from audience_sync.sql import Query, quote_identifier
from audience_sync.store.audiences.absences import read_absent
from audience_sync.store.audiences.properties import Property
from audience_sync.store.tables import delivery_destinations, properties, subscriptions
from audience_sync.sync.detect.computed_traits import users_with_traits
from audience_sync.sync.diff.members import diff_members
from audience_sync.sync.diff.snapshot_files import members_change, traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.guard.holds import supersede
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import Absences, ChainChange, ChangeSet, HeldOut, PropertyChange
from audience_sync.sync.values.findings import AudienceResult, Detection, RunFindings, TraitsResult
from audience_sync.sync.values.run_context import RunContext
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.text import not_found_message

_NO_USER = Query("select null::varchar as user_id where false")


def refuse_unretirable(key: str, stored: StoredState) -> None:
    """Raise UnknownKeyError for a key that is not stored."""
    there = [each for each in stored.properties if each != ALIAS_KEY]  # not a key of a person
    if key not in there:
        fact = not_found_message("audience or computed trait", [key], there)
        never = "If it was never sent, remove it from config.yaml; it needs no retire."
        raise UnknownKeyError(f"{fact} Nothing was changed or sent.\n  {never}")


def retire(context: RunContext, key: str, targets: Sequence[ResolvedAudience]) -> Detection:
    """The exits of all users. If the key is retired already, only its pending exits are sent."""
    stored = context.stored.properties[key]
    steps = Detection(findings=RunFindings(warnings=tuple(_manual_steps(context, stored, targets))))
    if stored.retired:
        return steps
    context.loading(f"{stored.kind.value.replace('_', ' ')} {key}")
    empty = _empty_audience if stored.kind is PropertyKind.AUDIENCE else _empty_trait
    change, result, property_change = empty(context, stored)
    # With the new name and definition the next run recognises the entry.
    renamed = [(each.name, each.definition) for each in targets if each.key == key and each.is_renamed]
    property_change = replace(property_change, retired=True, renamed=renamed[-1] if renamed else None)
    changes = ChangeSet(chains=(change,) if change else (), properties={key: property_change})
    closed = "would be retired" if context.recorded_run is None else "is retired"
    ended = supersede(context, (HoldKind(stored.kind.value), key), f"The key '{key}' {closed}")
    return Detection.total([steps, Detection(changes=changes, findings=result), ended])


def _empty_audience(context: RunContext, stored: Property) -> tuple[ChainChange | None, RunFindings, PropertyChange]:
    workspace, key, absences, held_out = context.workspace, stored.key, None, None
    chain = context.reader.chain(stored.chain_id)
    diff = diff_members(workspace, _NO_USER, chain)
    change = members_change(workspace, chain, diff, context.run)
    if key in context.stored.absent:
        with context.reader.reading() as connection:
            absences = Absences(_NO_USER, Query(f"select user_id from {read_absent(connection, workspace, key)}"))
    if out := context.reader.held_out(key):
        held_out = HeldOut(_NO_USER, out, 0)
    result = AudienceResult(
        key=key, name=stored.name, status=AudienceStatus.RETIRED, before=chain.user_count, left=diff.left
    )
    return change, RunFindings(audiences=(result,)), PropertyChange(absences=absences, held_out=held_out)


def _empty_trait(context: RunContext, stored: Property) -> tuple[ChainChange | None, RunFindings, PropertyChange]:
    workspace, key = context.workspace, stored.key
    chain, column = context.reader.chain(stored.chain_id), f"null::varchar as {quote_identifier(key)}"
    snapshot = workspace.view("snapshot", f"select null::varchar as user_id, {column} where false")
    diff = diff_traits(workspace, snapshot, chain, [key])
    change = traits_change(workspace, chain, diff, context.run)
    users = users_with_traits(context, (change,) if change else ())
    return change, RunFindings(traits=TraitsResult(users=users, changed=diff.users)), PropertyChange()


def _manual_steps(context: RunContext, stored: Property, targets: Sequence[ResolvedAudience]) -> Iterator[str]:
    """Warnings about what a person has to remove."""
    settings, key = context.settings, stored.key
    entries = [f"audiences[{settings.audiences.index(each.config)}]" for each in targets if each.key == key]
    for index, config in enumerate(settings.computed_traits):
        entries += [f"computed_traits[{index}]"] if key in config.columns else []
    for entry in entries:
        yield f"The config still has '{key}' ({entry}). Remove that entry; until then every run skips it."
    if stored.origin in {origin(config) for config in settings.audiences if config.names_from}:
        yield f"'{stored.name}' comes from {stored.origin}. Remove it there; until then every run skips it."
    absent = sorted(_subscribers(context, key) - settings.destinations.keys())
    if absent:
        yield (
            f"{', '.join(absent)}: not in the config, so nothing is sent there, and users keep their values. If the "
            "config has it again, the next run sends the change there, too."
        )


def _subscribers(context: RunContext, key: str) -> Collection[str]:
    """The destinations that have or had a subscription to the key."""
    with context.reader.reading() as connection:
        joined = subscriptions.join(delivery_destinations).join(properties)
        query = select(delivery_destinations.c.name).select_from(joined).where(properties.c.key == key)
        return set(connection.execute(query).scalars())
