"""How is an audience, or a computed trait, closed for good? Everyone leaves it, as if its snapshot were empty.

What is told of that goes the way of all changes. The key stays behind as a tombstone: no config may have it again, and
its destinations stay told of it, so that whatever is left to be taken back is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import select

from audience_sync.config.read.suggestions import there_is_no
from audience_sync.errors import UnknownKeyError
from audience_sync.model import ALIAS_KEY, AudienceStatus, HoldKind, PropertyKind
from audience_sync.store.audiences.absences import read_absent
from audience_sync.store.audiences.holdouts import read_held_out
from audience_sync.store.audiences.properties import Property
from audience_sync.store.tables import destinations, properties, subscriptions
from audience_sync.sync.detect.collector import Collector
from audience_sync.sync.detect.computed_traits import users_with_traits
from audience_sync.sync.diff.members import diff_members
from audience_sync.sync.diff.new_segments import members_change, traits_change
from audience_sync.sync.diff.traits import diff_traits
from audience_sync.sync.load.resolve_audiences import Target, origin
from audience_sync.sync.values.change_set import Absences, AudienceFinding, HeldOut, TraitsFinding
from audience_sync.sync.values.stored_state import Known
from audience_sync.workspace import quoted

_NOBODY = "select null::varchar as user_id where false"


def refuse_unretirable(key: str, known: Known) -> None:
    """Raise UnknownKeyError for a key that the store doesn't have."""
    there = [each for each in known.properties if each != ALIAS_KEY]  # nobody gave it that key, nor can take it away
    if key not in there:
        words = there_is_no("audience or computed trait", [key], there)
        never = "If it was never sent, remove it from config.yaml; it needs no retire."
        raise UnknownKeyError(f"{words} Nothing was changed or sent.\n  {never}")


def retire(collector: Collector, key: str, targets: Sequence[Target]) -> None:
    """Note that everyone leaves; of what is retired already nothing changes, and what is owed of it is told."""
    stored, findings = collector.known.properties[key], collector.findings
    findings.warnings += _left_behind(collector, stored, targets)
    if not stored.retired:
        collector.watch(f"{stored.kind.value.replace('_', ' ')} {key}")
        empty = _empty_audience if stored.kind is PropertyKind.AUDIENCE else _empty_trait
        empty(collector, stored)
        closed = "would be retired" if collector.decisions.run is None else "is retired"
        collector.decisions.supersede((HoldKind(stored.kind.value), key), f"The key '{key}' {closed}")
        findings.retired.append(key)
        for target in targets:
            if target.key == key and target.is_renamed:  # so that its entry is known again
                findings.renamed[key] = (target.name, target.definition)


def _empty_audience(collector: Collector, stored: Property) -> None:
    workspace, key = collector.workspace, stored.key
    chain = collector.stored_chain(stored.chain_id)
    diff = diff_members(workspace, _NOBODY, chain)
    change = members_change(workspace, chain, diff, collector.run)
    if change:
        collector.findings.changes.append(change)
    if key in collector.known.absent:
        with collector.store.reading() as connection:
            absent = read_absent(connection, workspace, key)
        collector.findings.absences[key] = Absences(_NOBODY, f"select user_id from {absent}")
    if key in collector.known.held_out:
        with collector.store.reading() as connection:
            out = read_held_out(connection, workspace, key)
        collector.findings.held_out[key] = HeldOut(_NOBODY, f"select user_id from {out}", 0)
    collector.findings.audiences.append(
        AudienceFinding(key, stored.name, AudienceStatus.RETIRED, chain.users, left=diff.left)
    )


def _empty_trait(collector: Collector, stored: Property) -> None:
    workspace, key = collector.workspace, stored.key
    chain, snapshot = collector.stored_chain(stored.chain_id), workspace.name("snapshot")
    column = f"null::varchar as {quoted(key)}"
    workspace.run(f"create view {snapshot} as select null::varchar as user_id, {column} where false")
    diff = diff_traits(workspace, snapshot, chain, [key])
    change = traits_change(workspace, chain, diff, collector.run)
    if change:
        collector.findings.changes.append(change)
    collector.findings.traits = TraitsFinding(users_with_traits(collector), diff.users)


def _left_behind(collector: Collector, stored: Property, targets: Sequence[Target]) -> Iterator[str]:
    """What a person has to do themselves."""
    settings, key = collector.settings, stored.key
    entries = [f"audiences[{settings.audiences.index(each.config)}]" for each in targets if each.key == key]
    for place, config in enumerate(settings.computed_traits):
        entries += [f"computed_traits[{place}]"] if key in config.columns else []
    for entry in entries:
        yield f"The config still has '{key}' ({entry}). Remove that entry; until then every run skips it."
    if stored.origin in {origin(config) for config in settings.audiences if config.names_from}:
        yield f"'{stored.name}' comes from {stored.origin}. Remove it there; until then every run skips it."
    absent = sorted(_told_of(collector, key) - settings.destinations.keys())
    if absent:
        yield (
            f"{', '.join(absent)}: not in the config, so nothing is sent there, and users keep their values. If the "
            "config has it again, the next run sends the change there, too."
        )


def _told_of(collector: Collector, key: str) -> Collection[str]:
    """The destinations that were ever to be told of it."""
    with collector.store.reading() as connection:
        joined = subscriptions.join(destinations).join(properties)
        query = select(destinations.c.name).select_from(joined).where(properties.c.key == key)
        return set(connection.execute(query).scalars())
