"""How does a destination stand with one user, property by property: told, owed, refused, withheld, or why not?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from audience_sync.delivery.state.cursors import Feed
from audience_sync.delivery.state.subscription_history import Terms
from audience_sync.history.explain.replay import Call, Told, active, in_force, news
from audience_sync.history.explain.value_history import Version, Versions


class State(StrEnum):
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
class Line:
    """``told``: the call that told the property last. ``due``: the value that is to be told, or was not taken."""

    key: str
    state: State
    told: Call | None = None
    due: Version | None = None
    ended_run: int | None = None


def standing(
    versions: Mapping[str, Versions],
    terms: Mapping[str, Sequence[Terms]],
    told: Told,
    feeds: Mapping[str | None, Feed],
    run: int,
    *,
    suppressed: bool,
    forgotten: int = 0,
) -> list[Line]:
    """A line for each property of which the user ever had a value, after a run. ``feeds``: how far each has got.
    ``forgotten``: the run up to which requests are no longer kept."""
    due: dict[str, tuple[State, Version]] = {key: (State.REFUSED, each) for key, each in told.refused.items()}
    for seeding, feed in feeds.items():
        reached = max(told.reached.get(seeding, 0), feed.position)
        state = State.WAITING if seeding and not reached else State.OWED
        for key, each in active(terms, run, seeding).items():
            version = news(versions[key], each, reached, run, feed.attempted_run) if key in versions else None
            kept = told.withheld.get(key)
            newest = max((each for each in (version, kept) if each), key=lambda each: each.run, default=None)
            if newest is not None:
                due[key] = (state, newest)
    due = {key: (State.OWED, each) for key, each in told.withheld.items()} | due
    if suppressed:
        due = {key: (State.WITHHELD, version) for key, (_, version) in due.items()}
    return [_line(key, each, terms.get(key, ()), told, due.get(key), run, forgotten) for key, each in versions.items()]


def passed_on(lines: Sequence[Line]) -> list[Line]:
    """The same of a previous id, where the destination has joined it with the new one: nothing more is to be told."""
    over = (State.NOT_TOLD_OF, State.ENDED)
    return [each if each.state in over else Line(each.key, State.JOINED, each.told) for each in lines]


def _line(
    key: str,
    versions: Versions,
    terms: Sequence[Terms],
    told: Told,
    due: tuple[State, Version] | None,
    run: int,
    forgotten: int,
) -> Line:
    believed, now = told.believed.get(key), in_force(terms, run)
    if now is None:
        return Line(key, State.NOT_TOLD_OF)
    if now.subscription.ended_run is not None:
        return Line(key, State.ENDED, believed, ended_run=now.subscription.ended_run)
    if due:
        return Line(key, due[0], believed, due[1])
    told_long_ago = versions.changes and now.subscription.since_run < versions.now.run <= forgotten
    if believed or told_long_ago or news(versions, now, 0, run, None):  # the request may no longer be kept
        return Line(key, State.TOLD, believed)
    baseline = versions.is_there and not now.subscription.tell_everyone
    return Line(key, State.BASELINE if baseline else State.NOTHING)
