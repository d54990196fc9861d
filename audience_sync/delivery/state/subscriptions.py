"""Of what is a destination to be told from a run on? Its ledger, as the config and people want it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from audience_sync.delivery.state.cursors import Feed, Ledger, Subscription


def subscribe(ledger: Ledger, wanted: Mapping[str, bool], run: int) -> Ledger:
    """The ledger after the config was read: ``wanted`` maps keys to whether everyone is told at first.

    What is wanted no longer is ended; of what comes back only the changes since are told, unless not everyone
    had been told before.
    """
    after = {key: each for key, each in ledger.subscriptions.items() if key in wanted and each.ended_run is None}
    for key, each in ledger.subscriptions.items():
        if each.ended_run is not None:
            after[key] = _resume(each, run) if key in wanted else each
        elif key not in wanted:
            after[key] = _end(each, ledger.seeds.get(key, ledger.feed), run)
    for key, everyone in wanted.items():
        after.setdefault(key, Subscription(key, run, everyone))
    return replace(ledger, subscriptions=after)


def retell(ledger: Ledger, first_told: Mapping[str, int], run: int) -> Ledger:
    """The ledger with these properties to be told anew: every member ``true``, and ``false`` to everyone who left
    since the destination was first told of it, in the run that ``first_told`` names by key (every value, and ``null``
    to whom it disappeared for).

    What was never told yet is told to members alone, but as a change of this run: where the store is a restored backup,
    a destination may have had these calls already, and drops what comes again with the same message ids."""
    anew = {}
    for key, each in ledger.subscriptions.items():
        if key in first_told and each.ended_run is None:
            untold = _is_untold(each, ledger.seeds.get(key, ledger.feed))
            before = run if untold else first_told[key]
            anew[key] = replace(each, since_run=run, tell_everyone=True, told_before=before)
    return replace(ledger, subscriptions={**ledger.subscriptions, **anew})


def keep_closing(ledger: Ledger, closed: Collection[str], run: int) -> Ledger:
    """The ledger with what is closed for good: the destination stays told of it for as long as it may have been told
    anything that is to be taken back. What had ended comes back for that, and what was being seeded by hand goes over
    the main feed: to whoever may have been reached."""
    after = dict(ledger.subscriptions)
    for key in closed & after.keys():
        each, feed = after[key], ledger.seeds.get(key)
        if feed is not None:
            after[key] = Subscription(key, run, tell_everyone=False, told_before=_told_since(each, feed))
        elif each.ended_run is not None and (each.told_before is not None or not each.tell_everyone):
            after[key] = _resume(each, run)
    return replace(
        ledger,
        seeds={key: feed for key, feed in ledger.seeds.items() if key not in closed},
        subscriptions=after,
    )


def _is_untold(told: Subscription, feed: Feed) -> bool:
    return told.catches_up(feed) and told.told_before is None and feed.attempted_run is None


def undo_baseline(ledger: Ledger, keys: Collection[str], run: int) -> Ledger:
    """The ledger where what was recorded of these properties without telling anyone is taken back by this run: nobody
    is told of that either, unless something else is still to be told of it."""
    silent = {
        key: replace(each, since_run=run)
        for key, each in ledger.subscriptions.items()
        if key in keys and not each.tell_everyone and each.ended_run is None and ledger.feed.lowest >= run - 1
    }
    return replace(ledger, subscriptions={**ledger.subscriptions, **silent})


def _end(told: Subscription, feed: Feed, run: int) -> Subscription:
    """Remember from which run on the log matters, should it ever come back.

    Where not everyone was told yet, who left after that may have been told ``true``; nobody, where nothing was
    ever attempted.
    """
    if told.catches_up(feed):
        return replace(told, ended_run=run, told_before=_told_since(told, feed))
    return replace(told, ended_run=run, tell_everyone=False, told_before=max(feed.lowest, told.since_run))


def _told_since(told: Subscription, feed: Feed) -> int | None:
    """The run since which anyone may have been told, where not everyone was; None where nobody was."""
    known = [each for each in (told.told_before, feed.attempted_run) if each is not None]
    return min(known, default=None)


def _resume(ended: Subscription, run: int) -> Subscription:
    return replace(ended, since_run=run, ended_run=None)
