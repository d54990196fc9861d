"""What was one user told, and what are they owed? Worked out of the requests, as deliveries work out what to send.

No call is stored. Which requests a user was in reach of is; and what such a request carried for the user follows from
the changes until its run, what had been told before it, and the subscription's terms at the time: the rule of
``delivery/owed.py`` for one user.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from audience_sync.delivery.pending.pending import MAX_RUN
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.history.explain.value_history import ValueChange, ValueHistory

SEED, RETRY = "seed", "retry"


@dataclass(frozen=True, slots=True)
class RejectedCall:
    """A call that was not accepted. ``reason`` None: it was not sent, since the user had just been suppressed.

    ``properties``: those that were refused, where the rest was sent; none where it was the whole call.
    """

    reason: str | None
    http_status: int | None
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """A request in whose range the user is, and the state of its feed when it was made.

    ``id`` None: nothing was sent, the run kept back what it would have told a suppressed user. ``seeding``: the key
    of the audience that it seeds. ``committed_at``: when its run's changes became durable, and it was settled who is
    suppressed. ``refused``: how many calls of it were.
    """

    id: int | None
    run: int
    command: str
    committed_at: datetime | None
    answered_at: datetime
    seeding: str | None = None
    position: int = 0
    attempted_run: int | None = None
    retried: bool = False
    refused: int = 0
    http_status: int | None = None
    answer: str | None = None
    rejection: RejectedCall | None = None


class CallOutcome(StrEnum):
    """What became of a call; a withheld one was not sent."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Call:
    """A call about the user that got an answer, or was kept back."""

    request: Request
    values: Mapping[str, ValueChange]
    outcome: CallOutcome


@dataclass(slots=True)
class ReplayState:
    """How one destination stands with one user.

    ``believed``: by key, the call that told it last. ``refused`` and ``withheld``: what is kept of calls that didn't
    get through. ``refusals``: the answers since the destination took a call with these values. ``reached``: the run
    up to which the user has been told everything, by feed (None = the main one, or the key of a seeded audience).
    """

    calls: list[Call] = field(default_factory=list)
    last_accepted: dict[str, Call] = field(default_factory=dict)
    refused: dict[str, ValueChange] = field(default_factory=dict)
    withheld: dict[str, ValueChange] = field(default_factory=dict)
    refusals: list[Call] = field(default_factory=list)
    sent_through: dict[str | None, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suppression:
    """``until`` None: the user still is."""

    origin: str
    since: datetime
    until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


@dataclass(frozen=True, slots=True)
class ReplayInput:
    """The values and subscriptions from which the calls of one destination about one user follow.

    ``versions``: properties of which the user ever had a value. ``companions``: traits that the destination receives
    together. ``merged_run``: from this run on nothing is sent under this id, because the user has another one.
    """

    versions: Mapping[str, ValueHistory]
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]]
    suppressions: Sequence[Suppression] = ()
    companions: Sequence[Sequence[str]] = ()
    merged_run: int | None = None

    def runs_with_changes(self) -> list[int]:
        """The runs at which something to tell may have come up: a value, or that the destination is told of it."""
        runs = {change.run for each in self.versions.values() for change in (each.first, *each.changes)}
        return sorted(runs | {each.from_run for history in self.subscriptions.values() for each in history})


def replay(inputs: ReplayInput, requests: Iterable[Request], until: datetime) -> ReplayState:
    """Go through the requests in their order, those until then."""
    told, news_at = ReplayState(), inputs.runs_with_changes()
    seen: dict[str | None, int] = {}
    for request in requests:
        if inputs.merged_run is not None and request.run >= inputs.merged_run:
            break
        _withhold_refused(told, inputs.suppressions, request.answered_at)
        reached = max(told.sent_through.get(request.seeding, 0), request.position)
        if request.seeding and request.command != SEED and not reached:
            continue  # it only keeps those up to date whom the seed has reached
        new = bisect_right(news_at, request.run) > bisect_right(news_at, seen.get(request.seeding, 0))
        if new or (request.retried and told.refused) or (told.withheld and not _is_suppressed(request, inputs)):
            _apply_request(told, request, reached, inputs)
        seen[request.seeding] = request.run
        if request.id is not None:
            told.sent_through[request.seeding] = max(reached, request.run)
    _withhold_refused(told, inputs.suppressions, until)
    if inputs.merged_run is not None:  # what was not taken went with the user
        told.refused.clear()
        told.withheld.clear()
    return told


