"""Detect what the config changes in the mapping of each destination, and hold what ends too many values there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.sections.guard import Guard
from audience_sync.delivery.state.cursors import DestinationState, Subscription
from audience_sync.delivery.state.sent_form import SentId
from audience_sync.model import ALIAS_KEY, USER_ID, ChangeCounts, HoldKind, PropertyKind
from audience_sync.sql import Query
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.guard.holds import (
    ComparedDifference,
    Difference,
    compare_with_hold,
    guard_difference,
    supersede,
    supersede_missing,
)
from audience_sync.sync.guard.limits import ends_too_many, mapping_reason
from audience_sync.sync.values.findings import Detection, MappingChange, MappingKind, MappingResult, RunFindings
from audience_sync.sync.values.run_context import RunContext
from audience_sync.text import listed

#: The changes that a reason names.
MAX_NAMED = 3


class MappingGuard(Struct, frozen=True):
    """Compare the destinations before and after a run. ``guards``: by key, the limits of each property."""

    context: RunContext
    chains: Mapping[str, Chain]
    guards: Mapping[str, Guard]

    def detect(self, before: Mapping[str, DestinationState], after: Mapping[str, DestinationState]) -> Detection:
        """Return the changes of all destinations, and the holds of those that end too many values."""
        found = [
            self._detect(state, after[name])
            for name, state in before.items()
            if state.id is not None  # a new destination has no former mapping
        ]
        missing = supersede_missing(self.context, HoldKind.MAPPING, before)
        return Detection.total([*found, missing])

    def _detect(self, before: DestinationState, after: DestinationState) -> Detection:
        name = before.name
        changes = tuple(self._changes(before, after))
        if not changes:
            return supersede(self.context, (HoldKind.MAPPING, name), "The mapping is the former one again")
        ended = [each for each in _ended_keys(before, after, self.context.run) if each in self.guards]
        held = [key for key in ended if ends_too_many(self._count(key), self.guards[key])]
        if not held:
            within = supersede(self.context, (HoldKind.MAPPING, name), "The change is within the limits")
            return within + _result(MappingResult(destination=name, changes=changes))
        compared = self._compare(name, held, changes)
        users = compared.difference.counts.left
        reason = mapping_reason(name, _text(changes), users, self.guards[held[0]].max_removed)
        verdict = guard_difference(self.context, compared, reason)
        result = MappingResult(destination=name, changes=changes, held=verdict.held)
        messages = (verdict.held.message,) if verdict.held else ()
        return verdict.holds + _result(result, messages)

    def _compare(self, name: str, keys: Sequence[str], changes: Sequence[MappingChange]) -> ComparedDifference:
        """Compare with the last hold. Another mapping is another difference, also for the same users."""
        users = " union ".join(f"select user_id from ({_users_query(self.chains[key], key)})" for key in keys)
        (count,) = self.context.workspace.one(f"select count(*) from ({users})")
        compared = compare_with_hold(
            self.context,
            Difference(
                kind=HoldKind.MAPPING,
                key=name,
                counts=ChangeCounts(count, 0, count),
                users=Query(f"select user_id, false as present from ({users})"),
                tolerance=self.context.settings.guard.tolerance,
            ),
        )
        is_same = compared.last is not None and compared.is_same and _text(changes) in compared.last.reason
        return replace(compared, is_same=is_same)

    def _count(self, key: str) -> int:
        """The number of users with the property."""
        chain = self.chains[key]
        if chain.kind is PropertyKind.AUDIENCE:
            return chain.user_count
        return int(self.context.workspace.one(f"select count(*) from ({_users_query(chain, key)})")[0])

    def _changes(self, before: DestinationState, after: DestinationState) -> Iterator[MappingChange]:
        yield from sorted(self._new_and_dropped(before, after), key=lambda each: each.kind is MappingKind.DROPPED)
        known: set[tuple[SentId, SentId]] = set()
        for key, old, new in _changed_forms(before, after):
            ways = (
                (MappingKind.RENAMED, old.form.name or key, new.form.name or key),
                (MappingKind.HASHED, _hash_text(old), _hash_text(new)),
                (MappingKind.ON_NULL, _null_text(old), _null_text(new)),
            )
            for kind, was, now in ways:
                if was != now:
                    yield MappingChange(kind=kind, key=key, before=was, after=now, users=self._count(key))
            ids = (old.form.sent_id, new.form.sent_id)
            if ids[0] != ids[1] and ids not in known:
                known.add(ids)
                moved = [each for each, a, b in _changed_forms(before, after) if a.form.sent_id != b.form.sent_id]
                yield MappingChange(
                    kind=MappingKind.USER_ID, key=None, before=_id(ids[0]), after=_id(ids[1]), users=self._all(moved)
                )

    def _new_and_dropped(self, before: DestinationState, after: DestinationState) -> Iterator[MappingChange]:
        """A computed trait that exists already, and that the destination gets from this run on, or no longer."""
        for key, each in after.subscriptions.items():
            old = before.subscriptions.get(key)
            was_active, is_active = old is not None and old.ended_run is None, each.ended_run is None
            known = self.context.stored.properties.get(key)
            is_trait = known is not None and known.kind is PropertyKind.COMPUTED_TRAIT and key != ALIAS_KEY
            if was_active == is_active or not is_trait:
                continue
            kind = MappingKind.NEW if is_active else MappingKind.DROPPED
            yield MappingChange(kind=kind, key=key, before=None, after=None, users=self._count(key))

    def _all(self, keys: Sequence[str]) -> int:
        users = " union ".join(f"select user_id from ({_users_query(self.chains[key], key)})" for key in keys)
        return int(self.context.workspace.one(f"select count(*) from ({users})")[0])


def _result(result: MappingResult, held: tuple[str, ...] = ()) -> Detection:
    return Detection(findings=RunFindings(mappings=(result,), held=held))


def _changed_forms(
    before: DestinationState, after: DestinationState
) -> Iterator[tuple[str, Subscription, Subscription]]:
    for key, old in before.subscriptions.items():
        new = after.subscriptions.get(key)
        is_active = old.ended_run is None and new is not None and new.ended_run is None
        if new is not None and is_active and not old.form.is_same(new.form):
            yield key, old, new


def _ended_keys(before: DestinationState, after: DestinationState, run: int) -> Iterator[str]:
    """The properties whose values under a former name or id were sent, and end."""
    for key, old, new in _changed_forms(before, after):
        is_other = (old.form.name, old.form.sent_id) != (new.form.name, new.form.sent_id)
        if is_other and new.since_run == run and old.since_run != run:
            yield key


def _users_query(chain: Chain, key: str) -> str:
    rows = current_rows_query(chain)
    return rows if chain.kind is PropertyKind.AUDIENCE else f"from ({rows}) where {trait_column(key)} is not null"


def _text(changes: Sequence[MappingChange]) -> str:
    """The changes that end something, in parentheses."""
    ends = [each for each in changes if each.kind in (MappingKind.RENAMED, MappingKind.USER_ID)]
    return f"({listed([each.text for each in ends], most=MAX_NAMED)})"


def _hash_text(subscription: Subscription) -> str:
    return "hashed" if subscription.form.hashed else "plain"


def _null_text(subscription: Subscription) -> str:
    return "skip" if subscription.form.skips_null else "send"


def _id(sent_id: SentId) -> str:
    kind = f"as {sent_id.kind}" if sent_id.kind else ""
    return ", ".join(filter(None, [sent_id.trait or USER_ID, "hashed" if sent_id.hashed else "", kind]))
