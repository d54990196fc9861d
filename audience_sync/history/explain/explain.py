"""What is known of one user? Every audience and trait, and what each destination was told, answered and is owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, null, select, text

from audience_sync.delivery.pending.pending import NEVER
from audience_sync.delivery.state.cursors import Feed, Ledger, read_ledgers
from audience_sync.delivery.state.subscription_history import Terms, read_terms
from audience_sync.history.explain.alias import Joined, joined_to
from audience_sync.history.explain.provenance import SnapshotOf, snapshots_of
from audience_sync.history.explain.replay import Story, Suppression, Told, in_force, replay
from audience_sync.history.explain.requests import Reach, read_requests
from audience_sync.history.explain.status import Line, passed_on, standing
from audience_sync.history.explain.value_history import Version, Versions, read_versions
from audience_sync.history.horizon import run_known_by
from audience_sync.model import ALIAS_KEY, History
from audience_sync.store.audiences.absences import Absence, absences_of
from audience_sync.store.audiences.holdouts import Holdout, holdouts_of
from audience_sync.store.audiences.properties import read_properties
from audience_sync.store.audiences.suppressions import erased_at
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.pruning import pruned_through
from audience_sync.store.tables import (
    destinations,
    past_suppressions,
    properties,
    refused_values,
    runs,
    suppressions,
    withheld_values,
)
from audience_sync.workspace import Workspace

Companions = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class LastDelivery:
    """The last run that delivered to a destination, to whomever."""

    run: int
    pending: int
    error: str | None


@dataclass(frozen=True, slots=True)
class DestinationView:
    """``unanswered_since``: the run since which calls may have been sent whose answers were not recorded."""

    name: str
    type: str
    lines: Sequence[Line]
    told: Told
    last: LastDelivery | None
    unanswered_since: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was known at a time. ``times``: when runs started. ``forgotten``: the run up to which requests are no
    longer kept, 0 where all are. Of an erased user there is only ``erased_at``.

    ``absences``: by key, where the user is missing from the source and stays for now; ``holdouts``: where the user is
    held out; both of the present only. ``joined``: which id the user has, where this is a previous one."""

    user_id: str
    at: datetime
    erased_at: datetime | None = None
    suppressions: Sequence[Suppression] = ()
    versions: Mapping[str, Versions] = field(default_factory=dict)
    snapshots: Mapping[str, SnapshotOf] = field(default_factory=dict)
    destinations: Sequence[DestinationView] = ()
    times: Mapping[int, datetime] = field(default_factory=dict)
    forgotten: int = 0
    absences: Mapping[str, Absence] = field(default_factory=dict)
    holdouts: Mapping[str, Holdout] = field(default_factory=dict)
    joined: Joined | None = None

    @property
    def is_known(self) -> bool:
        known = self.erased_at or self.suppressions or self.holdouts or self.joined
        return bool(known) or any(each.ever for each in self.versions.values())

    @property
    def is_suppressed(self) -> bool:
        return any(each.holds_at(self.at) for each in self.suppressions)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who is asked about, as of when (after which run), and what they had and were until then.

    ``forgotten``: the run up to which requests are no longer kept.
    """

    user: str
    moment: datetime
    run: int
    versions: Mapping[str, Versions]
    suppressions: Sequence[Suppression]
    companions: Mapping[str, Companions]
    forgotten: int
    joined: Joined | None


def explain(
    store: Store, user: str, *, at: datetime | None, memory_limit: int, companions: Mapping[str, Companions]
) -> Explanation:
    """All that the store says about a user, now or ``at`` a time; it only reads what concerns them.

    ``companions``: by a destination's type, the traits that it is told together. Raises ForgottenError for a time
    before what is kept.
    """
    moment = at or datetime.now(UTC)
    with Workspace(memory_limit) as workspace, store.reading() as connection:
        erased = erased_at(connection, user)
        if erased is not None:
            return Explanation(user, moment, erased)
        run = NEVER if at is None else run_known_by(connection, at)
        pruned = pruned_through(connection)
        forgotten = max(pruned[History.CHANGES], pruned[History.REQUESTS])
        known = read_properties(connection)
        everything = read_versions(connection, workspace, known, user, forgotten=pruned[History.CHANGES])
        versions = {key: each for key, known in everything.items() if (each := known.until(run))}
        ever = {key: each for key, each in versions.items() if each.ever}
        joined = joined_to(connection, workspace, known, user, run)
        on_lists = _suppressions(connection, user, moment)
        asked = _Asked(user, moment, run, ever, on_lists, companions, forgotten, joined)
        snapshots = snapshots_of(connection, versions.values(), run, moment)
        return Explanation(
            user,
            moment,
            None,
            asked.suppressions,
            versions,
            snapshots,
            [_view(connection, row.id, row.name, row.type, asked) for row in _destinations(connection, moment)],
            _times(connection, versions.values(), snapshots.values()),
            forgotten,
            absences_of(connection, user) if at is None else {},
            holdouts_of(connection, user) if at is None else {},
            asked.joined,
        )


def _destinations(connection: Connection, moment: datetime) -> Sequence[Row[Any]]:
    query = select(destinations).where(destinations.c.created_at <= moment).order_by(destinations.c.name)
    return connection.execute(query).all()


def _view(connection: Connection, destination: int, name: str, kind: str, asked: _Asked) -> DestinationView:
    terms = read_terms(connection, destination)
    ids = {key: each.of.id for key, each in asked.versions.items()}
    seeded = {key: ids[key] for key, history in terms.items() if key in ids and any(each.seeding for each in history)}
    reach = Reach(connection, destination, asked.user, asked.moment, asked.forgotten, terms, seeded)
    joined = asked.joined.run if asked.joined is not None and ALIAS_KEY in terms else None
    story = Story(asked.versions, terms, asked.suppressions, asked.companions.get(kind, ()), joined)
    told = replay(story, read_requests(reach, story.runs_with_news(), asked.suppressions), asked.moment)
    if asked.forgotten and asked.run == NEVER:
        told.refused = _kept(connection, refused_values, destination, asked.user)
        told.withheld = _kept(connection, withheld_values, destination, asked.user)
    feeds = _feeds(read_ledgers(connection, [name])[name], terms, asked)
    suppressed = any(each.holds_at(asked.moment) for each in asked.suppressions)
    lines = standing(asked.versions, terms, told, feeds, asked.run, suppressed=suppressed, forgotten=asked.forgotten)
    return DestinationView(
        name,
        kind,
        lines if joined is None else passed_on(lines),
        told,
        _last(connection, name, asked.run),
        min((each.attempted_run for each in feeds.values() if each.attempted_run), default=None),
    )


def _kept(connection: Connection, table: Table, destination: int, user: str) -> dict[str, Version]:
    """What did not get through, now: of runs whose requests are no longer kept only these tables say it."""
    mine = (table.c.destination_id == destination) & (table.c.user_id == user)
    columns = (properties.c.key, table.c.run_id, table.c.value)
    query = select(*columns).join_from(table, properties).where(mine)
    return {row.key: Version(row.run_id, row.value) for row in connection.execute(query)}


def _feeds(ledger: Ledger, terms: Mapping[str, Sequence[Terms]], asked: _Asked) -> dict[str | None, Feed]:
    """How far each feed had got after a run; of a past one only the requests say it, and what is let go of of them
    had been answered."""
    feeds, run = {each.seeding: each for each in (ledger.feed, *ledger.seeds.values())}, asked.run
    if run == NEVER:
        return feeds
    keys = [None, *(key for key, history in terms.items() if (then := in_force(history, run)) and then.seeding)]
    attempted = {key: each.attempted_run for key, each in feeds.items() if (each.attempted_run or NEVER) <= run}
    position = min(asked.forgotten, ledger.feed.position)
    return {key: Feed(None, 0 if key else position, attempted.get(key), seeding=key) for key in keys}


def _last(connection: Connection, name: str, run: int) -> LastDelivery | None:
    """By the view: of a run that is at work it says what is pending at this moment."""
    last = "(select max(run) from deliveries where destination = :name and run <= :run)"
    query = text(f"select run, pending, error from deliveries where destination = :name and run = {last}")
    row = connection.execute(query, {"name": name, "run": run}).first()
    return LastDelivery(*row) if row else None


def _suppressions(connection: Connection, user: str, moment: datetime) -> list[Suppression]:
    """The lists that the user was on by then, in the order of time."""
    now = select(suppressions.c.origin, suppressions.c.since, null()).where(suppressions.c.user_id == user)
    past = past_suppressions.c
    before = select(past.origin, past.since, past.until).where(past.user_id == user)
    rows = [*connection.execute(before), *connection.execute(now)]
    return sorted((Suppression(*row) for row in rows if row.since <= moment), key=lambda each: each.since)


def _times(
    connection: Connection, versions: Iterable[Versions], snapshots: Iterable[SnapshotOf]
) -> dict[int, datetime]:
    wanted = {change.run for each in versions for change in (each.first, *each.changes)}
    wanted |= {each.confirmed_by for each in snapshots if each.confirmed_by is not None}
    query = select(runs.c.id, runs.c.started_at).where(runs.c.id.in_(sorted(wanted)))
    return {row.id: row.started_at for row in connection.execute(query)}
