"""``audience-sync approve`` and ``reject``: a person decides on what a run held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from audience_sync.cli.options import common

if TYPE_CHECKING:
    from audience_sync.store.holds import Hold


@click.command()
@click.argument("run", type=int)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@common
@click.pass_context
def approve(context: click.Context, run: int, keys: tuple[str, ...]) -> int:
    """Let through what RUN held, all of it or only these keys: a run over them, which tells the destinations.

    Where the source says something else by now, that is shown, and held for another decision.
    """
    from audience_sync.cli.compose import options_of, read_store_settings, store_to_read
    from audience_sync.cli.runs import carry_out
    from audience_sync.model import HoldKind
    from audience_sync.sync.choose import choose
    from audience_sync.sync.order import Order

    settings = read_store_settings(options_of(context))
    with store_to_read(settings.store) as store, store.reading() as connection:
        holds = choose(connection, run, keys)
    order = Order(
        "approve",
        keys=_keys(holds, HoldKind.AUDIENCE),
        traits=_keys(holds, HoldKind.COMPUTED_TRAIT),
        approves=frozenset(hold.id for hold in holds),
    )
    return carry_out(context, order).exit_code


@click.command()
@click.argument("run", type=int)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@common
@click.pass_context
def reject(context: click.Context, run: int, keys: tuple[str, ...]) -> None:
    """Drop what RUN held, all of it or only these keys. Asks no source and sends nothing.

    If its source still says the same, the next run holds it anew.
    """
    from datetime import UTC, datetime

    from audience_sync.cli.compose import options_of, read_store_settings, store_to_read
    from audience_sync.cli.output import line, print_json
    from audience_sync.store.holds import reject as reject_holds
    from audience_sync.store.lease import acquire
    from audience_sync.sync.choose import choose
    from audience_sync.sync.words import named, would

    options = options_of(context)
    url = read_store_settings(options).store
    with store_to_read(url) as store, acquire(store) as lease, lease.transaction() as connection:
        holds = choose(connection, run, keys)
        reject_holds(connection, holds, datetime.now(UTC))
    if options.as_json:
        print_json({"run": run, "rejected": [_as_json(hold) for hold in holds]})
        return
    for hold in holds:
        words = f"{named(hold.kind, hold.key)}: rejected ({would(hold.kind, hold.counts)})"
        line(f"{words}. Nothing changes; if the source still says so, the next run holds it again.")


def _keys(holds: Sequence[Hold], kind: str) -> tuple[str, ...]:
    return tuple(hold.key for hold in holds if hold.kind == kind)


def _as_json(hold: Hold) -> dict[str, object]:
    return {"kind": hold.kind, "key": hold.key, "entered": hold.counts.entered, "left": hold.counts.left}
