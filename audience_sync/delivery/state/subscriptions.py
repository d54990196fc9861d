"""Update a destination's subscriptions from the config and from resync, retire and undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.delivery.state.pending_rule import PendingRule
from audience_sync.delivery.state.sent_form import SentForm
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
    """Send properties again whose form at the destination has changed, and keep the names that end with it.

    ``first_sent`` maps each key to the run of its first send. A property that was never sent only gets its form. After
    the end of `on_null: skip` only the changes are sent again that were made meanwhile.
    """
    changed = {key: each for key, each in state.subscriptions.items() if key in forms and each.ended_run is None}
    changed = {key: each for key, each in changed.items() if not each.form.is_same(forms[key])}
    cursors = {key: state.seeds.get(key, state.cursor) for key in changed}
    sent = {key for key, each in changed.items() if key in first_sent and not _is_unsent(each, cursors[key])}
    whole = {
        key
        for key in sent
        if not changed[key].form.has_same_values(forms[key])
        or (forms[key].user_id and changed[key].form.skips_null)  # values may have been lost under several ids
    }
    resent = resync(state, {key: first_sent[key] for key in whole}, run).subscriptions
    after = {}
    for key, each in changed.items():
        before, form = each.form, forms[key]
        skipping = (before.skips_null_since or run) if form.skips_null else None
        former = _former_names(each, form, cursors[key]) if key in sent else ()
        if key in sent - whole and before.skips_null_since is not None:
            resent = {**resent, key: _send_skipped(each, cursors[key], before.skips_null_since, run)}
        new = replace(form, skips_null_since=skipping, former=former)
        after[key] = replace(resent[key], sent_as=new.text)
    same = _with_identifiers({key: each for key, each in state.subscriptions.items() if key not in after}, forms)
    return replace(state, subscriptions={**state.subscriptions, **after, **same})


def _with_identifiers(
    subscriptions: Mapping[str, Subscription], forms: Mapping[str, SentForm]
) -> dict[str, Subscription]:
    """Return the subscriptions with other identifiers. They only travel with calls, so nothing is sent again."""
    return {
        key: replace(each, sent_as=replace(each.form, identifiers=forms[key].identifiers).text)
        for key, each in subscriptions.items()
        if key in forms and each.form.identifiers != forms[key].identifiers
    }


def forget_ended_names(state: DestinationState) -> DestinationState:
    """Forget the former names of properties that every user has been sent under the new one."""
    ended = {
        key: replace(each, sent_as=replace(each.form, former=()).text)
        for key, each in state.subscriptions.items()
        if each.form.former and state.seeds.get(key, state.cursor).low_watermark >= each.since_run
    }
    return replace(state, subscriptions={**state.subscriptions, **ended}) if ended else state


def _former_names(subscription: Subscription, form: SentForm, cursor: DeliveryCursor) -> tuple[str, ...]:
    """Return the names that a property had before, if users have the same id under the new form.

    Names that an earlier form has still to end are among them.
    """
    before = subscription.form
    if before.sent_id != form.sent_id:
        return ()
    unended = before.former if cursor.low_watermark < subscription.since_run else ()
    names = dict.fromkeys((*unended, before.name or subscription.key))
    return tuple(name for name in names if name != (form.name or subscription.key))


def _send_skipped(subscription: Subscription, cursor: DeliveryCursor, skipped_since: RunId, run: RunId) -> Subscription:
    """Send the changes again that were made while lost values were skipped."""
    catches_up = PendingRule(subscription, cursor.attempted_run).catches_up(cursor.low_watermark)
    earlier = subscription.previously_delivered_run if catches_up else None
    before = RunId(max(skipped_since - 1, 0))
    return replace(
        subscription,
        since_run=run,
        backfill=subscription.backfill and catches_up,
        previously_delivered_run=before if earlier is None else min(earlier, before),
    )


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
