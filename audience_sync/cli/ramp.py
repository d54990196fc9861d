"""How is an audience seeded share by share? A run for each, and no next one while too many calls are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from audience_sync.cli.compose import read_store_settings, store_to_read
from audience_sync.cli.output import line, print_json
from audience_sync.cli.runs import carry_out
from audience_sync.config.values import parse_share
from audience_sync.sync.order import Order
from audience_sync.sync.ramp import Step, refused_of, why_to_stop

#: The share of the members that were reached whose calls may be refused (0 to 1).
MOST_REFUSED = 0.05


def parse_shares(text: str) -> Sequence[float]:
    """`1%,10%,100%`. Raises ValueError."""
    shares = [parse_share(each.strip()) for each in text.split(",")]
    if sorted(set(shares)) != shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise ValueError("write rising shares of the members, such as 1%,10%,100%")
    return shares


def climb(context: click.Context, order: Order, shares: Sequence[float], most_refused: float, *, upgrade: bool) -> int:
    """Tell these shares of the members, one after another; the exit code. One that is to be the last ends it."""
    steps = list[Step]()
    for share in shares:
        report = carry_out(context, replace(order, share=share), upgrade=upgrade, quiet=context.obj.as_json)
        with store_to_read(read_store_settings(context.obj).store) as store, store.reading() as connection:
            refused = refused_of(connection, order.seed or "")
        stopped = why_to_stop(report, order.seed or "", refused, most_refused)
        steps.append(Step(share, report, stopped))
        if not context.obj.as_json:
            line(_said(steps[-1], order.seed or "", shares))
        if stopped:
            break
    if context.obj.as_json:
        print_json({**steps[-1].report.as_json(), "ramp": [_as_json(each) for each in steps]})
    return max(steps[-1].report.exit_code, 1) if steps[-1].stopped else steps[-1].report.exit_code


def _said(step: Step, key: str, shares: Sequence[float]) -> str:
    share, repeat = _text(step.share), f"audience-sync seed {key} --ramp {','.join(map(_text, shares))}"
    if step.stopped:
        return (
            f"Stopped at {share} of {key}: {step.stopped}. See why: audience-sync show {step.report.run}. Once the "
            f"reason is gone: audience-sync retry, and to go on: {repeat}"
        )
    if step.share < shares[-1]:
        return f"{share} of {key} is told, and few enough are refused. On to the next share."
    rest = "" if step.share == 1 else f" To tell everyone: audience-sync seed {key}"
    return f"{share} of {key} is told.{rest}"


def _text(share: float) -> str:
    return f"{round(share * 100, 6):g}%"


def _as_json(step: Step) -> dict[str, object]:
    return {"share": step.share, "run": step.report.run, "stopped": step.stopped}
