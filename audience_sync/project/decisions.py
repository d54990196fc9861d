"""Decide on held snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from audience_sync.model import ChangeCounts, HoldKind, RunId
from audience_sync.project.access import Access
from audience_sync.store.audiences.holds import Hold
from audience_sync.sync.guard.select_holds import select_holds
from audience_sync.sync.values.request import GuardExceptions, Selection, Sync


def approval(access: Access, run: int, keys: Sequence[str], reason: str | None) -> tuple[Sync, Sequence[Hold]]:
    """The request of a run over what ``run`` held, or over these keys of it, with the holds.

    Raises UnknownNameError and RetiredError.
    """
    with access.reading() as store, store.reading() as connection:
        holds = select_holds(connection, RunId(run), keys)
    audiences, traits = (
        tuple(hold.key for hold in holds if hold.kind is kind) for kind in (HoldKind.AUDIENCE, HoldKind.COMPUTED_TRAIT)
    )
    request = Sync(
        command="approve",
        selection=Selection(audiences=audiences, traits=traits),
        exceptions=GuardExceptions(approved_holds=frozenset(hold.id for hold in holds)),
        reason=reason,
    )
    return request, holds


class Rejected(Struct, frozen=True, kw_only=True):
    """A held change that a person dropped: an audience's or a trait's key, and the users who would enter and leave."""

    kind: HoldKind
    key: str
    entered: int
    left: int
    before: int

    @property
    def counts(self) -> ChangeCounts:
        return ChangeCounts(self.before, self.entered, self.left)


class Rejection(Struct, frozen=True, kw_only=True):
    """What ``reject`` dropped of ``run``."""

    run: int
    rejected: tuple[Rejected, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync reject --json``."""
        shown = ("kind", "key", "entered", "left")
        return {"run": self.run, "rejected": [{name: getattr(each, name) for name in shown} for each in self.rejected]}


def reject(access: Access, run: int, keys: Sequence[str], reason: str | None) -> Rejection:
    """Reject what ``run`` held, or these keys of it. Raises UnknownNameError, RetiredError, RunInProgressError."""
    from audience_sync.store.audiences.holds import reject_holds
    from audience_sync.store.connection.lease import acquire
    from audience_sync.store.maintenance.open_to_read import open_store_to_read
    from audience_sync.store.runs.decisions import Decision, record_decision

    settings = access.settings_to_write()
    with open_store_to_read(settings.store) as store, acquire(store) as lease, lease.transaction() as connection:
        holds = select_holds(connection, RunId(run), keys)
        reject_holds(connection, holds, datetime.now(UTC))
        subject = ", ".join(hold.key for hold in holds)
        record_decision(connection, Decision("reject", subject, reason, run), settings.secrets)
    rejected = [
        Rejected(
            kind=each.kind,
            key=each.key,
            entered=each.counts.entered,
            left=each.counts.left,
            before=each.counts.before,
        )
        for each in holds
    ]
    return Rejection(run=run, rejected=tuple(rejected))
