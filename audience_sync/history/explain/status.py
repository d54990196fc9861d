"""How does a destination stand with one user, property by property: told, owed, refused, withheld, or why not?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from audience_sync.delivery.state.cursors import DeliveryCursor
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.history.explain.replay import Call, ReplayState, active, in_force, pending_version
from audience_sync.history.explain.value_history import ValueChange, ValueHistory


class DeliveryState(StrEnum):
    """Of a property at a destination."""

    TOLD = "told"
    OWED = "owed"  # the next run sends it
    WAITING = "waiting"  # the next `seed` sends it
    REFUSED = "refused"  # sent again by `retry`, or with the user's next change
    WITHHELD = "withheld"  # the user is suppressed
    BASELINE = "baseline"  # recorded without sending; only later changes are told
    NOT_TOLD_OF = "not told of"  # the config sends it elsewhere
    ENDED = "ended"  # no longer told of it
    JOINED = "joined"  # told under the id that the user has now
    NOTHING = "nothing"  # there has been nothing to tell


@dataclass(frozen=True, slots=True)
class PropertyStatus:
    """``told``: the call that told the property last. ``due``: the value that is to be told, or was not taken."""

    key: str
    state: DeliveryState
    told: Call | None = None
    due: ValueChange | None = None
    ended_run: int | None = None


def delivery_status(
    versions: Mapping[str, ValueHistory],
    terms: Mapping[str, Sequence[SubscriptionVersion]],
    told: ReplayState,
    cursors: Mapping[str | None, DeliveryCursor],
    run: int,
    *,
    suppressed: bool,
    forgotten: int = 0,
) -> list[PropertyStatus]:
    """A line for each property of which the user ever had a value, after a run. ``cursors``: how far each has got.
    ``forgotten``: the run up to which requests are no longer kept."""
    due: dict[str, tuple[DeliveryState, ValueChange]] = {
        key: (DeliveryState.REFUSED, each) for key, each in told.refused.items()
    }
    for seeding, cursor in cursors.items():
        reached = max(told.reached.get(seeding, 0), cursor.position)
        state = DeliveryState.WAITING if seeding and not reached else DeliveryState.OWED
        for key, each in active(terms, run, seeding).items():
            version = (
                pending_version(versions[key], each, reached, run, cursor.attempted_run) if key in versions else None
            )
            kept = told.withheld.get(key)
            newest = max((each for each in (version, kept) if each), key=lambda each: each.run, default=None)
            if newest is not None:
                due[key] = (state, newest)
    due = {key: (DeliveryState.OWED, each) for key, each in told.withheld.items()} | due
    if suppressed:
        due = {key: (DeliveryState.WITHHELD, version) for key, (_, version) in due.items()}
    return [_line(key, each, terms.get(key, ()), told, due.get(key), run, forgotten) for key, each in versions.items()]


def passed_on(lines: Sequence[PropertyStatus]) -> list[PropertyStatus]:
    """The same of a previous id, where the destination has joined it with the new one: nothing more is to be told."""
    over = (DeliveryState.NOT_TOLD_OF, DeliveryState.ENDED)
    return [each if each.state in over else PropertyStatus(each.key, DeliveryState.JOINED, each.told) for each in lines]


def _line(
    key: str,
    versions: ValueHistory,
    terms: Sequence[SubscriptionVersion],
    told: ReplayState,
    due: tuple[DeliveryState, ValueChange] | None,
    run: int,
    forgotten: int,
) -> PropertyStatus:
    believed, now = told.believed.get(key), in_force(terms, run)
    if now is None:
        return PropertyStatus(key, DeliveryState.NOT_TOLD_OF)
    if now.subscription.ended_run is not None:
        return PropertyStatus(key, DeliveryState.ENDED, believed, ended_run=now.subscription.ended_run)
    if due:
        return PropertyStatus(key, due[0], believed, due[1])
    told_long_ago = versions.changes and now.subscription.since_run < versions.now.run <= forgotten
    if believed or told_long_ago or pending_version(versions, now, 0, run, None):  # the request may no longer be kept
        return PropertyStatus(key, DeliveryState.TOLD, believed)
    baseline = versions.is_there and not now.subscription.tell_everyone
    return PropertyStatus(key, DeliveryState.BASELINE if baseline else DeliveryState.NOTHING)