def _apply_request(state: ReplayState, request: Request, reached: int, inputs: ReplayInput) -> None:
    here = {
        key: each
        for key, each in active_subscriptions(inputs.subscriptions, request.run, request.seeding).items()
        if key in inputs.versions
    }
    values = {
        key: version
        for key, each in here.items()
        if (version := pending_version(inputs.versions[key], each, reached, request.run, request.attempted_run))
    }
    if values or request.retried:
        _merge_newer(values, state.refused, here)
    _merge_newer(values, state.withheld, here)
    if values:
        if not _is_suppressed(request, inputs):
            _join_companions(values, here, request.run, inputs)
        for part, outcome in _outcomes(values, request, inputs):
            _record_call(state, Call(request, part, outcome))


def _join_companions(values: dict[str, ValueChange], here: Collection[str], run: int, inputs: ReplayInput) -> None:
    """Traits that mean something only together travel together: the unchanged ones join the changed ones."""
    for group in inputs.companions:
        known = {key: then for key in group if key in here and (then := inputs.versions[key].until(run))}
        if not values.keys().isdisjoint(known):
            values |= {key: then.latest for key, then in known.items() if key not in values and then.is_present}


def _outcomes(
    values: Mapping[str, ValueChange], request: Request, inputs: ReplayInput
) -> Iterator[tuple[Mapping[str, ValueChange], CallOutcome]]:
    """What became of the call: of all of it, or of what was sent and of what it was sent without."""
    outcome = _outcome(request, inputs)
    without = request.rejection.properties if request.rejection else frozenset[str]()
    refused = {key: version for key, version in values.items() if key in without}
    if outcome is CallOutcome.REFUSED and refused:
        if sent := {key: version for key, version in values.items() if key not in without}:
            yield sent, CallOutcome.DELIVERED
        yield refused, outcome
    else:
        yield values, outcome


def _outcome(request: Request, inputs: ReplayInput) -> CallOutcome:
    if _is_suppressed(request, inputs):
        return CallOutcome.WITHHELD
    if request.rejection is None:
        return CallOutcome.DELIVERED
    return CallOutcome.WITHHELD if request.rejection.reason is None else CallOutcome.REFUSED


def _is_suppressed(request: Request, inputs: ReplayInput) -> bool:
    moment = request.committed_at
    return request.id is None or (moment is not None and any(each.holds_at(moment) for each in inputs.suppressions))


def _record_call(state: ReplayState, call: Call) -> None:
    state.calls.append(call)
    for key in call.values:
        state.refused.pop(key, None)
        state.withheld.pop(key, None)
    match call.outcome:
        case CallOutcome.DELIVERED:
            state.last_accepted.update(dict.fromkeys(call.values, call))
        case CallOutcome.WITHHELD:
            state.withheld.update(call.values)
        case CallOutcome.REFUSED:
            state.refused.update(call.values)
            state.refusals.append(call)
    if not state.refused:
        state.refusals.clear()


def _withhold_refused(state: ReplayState, suppressions: Sequence[Suppression], until: datetime) -> None:
    """What a user was refused before they were suppressed is kept for the day when they no longer are."""
    if not state.refused:
        return
    refused_at = state.refusals[-1].request.answered_at
    if any(refused_at <= each.since <= until for each in suppressions):
        _merge_newer(state.withheld, state.refused, state.refused)
        state.refused.clear()
        state.refusals.clear()


def _merge_newer(values: dict[str, ValueChange], others: Mapping[str, ValueChange], keys: Iterable[str]) -> None:
    """Put values among these, those of the given keys; the newer one stays."""
    for key in keys:
        other = others.get(key)
        if other is not None and (key not in values or other.run > values[key].run):
            values[key] = other


def active_subscriptions(
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]], run: int, seeding: str | None
) -> dict[str, SubscriptionVersion]:
    """What a feed tells in a run, by key."""
    found = {key: version_at(history, run) for key, history in subscriptions.items()}
    return {
        key: each
        for key, each in found.items()
        if each is not None
        and each.subscription.ended_run is None
        and (key == seeding if each.seeding else seeding is None)
    }


def version_at(history: Sequence[SubscriptionVersion], run: int) -> SubscriptionVersion | None:
    return next((each for each in reversed(history) if each.from_run <= run), None)


def pending_version(
    versions: ValueHistory, version: SubscriptionVersion, reached: int, run: int, attempted_run: int | None
) -> ValueChange | None:
    """What a run has to tell of a property, to a user who has been told everything up to the run ``reached``."""
    known = versions.until(run)
    if known is None:
        return None
    told = version.subscription
    behind = told.since_run > reached and (told.backfill or told.sent_through is not None)
    floors = [each for each in (attempted_run, told.sent_through) if each is not None]
    floor = min(floors, default=MAX_RUN) if behind else max(reached, told.since_run)
    everyone = behind and told.backfill
    if not (known.changes and known.latest.run > floor) and not (everyone and known.is_present):
        return None
    again = everyone and told.sent_through is not None
    return ValueChange(max(known.latest.run, told.since_run) if again else known.latest.run, known.latest.value)
