"""Explain one user: audiences, traits, and the calls, answers and pending changes of each destination."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection, Row, Table, null, select, text

from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, read_destination_states
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, read_subscription_history, version_at
from audience_sync.history.explain.calls import Call, Suppression
from audience_sync.history.explain.provenance import Provenance, snapshots_of
from audience_sync.history.explain.replay import ReplayInput, ReplayState, replay
from audience_sync.history.explain.requests import RequestQuery, read_requests
from audience_sync.history.explain.status import PropertyStatus, delivery_status, merged_statuses
from audience_sync.history.explain.value_history import (
    EMPTY,
    FALSE,
    UNKNOWN,
    CurrentId,
    ValueChange,
    ValueHistory,
    current_id,
    read_versions,
)
from audience_sync.history.runs import run_at
from audience_sync.model import ALIAS_KEY, MAX_RUN, NO_RUN, DestinationId, HistoryKind, RunId, UserId
from audience_sync.store.audiences.absences import Absence, absences_of
from audience_sync.store.audiences.holdouts import Holdout, holdouts_of
from audience_sync.store.audiences.properties import read_properties
from audience_sync.store.audiences.suppressions import erased_at
from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance.pruning import pruned_through
from audience_sync.store.tables import (
    delivery_destinations,
    past_suppressions,
    properties,
    refused_values,
    runs,
    suppressions,
    view_prefix,
    withheld_values,
)
from audience_sync.workspace import Workspace

Companions = Sequence[Sequence[str]]


class LastDelivery(Struct, frozen=True):
    """The last run that delivered to a destination, to any user."""

    run: RunId
    pending: int
    error: str | None


class DestinationView(Struct, frozen=True, kw_only=True):
    """One destination and the user. ``unanswered_since``: the run from which calls may have no recorded answer.

    ``subscriptions``: by key, all versions, which have the names and the id there.
    """

    name: str
    type: str
    statuses: Sequence[PropertyStatus]
    replay: ReplayState
    last: LastDelivery | None
    unanswered_since: RunId | None
    subscriptions: Mapping[str, Sequence[SubscriptionVersion]] = field(default_factory=dict)

    def forms(self, call: Call) -> dict[str, SentForm]:
        """Return how each property of a call was sent, if not under its key and by the user id."""
        versions = {key: version_at(self.subscriptions.get(key, ()), call.request.run) for key in call.values}
        forms = {key: each.subscription.form for key, each in versions.items() if each}
        return {key: form for key, form in forms.items() if form.name or form.hashed or form.user_id}

    def sent_id(self, call: Call, values: Mapping[str, ValueHistory]) -> str | None:
        """Return the id under which a call was sent; None if it was the user id. ``values``: those of the user."""
        trait = next((form.user_id for form in self.forms(call).values() if form.user_id), None)
        known = values.get(trait) if trait is not None else None
        then = known.until(call.request.run) if known else None
        value = then.latest.value if then else None
        if known and value in (None, EMPTY) and _has_exit(call):
            last = known.last_value(call.request.run)
            value = last.value if last else None
        if value in (None, UNKNOWN):
            return None
        found = json.loads(value)
        return found if isinstance(found, str) else value

    def last_identifiers(self, call: Call, values: Mapping[str, ValueHistory]) -> dict[str, ValueChange]:
        """Return the last values of identifiers that the user has lost, and which an exit carries. See ``apply``."""
        if not _has_exit(call):
            return {}
        run, found = call.request.run, dict[str, ValueChange]()
        for key in [key for key, each in call.values.items() if each.value in (None, EMPTY) and key in values]:
            version, last = version_at(self.subscriptions.get(key, ()), run), values[key].last_value(run)
            form = version.subscription.form if version else SentForm()
            if last and key in (form.user_id, *form.identifiers):
                found[key] = last
        return found


def _has_exit(call: Call) -> bool:
    return any(each.value == FALSE for each in call.values.values())


class Explanation(Struct, frozen=True, kw_only=True):
    """The stored data on a user at a time. An erased user has only ``erased_at``.

    ``times``: the start of each run. ``forgotten``: the run up to which requests were deleted, 0 if none. ``absences``:
    by key, the audiences that ``min_stay`` keeps the user in. ``holdouts``: by key, the audiences that hold the user
    out. Both describe the present only. ``current_id``: the id that replaced this one, if it was merged.
    """

    user_id: UserId
    at: datetime
    erased_at: datetime | None = None
    suppressions: Sequence[Suppression] = ()
    versions: Mapping[str, ValueHistory] = field(default_factory=dict)
    snapshots: Mapping[str, Provenance] = field(default_factory=dict)
    destinations: Sequence[DestinationView] = ()
    times: Mapping[RunId, datetime] = field(default_factory=dict)
    forgotten: RunId = NO_RUN
    absences: Mapping[str, Absence] = field(default_factory=dict)
    holdouts: Mapping[str, Holdout] = field(default_factory=dict)
    current_id: CurrentId | None = None

    @property
    def is_known(self) -> bool:
        known = self.erased_at or self.suppressions or self.holdouts or self.current_id
        return bool(known) or any(each.was_ever_present for each in self.versions.values())

    @property
    def is_suppressed(self) -> bool:
        return any(each.holds_at(self.at) for each in self.suppressions)


def explain(
    store: Store, user: UserId, *, at: datetime | None, memory_limit: int, companions: Mapping[str, Companions]
) -> Explanation:
    """Explain a user now or ``at`` a time, from rows about this user alone.

    ``companions``: the traits that a destination of each type receives together. Raises HistoryPrunedError for a time
    whose changes were deleted.
    """
    with Workspace(memory_limit) as workspace:
        return store.read_with_retry(
            partial(explain_from, workspace=workspace, user=user, at=at, companions=companions)
        )


def explain_from(
    connection: Connection,
    *,
    workspace: Workspace,
    user: UserId,
    at: datetime | None,
    companions: Mapping[str, Companions],
) -> Explanation:
    """Explain a user as ``explain`` does, from a store that is open."""
    moment = at or datetime.now(UTC)
    erased = erased_at(connection, user)
    if erased is not None:
        return Explanation(user_id=user, at=moment, erased_at=erased)
    run = MAX_RUN if at is None else run_at(connection, at)
    pruned = pruned_through(connection)
    forgotten = max(pruned[HistoryKind.CHANGES], pruned[HistoryKind.REQUESTS])
    stored = read_properties(connection)
    histories = read_versions(connection, workspace, stored, user, forgotten=pruned[HistoryKind.CHANGES])
    versions = {key: then for key, each in histories.items() if (then := each.until(run))}
    snapshots = snapshots_of(connection, versions.values(), run, moment)
    found = Explanation(
        user_id=user,
        at=moment,
        suppressions=_suppressions(connection, user, moment),
        versions=versions,
        snapshots=snapshots,
        times=_times(connection, versions.values(), snapshots.values()),
        forgotten=forgotten,
        absences=absences_of(connection, user) if at is None else {},
        holdouts=holdouts_of(connection, user) if at is None else {},
        current_id=current_id(connection, workspace, stored, user, run),
    )
    table = delivery_destinations
    query = select(table).where(table.c.created_at <= moment).order_by(table.c.name)
    rows = connection.execute(query).all()
    return replace(found, destinations=[_view(connection, row, found, run, companions) for row in rows])


def _view(
    connection: Connection, row: Row[Any], found: Explanation, run: RunId, companions: Mapping[str, Companions]
) -> DestinationView:
    """Reconstruct the calls to one destination after a run, from what was found on the user."""
    versions = {key: each for key, each in found.versions.items() if each.was_ever_present}
    subscriptions = read_subscription_history(connection, row.id)
    query = RequestQuery(
        connection=connection,
        destination=row.id,
        user=found.user_id,
        until=found.at,
        forgotten=found.forgotten,
        subscriptions=subscriptions,
        seeded={
            key: versions[key].definition.id
            for key, history in subscriptions.items()
            if key in versions and any(each.seeding for each in history)
        },
    )
    merged_run = found.current_id.run if found.current_id is not None and ALIAS_KEY in subscriptions else None
    inputs = ReplayInput(
        versions=versions,
        subscriptions=subscriptions,
        suppressions=found.suppressions,
        companions=companions.get(row.type, ()),
        merged_run=merged_run,
    )
    requests = read_requests(query, inputs.runs_with_changes(), found.suppressions)
    replayed = replay(inputs, requests, found.at, run)
    if found.forgotten and run == MAX_RUN:
        replayed.refused = _stored_values(connection, refused_values, row.id, found.user_id)
        replayed.withheld = _stored_values(connection, withheld_values, row.id, found.user_id)
    state = read_destination_states(connection, [row.name])[row.name]
    cursors = _cursors_after(state, subscriptions, run, found.forgotten)
    statuses = delivery_status(
        versions, subscriptions, replayed, cursors, run, suppressed=found.is_suppressed, forgotten=found.forgotten
    )
    return DestinationView(
        name=row.name,
        type=row.type,
        statuses=statuses if merged_run is None else merged_statuses(statuses),
        replay=replayed,
        last=_last_delivery(connection, row.name, run),
        subscriptions=subscriptions,
        unanswered_since=min((each.attempted_run for each in cursors.values() if each.attempted_run), default=None),
    )


def _stored_values(
    connection: Connection, table: Table, destination: DestinationId, user: UserId
) -> dict[str, ValueChange]:
    """Read the values that were not accepted, now: the requests of older runs may be deleted."""
    mine = (table.c.destination_id == destination) & (table.c.user_id == user)
    columns = (properties.c.key, table.c.run_id, table.c.value)
    query = select(*columns).join_from(table, properties).where(mine)
    return {row.key: ValueChange(row.run_id, row.value) for row in connection.execute(query)}


def _cursors_after(
    state: DestinationState, subscriptions: Mapping[str, Sequence[SubscriptionVersion]], run: RunId, forgotten: RunId
) -> dict[str | None, DeliveryCursor]:
    """Return the cursors after a run, by seeded key (None: the main one).

    For a past run they follow from the requests. Deleted requests had been answered.
    """
    cursors = {each.seeding: each for each in (state.cursor, *state.seeds.values())}
    if run == MAX_RUN:
        return cursors
    seeding = [key for key, history in subscriptions.items() if (then := version_at(history, run)) and then.seeding]
    attempted = {key: each.attempted_run for key, each in cursors.items() if (each.attempted_run or MAX_RUN) <= run}
    position = min(forgotten, state.cursor.position)
    return {
        key: DeliveryCursor(position=NO_RUN if key else position, attempted_run=attempted.get(key), seeding=key)
        for key in (None, *seeding)
    }


def _last_delivery(connection: Connection, name: str, run: RunId) -> LastDelivery | None:
    """Read the last delivery from the view, which has the current number of pending calls during a run."""
    view = f"{view_prefix(connection)}deliveries"
    query = (
        f"select run, pending, error from {view} where destination = :name and run <= :run order by run desc limit 1"
    )
    row = connection.execute(text(query), {"name": name, "run": run}).first()
    return LastDelivery(*row) if row else None


def _suppressions(connection: Connection, user: UserId, moment: datetime) -> list[Suppression]:
    """Read the suppressions that had begun by then, in order of time."""
    now = select(suppressions.c.origin, suppressions.c.since, null()).where(suppressions.c.user_id == user)
    past = past_suppressions.c
    before = select(past.origin, past.since, past.until).where(past.user_id == user)
    rows = [*connection.execute(before), *connection.execute(now)]
    return sorted((Suppression(*row) for row in rows if row.since <= moment), key=lambda each: each.since)


def _times(
    connection: Connection, versions: Iterable[ValueHistory], snapshots: Iterable[Provenance]
) -> dict[RunId, datetime]:
    wanted = {change.run for each in versions for change in (each.first, *each.changes)}
    wanted |= {each.confirmed_by for each in snapshots if each.confirmed_by is not None}
    query = select(runs.c.id, runs.c.started_at).where(runs.c.id.in_(sorted(wanted)))
    return {row.id: row.started_at for row in connection.execute(query)}
