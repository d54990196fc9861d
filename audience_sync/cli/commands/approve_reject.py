"""``audience-sync approve`` and ``reject``: a person decides on what a run held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.options import RUN, common_options, quiet_option

if TYPE_CHECKING:
    from audience_sync.cli.views.run_details import Details
    from audience_sync.cli.views.summary import Wording
    from audience_sync.model import ChangeCounts
    from audience_sync.store.audiences.holds import Hold
    from audience_sync.sync.values.report import Report


@click.command()
@click.argument("run", type=RUN)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@quiet_option
@common_options
@click.pass_context
def approve(context: click.Context, run: int, keys: tuple[str, ...]) -> int:
    """Let a held snapshot pass: all that RUN held, or only these keys. It is a run over them, with its own calls.

    If the source has changed since, the change is shown, and held for another decision.
    """
    from audience_sync.cli.wiring.dependencies import options_of, read_store_settings
    from audience_sync.cli.wiring.run_command import execute_run
    from audience_sync.model import HoldKind
    from audience_sync.project import store_to_read
    from audience_sync.sync.guard.select_holds import select_holds
    from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

    settings = read_store_settings(options_of(context))
    with store_to_read(settings.store) as store, store.reading() as connection:
        holds = select_holds(connection, run, keys)
    request = Sync(
        command="approve",
        selection=Selection(audiences=_keys(holds, HoldKind.AUDIENCE), traits=_keys(holds, HoldKind.COMPUTED_TRAIT)),
        exceptions=GuardExceptions(approved_holds=frozenset(hold.id for hold in holds)),
    )
    return execute_run(
        context, request, describe=lambda report, details: _approve_wording(report, details, run, holds)
    ).exit_code


@click.command()
@click.argument("run", type=RUN)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@common_options
@click.pass_context
def reject(context: click.Context, run: int, keys: tuple[str, ...]) -> None:
    """Drop a held snapshot: all that RUN held, or only these keys. Reads no source and sends nothing.

    If the source is still the same, the next run holds it again.
    """
    from datetime import UTC, datetime

    from audience_sync.cli.base.layout import prose
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, settings_of_written_store
    from audience_sync.project import store_to_read
    from audience_sync.store.audiences.holds import reject_holds
    from audience_sync.store.connection.lease import acquire
    from audience_sync.sync.guard.messages import changes
    from audience_sync.sync.guard.select_holds import select_holds

    options = options_of(context)
    url = settings_of_written_store(options).store
    with store_to_read(url) as store, acquire(store) as lease, lease.transaction() as connection:
        holds = select_holds(connection, run, keys)
        reject_holds(connection, holds, datetime.now(UTC))
    if options.as_json:
        print_json({"run": run, "rejected": [_as_json(hold) for hold in holds]})
        return
    where = screen()
    texts = [f"Rejected for {_hold_name(hold)}: {changes(hold.kind, hold.counts)}." for hold in holds]
    lines = [line for text in texts for line in prose(text, where)]
    same = "Nothing was changed or sent. If the source is still the same, the next run holds it again."
    write([*lines, *prose(same, where)])


def _hold_name(hold: Hold) -> str:
    from audience_sync.model import HoldKind

    return "the lists of suppressed users" if hold.kind is HoldKind.SUPPRESSED else hold.key


def _approve_wording(report: Report, details: Details, run: int, holds: Sequence[Hold]) -> Wording:
    from audience_sync.cli.base.layout import INDENT, command, labelled, prose
    from audience_sync.cli.base.output import screen
    from audience_sync.cli.views.summary import Wording, counts_text
    from audience_sync.model import RunStatus

    if report.status is RunStatus.FAILED:
        return Wording()
    again = {key: held for held in details.held for key in held.keys}
    if all(hold.key in again for hold in holds):
        pairs = _differences(holds, {hold.key: again[hold.key].counts for hold in holds})
        lines = [*labelled(pairs, screen()), *prose("The change is held again.", screen(), indent=INDENT)]
        return Wording(f"Nothing was approved: the source has changed since run {run}.", under=lines, after=())
    if again:
        return Wording()
    undo = [] if screen().width is None else ["To undo it:", command(f"audience-sync undo {report.run}")]
    return Wording(f"Run {report.run} approved what run {run} held: {counts_text(report)}.", after=undo)


def _differences(holds: Sequence[Hold], now: Mapping[str, ChangeCounts]) -> list[tuple[str, str]]:
    """The held change and the present one, as labels and texts; several holds are labelled by key."""
    from audience_sync.sync.guard.messages import effect

    texts = [(hold.key, effect(hold.kind, hold.counts), effect(hold.kind, now[hold.key])) for hold in holds]
    named = [(key, then, f"{after}, but for other users" if after == then else after) for key, then, after in texts]
    if len(named) == 1:
        ((_, then, after),) = named
        return [("Then", then), ("Now", after)]
    return [(key, f"then {then}; now {after}") for key, then, after in named]


def _keys(holds: Sequence[Hold], kind: str) -> tuple[str, ...]:
    return tuple(hold.key for hold in holds if hold.kind == kind)


def _as_json(hold: Hold) -> dict[str, object]:
    return {"kind": hold.kind, "key": hold.key, "entered": hold.counts.entered, "left": hold.counts.left}
