"""Of what is a destination to be told from a run on? Its ledger, as the config and people want it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription


def subscribe(state: DestinationState, wanted: Mapping[str, bool], run: int) -> DestinationState:
    """The ledger after the config was read: ``wanted`` maps keys to whether everyone is told at first.

    What is wanted no longer is ended; of what comes back only the changes since are told, unless not everyone
    had been told before.
    """
    after = {key: each for key, each in state.subscriptions.items() if key in wanted and each.ended_run is None}
    for key, each in state.subscriptions.items():
        if each.ended_run is not None:
            after[key] = _resume_subscription(each, run) if key in wanted else each
        elif key not in wanted:
            after[key] = _end_subscription(each, state.seeds.get(key, state.cursor), run)
    for key, everyone in wanted.items():
        after.setdefault(key, Subscription(key, run, everyone))
    return replace(state, subscriptions=after)


def resync(state: DestinationState, first_sent: Mapping[str, int], run: int) -> DestinationState:
    """The ledger with these properties to be told anew: every member ``true``, and ``false`` to everyone who left
    since the destination was first told of it, in the run that ``first_sent`` names by key (every value, and ``null``
    to whom it disappeared for).

    What was never told yet is told to members alone, but as a change of this run: where the store is a restored backup,
    a destination may have had these calls already, and drops what comes again with the same message ids."""
    anew = {}
    for key, each in state.subscriptions.items():
        if key in first_sent and each.ended_run is None:
            untold = _is_unsent(each, state.seeds.get(key, state.cursor))
            before = run if untold else first_sent[key]
            anew[key] = replace(each, since_run=run, backfill=True, sent_through=before)
    return replace(state, subscriptions={**state.subscriptions, **anew})


def keep_retired(state: DestinationState, closed: Collection[str], run: int) -> DestinationState:
    """The ledger with what is closed for good: the destination stays told of it for as long as it may have been told
    anything that is to be taken back. What had ended comes back for that, and what was being seeded by hand goes over
    the main feed: to whoever may have been reached."""
    after = dict(state.subscriptions)
    for key in closed & after.keys():
        each, cursor = after[key], state.seeds.get(key)
        if cursor is not None:
            after[key] = Subscription(key, run, backfill=False, sent_through=_sent_since(each, cursor))
        elif each.ended_run is not None and (each.sent_through is not None or not each.backfill):
            after[key] = _resume_subscription(each, run)
    return replace(
        state,
        seeds={key: cursor for key, cursor in state.seeds.items() if key not in closed},
        subscriptions=after,
    )


def _is_unsent(subscription: Subscription, cursor: DeliveryCursor) -> bool:
    return subscription.catches_up(cursor) and subscription.sent_through is None and cursor.attempted_run is None


def undo_baseline(state: DestinationState, keys: Collection[str], run: int) -> DestinationState:
    """The ledger where what was recorded of these properties without telling anyone is taken back by this run: nobody
    is told of that either, unless something else is still to be told of it."""
    silent = {
        key: replace(each, since_run=run)
        for key, each in state.subscriptions.items()
        if key in keys and not each.backfill and each.ended_run is None and state.cursor.low_watermark >= run - 1
    }
    return replace(state, subscriptions={**state.subscriptions, **silent})


def _end_subscription(subscription: Subscription, cursor: DeliveryCursor, run: int) -> Subscription:
    """Remember from which run on the log matters, should it ever come back.

    Where not everyone was told yet, who left after that may have been told ``true``; nobody, where nothing was
    ever attempted.
    """
    if subscription.catches_up(cursor):
        return replace(subscription, ended_run=run, sent_through=_sent_since(subscription, cursor))
    return replace(
        subscription, ended_run=run, backfill=False, sent_through=max(cursor.low_watermark, subscription.since_run)
    )


def _sent_since(subscription: Subscription, cursor: DeliveryCursor) -> int | None:
    """The run since which anyone may have been told, where not everyone was; None where nobody was."""
    known = [each for each in (subscription.sent_through, cursor.attempted_run) if each is not None]
    return min(known, default=None)


def _resume_subscription(ended: Subscription, run: int) -> Subscription:
    return replace(ended, since_run=run, ended_run=None)
