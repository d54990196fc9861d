"""``audience-sync approve`` and ``reject``: a person decides on what a run held."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.layout import prose
from audience_sync.cli.base.options import held_keys_argument, held_run_argument, reason_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@held_run_argument
@held_keys_argument
@reason_option
@quiet_option
@with_session
def approve(session: Session, run: int, keys: tuple[str, ...], reason: str | None) -> int:
    """Let a held snapshot pass: all that RUN held, or only these keys. Makes a run over them, with its own calls.

    If the source has changed since, the change is shown, and held for another decision.
    """
    from audience_sync.cli.views.wording import approve_wording
    from audience_sync.cli.wiring.run_command import execute_run
    from audience_sync.model import HoldKind, RunId
    from audience_sync.sync.guard.select_holds import select_holds
    from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

    with session.reading() as store, store.reading() as connection:
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
    return execute_run(session, request, describe=partial(approve_wording, run=run, holds=holds)).exit_code


@click.command()
@held_run_argument
@held_keys_argument
@reason_option
@with_session
def reject(session: Session, run: int, keys: tuple[str, ...], reason: str | None) -> None:
    """Drop a held snapshot: all that RUN held, or only these keys. Reads no source and sends nothing.

    If the source is still the same, the next run holds it again.
    """
    from datetime import UTC, datetime

    from audience_sync.model import HoldKind, RunId
    from audience_sync.store.audiences.holds import reject_holds
    from audience_sync.store.connection.lease import acquire
    from audience_sync.store.maintenance.open_to_read import open_store_to_read
    from audience_sync.store.runs.decisions import Decision, record_decision
    from audience_sync.sync.guard.messages import changes
    from audience_sync.sync.guard.select_holds import select_holds

    settings = session.settings_to_write()
    with open_store_to_read(settings.store) as store, acquire(store) as lease, lease.transaction() as connection:
        holds = select_holds(connection, RunId(run), keys)
        reject_holds(connection, holds, datetime.now(UTC))
        subject = ", ".join(hold.key for hold in holds)
        record_decision(connection, Decision("reject", subject, reason, run), settings.secrets)
    names = {HoldKind.SUPPRESSED: "the lists of suppressed users", HoldKind.MAPPING: "the mapping of {}"}
    rejected = [
        f"Rejected for {names.get(each.kind, '{}').format(each.key)}: {changes(each.kind, each.counts)}."
        for each in holds
    ]
    where = "config" if all(each.kind is HoldKind.MAPPING for each in holds) else "source"
    same = f"Nothing was changed or sent. If the {where} is still the same, the next run holds it again."
    fields = [
        {"kind": each.kind, "key": each.key, "entered": each.counts.entered, "left": each.counts.left} for each in holds
    ]
    session.answer(
        {"run": run, "rejected": fields},
        lambda screen: [line for text in (*rejected, same) for line in prose(text, screen)],
    )
