"""Reconstruct the calls and pending values of one user from the stored requests.

Calls are not stored, but requests are, with their range of users. The values that a request carried for a user follow
from the changes until its run, the earlier requests, and the subscription at the time, by ``PendingRule``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from audience_sync.delivery.state.pending_rule import PendingRule
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, active_subscriptions
from audience_sync.history.explain.calls import SEED, Call, CallOutcome, Request, Suppression
from audience_sync.history.explain.value_history import ValueChange, ValueHistory
from audience_sync.model import ALIAS_KEY, MAX_RUN, NO_RUN, RunId


class ReplayState(Struct, kw_only=True):
    """The state of one user at one destination.

    ``last_accepted``: by key, the last accepted call. ``refused`` and ``withheld``: values that were not accepted.
    ``refusals``: the refused calls since these values were last accepted. ``reached``: the run up to which the
    user has been sent everything, by cursor (None: the main one, else the key of a seeded audience).
    """

    calls: list[Call] = field(default_factory=list)
    last_accepted: dict[str, Call] = field(default_factory=dict)
    refused: dict[str, ValueChange] = field(default_factory=dict)
    withheld: dict[str, ValueChange] = field(default_factory=dict)
    refusals: list[Call] = field(default_factory=list)
    reached: dict[str | None, RunId] = field(default_factory=dict)


class ReplayInput(Struct, frozen=True, kw_only=True):
    """The values and subscriptions from which the calls of one destination about one user follow.

    ``versions``: properties of which the user ever had a value. ``companions``: traits that the destination receives
    together. ``merged_run``: from this run on nothing is sent under this id, because the user has another one.
    """

    versions: Mapping[str, ValueHistory]
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]]
    suppressions: Sequence[Suppression] = ()
    companions: Sequence[Sequence[str]] = ()
    merged_run: RunId | None = None

    def runs_with_changes(self) -> list[RunId]:
        """Return the runs at which a value or a subscription changed."""
        runs = {change.run for each in self.versions.values() for change in (each.first, *each.changes)}
        return sorted(runs | {each.from_run for history in self.subscriptions.values() for each in history})


def replay(inputs: ReplayInput, requests: Iterable[Request], until: datetime, at: RunId | None = None) -> ReplayState:
    """Replay the requests in order, and return the state at ``until``, after the run ``at`` (default: the last one)."""
    state, change_runs = ReplayState(), inputs.runs_with_changes()
    seen: dict[str | None, RunId] = {}
    for request in requests:
        if inputs.merged_run is not None and request.run >= inputs.merged_run:
            break
        _withhold_refusals(state, inputs.suppressions, request.answered_at)
        _withhold_refusals_of_ended(state, inputs.subscriptions, request.run)
        reached = max(state.reached.get(request.seeding, NO_RUN), request.position)
        if request.seeding and request.command != SEED and not reached:
            continue  # it only updates users whom the seed has reached
        new = bisect_right(change_runs, request.run) > bisect_right(change_runs, seen.get(request.seeding, NO_RUN))
        if new or (request.retried and state.refused) or (state.withheld and not _is_suppressed(request, inputs)):
            _apply_request(state, request, reached, inputs)
        seen[request.seeding] = request.run
        if request.id is not None:
            state.reached[request.seeding] = max(reached, request.run)
    _withhold_refusals(state, inputs.suppressions, until)
    _withhold_refusals_of_ended(state, inputs.subscriptions, MAX_RUN if at is None else at)
    if inputs.merged_run is not None:  # values that were not accepted moved to the new id
        state.refused.clear()
        state.withheld.clear()
    return state


def _apply_request(state: ReplayState, request: Request, reached: RunId, inputs: ReplayInput) -> None:
    active = {
        key: each
        for key, each in active_subscriptions(inputs.subscriptions, request.run, request.seeding).items()
        if key in inputs.versions
    }
    values = {
        key: version
        for key, each in active.items()
        if (version := pending_version(inputs.versions[key], each, reached, request.run, request.attempted_run))
    }
    new_id_run = _run_of_new_id(active, reached, request.run, inputs)
    if values or new_id_run or request.retried or _has_new_identifier(active, reached, request.run, inputs):
        _merge_newer(values, state.refused, active)
    _merge_newer(values, state.withheld, active)
    if new_id_run:
        _add_values_under_new_id(values, active, inputs, reached=reached, new_id_run=new_id_run, run=request.run)
    if values:
        if not _is_suppressed(request, inputs):
            _join_companions(values, active, request.run, inputs)
        for part, outcome in _outcomes(values, request, inputs):
            _record_call(state, Call(request, part, outcome))


def user_trait(active: Mapping[str, SubscriptionVersion]) -> str | None:
    """Return the trait by which a destination knew users, of its subscriptions in a run; None is the user id."""
    newest = max(active.values(), key=lambda each: each.subscription.since_run, default=None)
    return newest.subscription.form.user_id if newest else None


def _run_of_new_id(
    active: Mapping[str, SubscriptionVersion], reached: RunId, run: RunId, inputs: ReplayInput
) -> RunId | None:
    """Return the run since which the user has another id at the destination, if it is after the run ``reached``."""
    trait = user_trait(active)
    known = inputs.versions.get(trait) if trait is not None else None
    then = known.until(run) if known else None
    changes = then.changes if then else ()
    return max((each.run for each in changes if each.run > reached and each.value not in (None, '""')), default=None)


def _has_new_identifier(
    active: Mapping[str, SubscriptionVersion], reached: RunId, run: RunId, inputs: ReplayInput
) -> bool:
    """Return whether the user has a new value of an identifier: what was refused without it is sent again."""
    traits = {trait for each in active.values() for trait in each.subscription.form.identifiers}
    known = (then for trait in traits if trait in inputs.versions and (then := inputs.versions[trait].until(run)))
    return any(change.run > reached and change.value is not None for each in known for change in each.changes)


def _add_values_under_new_id(
    values: dict[str, ValueChange],
    active: Mapping[str, SubscriptionVersion],
    inputs: ReplayInput,
    *,
    reached: RunId,
    new_id_run: RunId,
    run: RunId,
) -> None:
    """Add every value that the user has been sent under the former id."""
    for key, each in active.items():
        known, since = inputs.versions[key].until(run), each.subscription.since_run
        if key in values or key == ALIAS_KEY or known is None or since > reached:
            continue
        is_later = known.latest.run > since or not inputs.subscriptions[key][0].is_baseline
        if is_later and (known.changes or known.is_present):
            values[key] = ValueChange(max(known.latest.run, new_id_run), known.latest.value)


def _join_companions(values: dict[str, ValueChange], active: Collection[str], run: RunId, inputs: ReplayInput) -> None:
    """Add the unchanged traits of a group whose traits have a meaning only together."""
    for group in inputs.companions:
        known = {key: then for key in group if key in active and (then := inputs.versions[key].until(run))}
        if not values.keys().isdisjoint(known):
            values |= {key: then.latest for key, then in known.items() if key not in values and then.is_present}


def _outcomes(
    values: Mapping[str, ValueChange], request: Request, inputs: ReplayInput
) -> Iterator[tuple[Mapping[str, ValueChange], CallOutcome]]:
    """Yield the outcome of the call: of the whole, or of the sent and of the refused properties."""
    outcome = _outcome(request, inputs)
    without = request.unaccepted.properties if request.unaccepted else frozenset[str]()
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
    if request.unaccepted is None:
        return CallOutcome.DELIVERED
    return CallOutcome.WITHHELD if request.unaccepted.reason is None else CallOutcome.REFUSED


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


def _withhold_refusals(state: ReplayState, suppressions: Sequence[Suppression], until: datetime) -> None:
    """Move refused values to the withheld ones if the user was suppressed after the refusal."""
    if not state.refused:
        return
    refused_at = state.refusals[-1].request.answered_at
    if any(refused_at <= each.since <= until for each in suppressions):
        _merge_newer(state.withheld, state.refused, state.refused)
        state.refused.clear()
        state.refusals.clear()


def _withhold_refusals_of_ended(
    state: ReplayState, subscriptions: Mapping[str, Sequence[SubscriptionVersion]], run: RunId
) -> None:
    """Move refused values of properties that the destination has stopped getting since, up to a run."""
    if not state.refused:
        return
    refused_in = state.refusals[-1].request.run
    ended = [
        key
        for key in state.refused
        for each in subscriptions.get(key, ())
        if each.subscription.ended_run is not None and refused_in < each.from_run <= run
    ]
    _merge_newer(state.withheld, state.refused, dict.fromkeys(ended))
    for key in dict.fromkeys(ended):
        del state.refused[key]
    if not state.refused:
        state.refusals.clear()


def _merge_newer(values: dict[str, ValueChange], others: Mapping[str, ValueChange], keys: Iterable[str]) -> None:
    """Merge other values of the given keys into ``values``; the newer one stays."""
    for key in keys:
        other = others.get(key)
        if other is not None and (key not in values or other.run > values[key].run):
            values[key] = other


def pending_version(
    versions: ValueHistory, version: SubscriptionVersion, reached: RunId, run: RunId, attempted_run: RunId | None
) -> ValueChange | None:
    """Return the value that a run has to send to a user who has been sent everything up to the run ``reached``."""
    known = versions.until(run)
    if known is None:
        return None
    rule, latest = PendingRule(version.subscription, attempted_run), known.latest
    has_changed = known.changes and latest.run > rule.floor(reached)
    if not has_changed and not (rule.sends_current(reached) and known.is_present):
        return None
    return ValueChange(rule.run_of_current(latest.run) if rule.sends_current(reached) else latest.run, latest.value)
