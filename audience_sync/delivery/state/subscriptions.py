"""Update a destination's subscriptions from the config and from resync, retire and undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, SentForm, Subscription
from audience_sync.delivery.state.pending_rule import PendingRule
from audience_sync.model import RunId


def subscribe(state: DestinationState, wanted: Mapping[str, bool], run: RunId) -> DestinationState:
    """Subscribe to the keys of ``wanted`` (key -> whether current members are backfilled), and end the others.

    A key that returns is sent only the changes since it ended. If its backfill was not complete, it is backfilled.
    """
    after = {key: each for key, each in state.subscriptions.items() if key in wanted and each.ended_run is None}
    for key, each in state.subscriptions.items():
        if each.ended_run is not None:
            after[key] = _resume_subscription(each, run) if key in wanted else each
        elif key not in wanted:
            after[key] = _end_subscription(each, state.seeds.get(key, state.cursor), run)
    for key, everyone in wanted.items():
        after.setdefault(key, Subscription(key=key, since_run=run, backfill=everyone))
    return replace(state, subscriptions=after)


def resync(state: DestinationState, first_sent: Mapping[str, RunId], run: RunId) -> DestinationState:
    """Send properties again: ``true`` to members, and ``false`` to each user who left since the first send.

    ``first_sent`` maps each key to the run of its first send. Traits are sent with their value, or ``null`` if it was
    removed. A property that was never sent goes to members alone, with the message ids of this run. After a restored
    backup the destination may have these calls already, and it would drop calls with their ids.
    """
    repeated = {}
    for key, each in state.subscriptions.items():
        if key in first_sent and each.ended_run is None:
            is_unsent = _is_unsent(each, state.seeds.get(key, state.cursor))
            since = run if is_unsent else first_sent[key]
            repeated[key] = replace(each, since_run=run, backfill=True, previously_delivered_run=since)
    return replace(state, subscriptions={**state.subscriptions, **repeated})


def send_in_form(
    state: DestinationState, forms: Mapping[str, SentForm], first_sent: Mapping[str, RunId], run: RunId
) -> DestinationState:
    """Send properties again whose form at the destination has changed, and remember the name that each replaces.

    ``first_sent`` maps each key to the run of its first send. A property that was never sent only gets its form.
    """
    changed = {key: each for key, each in state.subscriptions.items() if key in forms and each.ended_run is None}
    changed = {key: each for key, each in changed.items() if not each.form.is_same(forms[key])}
    sent = {
        key
        for key, each in changed.items()
        if key in first_sent and not _is_unsent(each, state.seeds.get(key, state.cursor))
    }
    after = resync(state, {key: first_sent[key] for key in sent}, run)
    remapped = {}
    for key, each in changed.items():
        former = _replaced_name(key, each.form, forms[key]) if key in sent else None
        remapped[key] = replace(after.subscriptions[key], sent_as=replace(forms[key], replaces=former).text)
    return replace(after, subscriptions={**after.subscriptions, **remapped})


def _replaced_name(key: str, before: SentForm, after: SentForm) -> str | None:
    """Return the name that a property had before, if users are known by the same id and it has another one now."""
    name = before.name or key
    return name if before.user_id == after.user_id and name != (after.name or key) else None


def keep_retired(state: DestinationState, closed: Collection[str], run: RunId) -> DestinationState:
    """Keep the subscriptions of retired (``closed``) keys until every ``true`` that may have been sent is reverted.

    A subscription that had ended is resumed for that. An audience that a person was seeding moves to the main cursor,
    which reaches every user whom the seed may have reached.
    """
    after = dict(state.subscriptions)
    for key in closed & after.keys():
        each, cursor = after[key], state.seeds.get(key)
        if cursor is not None:
            after[key] = Subscription(
                key=key,
                since_run=run,
                backfill=False,
                previously_delivered_run=PendingRule(each, cursor.attempted_run).first_attempt,
            )
        elif each.ended_run is not None and (each.previously_delivered_run is not None or not each.backfill):
            after[key] = _resume_subscription(each, run)
    return replace(
        state,
        seeds={key: cursor for key, cursor in state.seeds.items() if key not in closed},
        subscriptions=after,
    )


def _is_unsent(subscription: Subscription, cursor: DeliveryCursor) -> bool:
    rule = PendingRule(subscription, cursor.attempted_run)
    return rule.catches_up(cursor.low_watermark) and rule.first_attempt is None


def undo_baseline(state: DestinationState, keys: Collection[str], run: RunId) -> DestinationState:
    """Undo recorded baselines of these keys without sending, unless other changes of the property are pending."""
    undone = {
        key: replace(each, since_run=run)
        for key, each in state.subscriptions.items()
        if key in keys and not each.backfill and each.ended_run is None and state.cursor.low_watermark >= run - 1
    }
    return replace(state, subscriptions={**state.subscriptions, **undone})


def _end_subscription(subscription: Subscription, cursor: DeliveryCursor, run: RunId) -> Subscription:
    """End a subscription, and keep the run up to which it was sent, in case it is resumed.

    Before its backfill is complete, a user who left may have been sent ``true``, but only if a call was attempted.
    """
    rule = PendingRule(subscription, cursor.attempted_run)
    if rule.catches_up(cursor.low_watermark):
        return replace(subscription, ended_run=run, previously_delivered_run=rule.first_attempt)
    delivered_run = max(cursor.low_watermark, subscription.since_run)
    return replace(subscription, ended_run=run, backfill=False, previously_delivered_run=delivered_run)


def _resume_subscription(ended: Subscription, run: RunId) -> Subscription:
    return replace(ended, since_run=run, ended_run=None)
