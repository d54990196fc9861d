"""What is each destination owed after a run's findings? The same answer for ``plan`` and for ``sync``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Table, select

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.delivery.pending.pending import NEVER, Facts, needed_after, owed
from audience_sync.delivery.state.cursors import Feed, Ledger, Subscription
from audience_sync.destinations.base import Destination
from audience_sync.model import Initial
from audience_sync.store.tables import changes, destinations, properties
from audience_sync.sync.load.resolve_audiences import Target, origin
from audience_sync.sync.values.change_set import Findings
from audience_sync.sync.values.stored_state import Known
from audience_sync.workspace import Workspace, literal

_COLUMNS = {"user_id": "varchar", "key": "varchar", "value": "varchar", "run_id": "integer"}


@dataclass(frozen=True, slots=True)
class Owed:
    """What one destination is owed over one feed: a table of calls in the workspace, and their number.

    ``kept_back``: a table of what ``kept_calls`` suppressed users are not sent. ``releases``: some users are sent
    what was withheld from them. ``retries``: what was refused is among it.
    """

    ledger: Ledger
    feed: Feed
    table: str
    calls: int
    whole: bool = True
    kept_back: str | None = None
    kept_calls: int = 0
    releases: bool = False
    retries: bool = False

    def of(self, ledger: Ledger) -> Owed:
        """The same by the ledger as it was stored, with its ids."""
        seeding = self.feed.seeding
        return replace(self, ledger=ledger, feed=ledger.feed if seeding is None else ledger.seeds[seeding])

    def told_since(self, destination: Destination) -> dict[str, int]:
        """Of each audience whose events the destination is told, the run since which it is told of it."""
        if destination.options.events is None:
            return {}
        known = self.ledger.subscriptions.values()
        return {each.key: each.since_run for each in known if each.key in destination.about.audience_keys}


def configs_by_key(
    settings: Settings, known: Known, findings: Findings, targets: Sequence[Target]
) -> dict[str, AudienceConfig]:
    """The config of every audience that exists after the run, those from ``names_from`` too."""
    named = {target.key: target.config for target in targets}
    entries = {origin(config): config for config in settings.audiences if config.names_from}
    stored = {key: entries[each.origin] for key, each in known.properties.items() if each.origin in entries}
    created = {each.key: entries[each.origin] for each in findings.created if each.origin in entries}
    exists = known.properties.keys() | {each.key for each in findings.created}
    return {key: config for key, config in (named | stored | created).items() if key in exists}


def wanted(
    settings: Settings, known: Known, findings: Findings, configs: Mapping[str, AudienceConfig], name: str
) -> dict[str, bool]:
    """The properties a destination is to be told of; the value says whether everyone is told at first."""
    exists = known.properties.keys() | {each.key for each in findings.created}
    keys = {
        key: config.initial is not Initial.NONE
        for key, config in configs.items()
        if name in settings.destinations_of(config)
    }
    return keys | {key: True for each in settings.computed_traits for key in each.columns if key in exists}


def read_log(connection: Connection, workspace: Workspace, ledgers: Mapping[str, Ledger]) -> str:
    """The stored changes that some destination has not been told, as a workspace table."""
    floor = min([needed_after(*share) for ledger in ledgers.values() for share in _shares(ledger)], default=NEVER)
    query = (
        select(changes.c.user_id, properties.c.key, changes.c.value, changes.c.run_id)
        .join_from(changes, properties)
        .where(changes.c.run_id > floor)
    )
    return workspace.load(_COLUMNS, _batches(connection, query))


def _shares(ledger: Ledger) -> list[tuple[Feed, list[Subscription]]]:
    """Every feed of a destination, with what it is told of over it."""
    seeds = [(feed, [ledger.subscriptions[key]]) for key, feed in ledger.seeds.items() if key in ledger.subscriptions]
    return [(ledger.feed, ledger.active()), *seeds]


def read_kept(connection: Connection, workspace: Workspace, table: Table) -> str:
    """What refused or withheld calls carried, by destination, as a workspace table."""
    query = select(destinations.c.name, table.c.user_id, properties.c.key, table.c.value, table.c.run_id).select_from(
        table.join(destinations).join(properties)
    )
    return workspace.load({"destination": "varchar", **_COLUMNS}, _batches(connection, query))


def _batches(connection: Connection, query: Any) -> Iterator[Sequence[Sequence[Any]]]:
    result = connection.execution_options(yield_per=10_000).execute(query)
    yield from result.partitions()


def gather(workspace: Workspace, known: Facts, findings: Findings, run: int) -> Facts:
    """Everything there is to tell: what was owed before, and what this run found."""
    for table in findings.logs:
        workspace.run(f"insert into {known.log} select user_id, key, value, {run} as run_id from {table}")
    return known


def owed_to(
    workspace: Workspace,
    facts: Facts,
    ledger: Ledger,
    destination: Destination,
    *,
    feed: Feed,
    only_told: bool = False,
    retry: bool = False,
) -> Owed:
    """What one destination is owed over one of its feeds."""
    refused, withheld = (_of(workspace, table, ledger) for table in (facts.refused, facts.withheld or ""))
    kept_back = workspace.name("kept_back")
    subscriptions = ledger.active() if feed.seeding is None else [ledger.subscriptions[feed.seeding]]
    table = owed(
        workspace,
        Facts(
            facts.log,
            refused,
            facts.chains,
            facts.suppressed,
            withheld,
            facts.aliases if destination.has_alias else None,
        ),
        feed,
        subscriptions,
        companions=destination.companions,
        retry_refused=retry,
        only_told=only_told,
        kept_back=kept_back,
    )
    return Owed(
        ledger,
        feed,
        table,
        workspace.one(f"select count(*) from {table}")[0],
        whole=not only_told,
        kept_back=kept_back,
        kept_calls=workspace.one(f"select count(distinct user_id) from {kept_back}")[0],
        releases=bool(workspace.one(f"select count(*) from {withheld} semi join {table} using (user_id)")[0]),
        retries=retry,
    )


def _of(workspace: Workspace, table: str, ledger: Ledger) -> str:
    """One destination's rows of a table."""
    mine = workspace.name("mine")
    workspace.run(f"create view {mine} as from {table} where destination = {literal(ledger.name)}")
    return mine
