"""Find the snapshot that a value comes from, and the last run that confirmed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, select, true, tuple_

from audience_sync.history.explain.value_history import ValueHistory
from audience_sync.model import AudienceStatus, HoldKind, PropertyKind, RunId
from audience_sync.store.tables import held_snapshots, properties, run_audiences, runs

_USED = [
    each.value
    for each in (AudienceStatus.CREATED, AudienceStatus.SYNCED, AudienceStatus.UNCHANGED, AudienceStatus.RETIRED)
]
_NOT_USED = (AudienceStatus.HELD.value, AudienceStatus.FAILED.value)
_FROZEN = AudienceStatus.FROZEN.value


class Provenance(Struct, frozen=True):
    """The snapshot that a value comes from: its counts by name, and the last run that confirmed the value.

    ``problem``: why a later snapshot was not used, if one was not.
    """

    counts: Mapping[str, int]
    confirmed_by: RunId | None = None
    problem: str | None = None


def snapshots_of(
    connection: Connection, versions: Iterable[ValueHistory], until: RunId, moment: datetime
) -> dict[str, Provenance]:
    """Find the provenance by key, of the values after the run ``until``."""
    audiences, traits = dict[str, RunId](), dict[str, RunId]()
    for each in versions:
        (audiences if each.definition.kind is PropertyKind.AUDIENCE else traits)[each.definition.key] = each.latest.run
    return _audience_provenance(connection, audiences, until) | _trait_provenance(connection, traits, moment)


def _trait_provenance(connection: Connection, since: Mapping[str, RunId], moment: datetime) -> dict[str, Provenance]:
    """``since``: by key, the run that set the value."""
    columns = (runs.c.trait_users.label("users"), runs.c.trait_users_changed.label("changed"))
    rows = connection.execute(select(runs.c.id, *columns).where(runs.c.id.in_(set(since.values()))))
    found = {row.id: _counts(row, "users", "changed") for row in rows}
    held = held_snapshots.c
    waits = (held.held_at <= moment) & (held.decided_at.is_(None) | (held.decided_at > moment))
    query = select(held.key, held.run_id, held.reason).where(held.kind == HoldKind.COMPUTED_TRAIT.value, waits)
    problems = {row.key: f"held since run {row.run_id}: {row.reason}" for row in connection.execute(query)}
    return {key: Provenance(found.get(run, {}), problem=problems.get(key)) for key, run in since.items()}


def _audience_provenance(connection: Connection, since: Mapping[str, RunId], until: RunId) -> dict[str, Provenance]:
    """``since``: by key, the run that set the value."""
    confirmed = _newest_run(until, run_audiences.c.status.in_(_USED)).label("confirmed")
    query = select(properties.c.key, _newest_run(until).label("last"), confirmed).where(properties.c.key.in_(since))
    newest = connection.execute(query).all()
    found = _audience_rows(connection, [*since.items(), *((row.key, row.last) for row in newest)])
    return {
        row.key: Provenance(
            _counts(found.get((row.key, since[row.key])), "members", "entered", "left", "invalid"),
            row.confirmed,
            _problem(found.get((row.key, row.last))),
        )
        for row in newest
    }


def _newest_run(until: RunId, which: ColumnElement[bool] | None = None) -> ScalarSelect[Any]:
    """Return a query for the last run that read an audience."""
    mine = (run_audiences.c.audience_key == properties.c.key) & (run_audiences.c.run_id <= until)
    found = select(run_audiences.c.run_id).where(mine, true() if which is None else which)
    return found.order_by(run_audiences.c.run_id.desc()).limit(1).correlate(properties).scalar_subquery()


def _audience_rows(connection: Connection, wanted: Iterable[tuple[str, RunId]]) -> dict[tuple[str, RunId], Row[Any]]:
    """Read the rows of these runs on these audiences."""
    audience = tuple_(run_audiences.c.audience_key, run_audiences.c.run_id)
    query = select(run_audiences, run_audiences.c.members_after.label("members")).where(audience.in_(set(wanted)))
    return {(row.audience_key, row.run_id): row for row in connection.execute(query)}


def _counts(row: Row[*tuple[Any, ...]] | None, *names: str) -> dict[str, int]:
    if row is None:
        return {}
    return {name: value for name in names if (value := row._mapping[name]) is not None}


def _problem(row: Row[Any] | None) -> str | None:
    if row is not None and row.status == _FROZEN:
        return f"skipped by run {row.run_id}: {row.error}"
    if row is None or row.status not in _NOT_USED:
        return None
    return f"{row.status} in run {row.run_id}: {row.error}"
