"""Compare what `explain` derives from the store with what the receivers got."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Table, select

from audience_sync.history.explain.explain import DestinationView, explain
from audience_sync.history.explain.status import DeliveryState
from audience_sync.model import UserId
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import delivery_destinations, properties, refused_values, withheld_values

from .receiver import Destination

SETTLED = {
    DeliveryState.MERGED,
    DeliveryState.SENT,
    DeliveryState.BASELINE,
    DeliveryState.NOT_SUBSCRIBED,
    DeliveryState.ENDED,
    DeliveryState.NOTHING,
}


def wrong(
    store: Store,
    user: str,
    receivers: dict[str, Destination],
    *,
    settled: bool,
    forgetful: bool = False,
    mapped: Collection[str] = (),
    waiting: dict[str, dict[str, set[str]]] | None = None,
) -> list[str]:
    """The differences between `explain` and the receivers, for one user.

    ``settled``: nothing may be pending. ``forgetful``: sent values may be pruned. ``mapped``: destinations that may
    have other names, and so are not compared. ``waiting``: gets the user, by the property that is pending and by
    destination.
    """
    found = explain(store, UserId(user), at=None, memory_limit=768_000_000, companions={})
    if found.erased_at:
        return []
    for view in found.destinations:
        for each in view.statuses:
            if waiting is not None and each.state in (DeliveryState.PENDING, DeliveryState.WAITING):
                waiting.setdefault(view.name, {}).setdefault(each.key, set()).add(user)
    return [
        f"{user} at {view.name}: {problem}"
        for view in found.destinations
        for problem in _wrong(
            store,
            user,
            view,
            receivers[view.name].belief.users.get(user, {}),
            receivers[view.name].inherited.get(user, set()),
            view.unanswered_since is None and not found.is_suppressed and view.name not in mapped,
            settled,
            forgetful,
        )
    ]


def _wrong(
    store: Store,
    user: str,
    view: DestinationView,
    believed: dict[str, Any],
    inherited: set[str],
    is_certain: bool,
    settled: bool,
    forgetful: bool,
) -> list[str]:
    """``is_certain``: no call was sent whose answer may have been lost.

    Values that were refused, ended or withheld after such a call never become certain.
    """
    open_ended = {each.key for each in view.statuses if each.state in (DeliveryState.ENDED, DeliveryState.REFUSED)}
    sent = {key: call.values[key].value for key, call in view.replay.last_accepted.items()}
    open_ended |= inherited
    if forgetful:
        open_ended |= believed.keys() - sent.keys()
    problems = []
    if is_certain and {key: json.dumps(value) for key, value in believed.items() if key not in open_ended} != {
        key: value or "null" for key, value in sent.items() if key not in open_ended
    }:
        problems.append(f"believes {believed}, explain says that it was sent {sent}")
    refused = {key: each.value for key, each in view.replay.refused.items()}
    if refused != (stored := _stored(store, refused_values, user, view.name)):
        problems.append(f"refused are {stored}, said to be {refused}")
    due = {
        each.key
        for each in view.statuses
        if each.pending or each.state in (DeliveryState.ENDED, DeliveryState.NOT_SUBSCRIBED)
    }
    if not due.issuperset(stored := _stored(store, withheld_values, user, view.name)):
        problems.append(f"withheld are {stored}, not said to be due")
    if settled and (unsettled := [each for each in view.statuses if each.state not in SETTLED]):
        problems.append(f"not settled: {unsettled}")
    return problems


def _stored(store: Store, table: Table, user: str, destination: str) -> dict[str, str | None]:
    query = select(properties.c.key, table.c.value).select_from(table.join(properties).join(delivery_destinations))
    with store.reading() as connection:
        rows = connection.execute(query.where(table.c.user_id == user, delivery_destinations.c.name == destination))
        return {row.key: row.value for row in rows}
