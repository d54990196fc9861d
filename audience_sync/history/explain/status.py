"""Derive the delivery state of each property of a user at a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from audience_sync.delivery.state.cursors import DeliveryCursor
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, active_subscriptions, version_at
from audience_sync.history.explain.calls import Call
from audience_sync.history.explain.replay import ReplayState, pending_version
from audience_sync.history.explain.value_history import ValueChange, ValueHistory
from audience_sync.model import NO_RUN, RunId


class DeliveryState(StrEnum):
    """The state of one property of a user at a destination. The values are the words of ``explain --json``."""

    SENT = "sent"
    PENDING = "pending"  # the next run sends it
    WAITING = "waiting"  # the next `seed` sends it
    REFUSED = "refused"  # `retry` sends it again, and so does the user's next change
    WITHHELD = "withheld"  # the user is suppressed
    BASELINE = "baseline"  # recorded without sending; only later changes are sent
    NOT_SUBSCRIBED = "not_subscribed"  # the config sends it elsewhere
    ENDED = "ended"  # the subscription has ended
    MERGED = "joined"  # sent under the id that the user has now
    NOTHING = "nothing"  # the user never had a value to send


class PropertyStatus(Struct, frozen=True, kw_only=True):
    """``sent``: the last accepted call with the property. ``pending``: a pending, refused or withheld value."""

    key: str
    state: DeliveryState
    sent: Call | None = None
    pending: ValueChange | None = None
    ended_run: RunId | None = None


def delivery_status(
    versions: Mapping[str, ValueHistory],
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]],
    replay: ReplayState,
    cursors: Mapping[str | None, DeliveryCursor],
    run: RunId,
    *,
    suppressed: bool,
    forgotten: RunId = NO_RUN,
) -> list[PropertyStatus]:
    """Return the state of each property of which the user ever had a value, after a run.

    ``cursors``: by seeded key (None: the main one). ``forgotten``: the run up to which requests were deleted.
    """
    due: dict[str, tuple[DeliveryState, ValueChange]] = {
        key: (DeliveryState.REFUSED, each) for key, each in replay.refused.items()
    }
    for seeding, cursor in cursors.items():
        reached = max(replay.reached.get(seeding, NO_RUN), cursor.position)
        state = DeliveryState.WAITING if seeding and not reached else DeliveryState.PENDING
        for key, each in active_subscriptions(subscriptions, run, seeding).items():
            version = (
                pending_version(versions[key], each, reached, run, cursor.attempted_run) if key in versions else None
            )
            kept = replay.withheld.get(key)
            newest = max((each for each in (version, kept) if each), key=lambda each: each.run, default=None)
            if newest is not None:
                due[key] = (state, newest)
    due = {key: (DeliveryState.PENDING, each) for key, each in replay.withheld.items()} | due
    if suppressed:
        due = {key: (DeliveryState.WITHHELD, version) for key, (_, version) in due.items()}
    return [
        _property_status(each, subscriptions.get(key, ()), replay, due=due.get(key), run=run, forgotten=forgotten)
        for key, each in versions.items()
    ]


def merged_statuses(lines: Sequence[PropertyStatus]) -> list[PropertyStatus]:
    """Mark the properties of a merged id: nothing more is sent for them."""
    unsent = (DeliveryState.NOT_SUBSCRIBED, DeliveryState.ENDED)
    return [
        each if each.state in unsent else PropertyStatus(key=each.key, state=DeliveryState.MERGED, sent=each.sent)
        for each in lines
    ]


def _property_status(
    versions: ValueHistory,
    history: Sequence[SubscriptionVersion],
    replay: ReplayState,
    *,
    due: tuple[DeliveryState, ValueChange] | None,
    run: RunId,
    forgotten: RunId,
) -> PropertyStatus:
    key = versions.definition.key
    accepted, now = replay.last_accepted.get(key), version_at(history, run)
    if now is None:
        return PropertyStatus(key=key, state=DeliveryState.NOT_SUBSCRIBED)
    if now.subscription.ended_run is not None:
        return PropertyStatus(key=key, state=DeliveryState.ENDED, sent=accepted, ended_run=now.subscription.ended_run)
    if due:
        return PropertyStatus(key=key, state=due[0], sent=accepted, pending=due[1])
    sent_before_pruning = versions.changes and now.subscription.since_run < versions.latest.run <= forgotten
    if (
        accepted or sent_before_pruning or pending_version(versions, now, NO_RUN, run, None)
    ):  # the request may be deleted
        return PropertyStatus(key=key, state=DeliveryState.SENT, sent=accepted)
    baseline = versions.is_present and not now.subscription.backfill
    return PropertyStatus(key=key, state=DeliveryState.BASELINE if baseline else DeliveryState.NOTHING)
