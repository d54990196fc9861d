"""Keep holds: snapshots that a guard stopped, and what a person decided about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, Select, func, insert, select, update

from audience_sync.model import ChangeCounts, HoldKind, HoldStatus, RunId
from audience_sync.store.tables import held_snapshots, hold_samples

HoldKey = tuple[HoldKind, str]


class Sample(Struct, frozen=True):
    """Examples of the users who would enter and of those who would leave."""

    entered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


class NewHold(Struct, frozen=True, kw_only=True):
    """A snapshot to hold. ``undone_run``: the undone run whose changes it would repeat."""

    kind: HoldKind
    key: str
    reason: str
    counts: ChangeCounts
    sample: Sample
    together: bool = False
    undone_run: RunId | None = None


class Hold(Struct, frozen=True, kw_only=True):
    """A stored hold. ``first_run`` held the snapshot first; ``last_run`` is the last run that got the same snapshot.

    ``together``: a limit for several audiences together stopped it. ``ended_run`` approved it, or replaced it by
    another snapshot. ``undone_run``: the undone run whose changes it would repeat.
    """

    id: int
    kind: HoldKind
    key: str
    first_run: RunId
    last_run: RunId
    status: HoldStatus
    counts: ChangeCounts
    reason: str
    together: bool = False
    ended_run: RunId | None = None
    undone_run: RunId | None = None

    @property
    def subject(self) -> HoldKey:
        return self.kind, self.key

    @property
    def needs_decision(self) -> bool:
        """Whether a person has to approve or reject it."""
        return self.status is HoldStatus.HELD


def latest_holds(connection: Connection) -> dict[HoldKey, Hold]:
    """The newest hold of each audience, trait and suppression list. Older ones have all been decided."""
    last = select(func.max(held_snapshots.c.id)).group_by(held_snapshots.c.kind, held_snapshots.c.key)
    query = select(held_snapshots).where(held_snapshots.c.id.in_(last))
    return {hold.subject: hold for hold in _holds(connection, query.order_by(held_snapshots.c.id))}


def first_run_to_hold(connection: Connection, hold: Hold) -> RunId:
    """The run that undid ``hold.undone_run``: the first one that held a repeat of its changes."""
    mine = held_snapshots.c
    same = (mine.kind == hold.kind.value) & (mine.key == hold.key) & (mine.undone_run_id == hold.undone_run)
    return RunId(connection.execute(select(func.min(mine.run_id)).where(same)).scalar_one())


def read_holds_of(connection: Connection, run: int) -> list[Hold]:
    """The holds in force in this run, decided since or not."""
    mine = held_snapshots.c
    query = select(held_snapshots).where(mine.run_id <= run, mine.last_run_id >= run)
    return _holds(connection, query.order_by(mine.kind, mine.key))


def _holds(connection: Connection, query: Select[tuple[object, ...]]) -> list[Hold]:
    return [
        Hold(
            id=row.id,
            kind=HoldKind(row.kind),
            key=row.key,
            first_run=row.run_id,
            last_run=row.last_run_id,
            status=HoldStatus(row.status),
            counts=ChangeCounts(row.members_before, row.entered, row.left),
            reason=row.reason,
            together=row.together,
            ended_run=row.ended_run_id,
            undone_run=row.undone_run_id,
        )
        for row in connection.execute(query)
    ]


def read_sample(connection: Connection, hold: int) -> Sample:
    mine = hold_samples.c
    query = select(mine.user_id, mine.entered).where(mine.hold_id == hold).order_by(mine.user_id)
    users = connection.execute(query).all()
    entered, left = (tuple(row.user_id for row in users if row.entered == entered) for entered in (True, False))
    return Sample(entered, left)


def add_holds(connection: Connection, new: Iterable[NewHold], run: int, now: datetime) -> None:
    """Store the counts and samples of these snapshots, so that a person can decide."""
    for each in new:
        row = {
            "kind": each.kind.value,
            "key": each.key,
            "run_id": run,
            "last_run_id": run,
            "reason": each.reason,
            "members_before": each.counts.before,
            "entered": each.counts.entered,
            "left": each.counts.left,
            "status": HoldStatus.HELD.value,
            "together": each.together,
            "held_at": now,
            "undone_run_id": each.undone_run,
        }
        created = connection.execute(insert(held_snapshots).values(row)).inserted_primary_key
        assert created is not None
        users = [*((user, True) for user in each.sample.entered), *((user, False) for user in each.sample.left)]
        if users:
            sample = [{"hold_id": created[0], "user_id": user, "entered": entered} for user, entered in users]
            connection.execute(insert(hold_samples), sample)


def touch_holds(connection: Connection, holds: Iterable[Hold], run: int) -> None:
    """Record that the run got the same snapshots that are already held."""
    for each in holds:
        _update_hold(connection, each, {"last_run_id": run})


def end_holds(connection: Connection, ended: Mapping[Hold, HoldStatus], run: int, now: datetime) -> None:
    """Record that the run approved these holds, or replaced them by newer snapshots."""
    for each, status in ended.items():
        _update_hold(connection, each, {"status": status.value, "ended_run_id": run, "decided_at": now})


def reject_holds(connection: Connection, holds: Iterable[Hold], now: datetime) -> None:
    """Record that a person rejected these holds: they can no longer be approved."""
    for each in holds:
        _update_hold(connection, each, {"status": HoldStatus.REJECTED.value, "decided_at": now})


def _update_hold(connection: Connection, hold: Hold, values: Mapping[str, object]) -> None:
    connection.execute(update(held_snapshots).where(held_snapshots.c.id == hold.id).values(values))
