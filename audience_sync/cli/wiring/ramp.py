"""Seed an audience share by share: one run each, until too many calls are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from audience_sync.cli.base.layout import INDENT, PIPE, Column, Screen, command, prose, table
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.run_details import read_details
from audience_sync.cli.views.seed import names_of, seed_wording
from audience_sync.cli.views.summary import summary
from audience_sync.cli.wiring.dependencies import read_settings, read_store_settings
from audience_sync.cli.wiring.run_command import execute_run, print_urgent
from audience_sync.config.read.units import parse_share
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.project import store_to_read
from audience_sync.sync.operations.ramp import RampStep, refused_of, why_to_stop
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import Seed
from audience_sync.text import pluralize, seconds_text

#: The largest share of refused calls among the members that were reached (0 to 1).
MAX_REFUSED_SHARE = 0.05
COLUMNS = (
    Column("run", right=True, keep=True),
    Column("step", right=True, keep=True),
    Column("delivered", right=True, keep=True),
    Column("refused", right=True, keep=True),
    Column("pending", right=True, keep=True),
    Column("time", right=True, keep=True, lost=1),
)


def parse_shares(text: str) -> Sequence[float]:
    """Parse `1%,10%,100%`. Raises ValueError."""
    shares = [parse_share(each.strip()) for each in text.split(",")]
    if sorted(set(shares)) != shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise ValueError("write rising shares of the members, such as 1%,10%,100%")
    return shares


def run_ramp(
    context: click.Context, request: Seed, shares: Sequence[float], most_refused: float, *, upgrade: bool
) -> int:
    """Send to these shares of the members, one after another, until a step stops it. Returns the exit code."""
    steps, key = list[RampStep](), request.key
    speaks = not (context.obj.as_json or context.obj.quiet)
    for share in shares:
        limits = replace(request.limits, share=share)
        report = execute_run(context, replace(request, limits=limits), upgrade=upgrade, silent=True)
        with store_to_read(read_store_settings(context.obj).store) as store, store.reading() as connection:
            refused = refused_of(connection, key)
        steps.append(RampStep(share, report, why_to_stop(report, key, refused, most_refused)))
        if speaks:
            write(step_lines(steps, key, shares, screen()))
        if steps[-1].stopped:
            break
    if speaks:
        end = _end_lines(context, steps[-1], request, shares, screen())
        write(end if _audience_failed_or_held(steps[0].report, key) else ["", *end])
    elif context.obj.as_json and (steps[-1].stopped or not context.obj.quiet):
        print_json({**steps[-1].report.as_json(), "ramp": [_as_json(each) for each in steps]})
    if steps[-1].stopped:
        shown = context.obj.as_json or context.obj.quiet
        print_urgent(_end_lines(context, steps[-1], request, shares, PIPE, urgent=True), shown=not shown)
    return _exit_code(steps[-1])


def _exit_code(last: RampStep) -> int:
    """The exit code after the last step: 0 if its share was sent, even if that is not all members."""
    if last.stopped:
        return max(last.report.exit_code, 1)
    did_as_asked = last.report.status is RunStatus.PARTIAL and not any(
        each.error or each.still_refused for each in last.report.destinations
    )
    return 0 if did_as_asked else last.report.exit_code


def step_lines(steps: Sequence[RampStep], key: str, shares: Sequence[float], screen: Screen) -> list[str]:
    """The row of the last step, after the first one with intro and heading. All rows have the same widths."""
    first, last = steps[0].report, steps[-1]
    if _audience_failed_or_held(last.report, key):
        return []
    everything = sum(each.calls for each in first.destinations)
    widest = (last.report.run, "100%", everything, 0, everything, "100.0 s")
    heading, row, _ = table(COLUMNS, [_row(last), widest], screen)
    if len(steps) > 1:
        return [row]
    members = next((each.after for each in first.audiences if each.key == key), 0)
    intro = f"Seeding {key} in {pluralize(len(shares), 'step')}: {', '.join(map(_share_text, shares))} of "
    return [*prose(f"{intro}{pluralize(members, 'member')}.", screen), "", heading, row]


def _row(step: RampStep) -> tuple[object, ...]:
    sums = [
        sum(getattr(each, name) for each in step.report.destinations) for name in ("delivered", "refused", "pending")
    ]
    return (step.report.run, _share_text(step.share), *sums, seconds_text(step.report.seconds))


def _audience_failed_or_held(report: Report, key: str) -> bool:
    """Whether the audience failed or is held, so that the step did nothing."""
    audience = next((each for each in report.audiences if each.key == key), None)
    return audience is None or audience.status in (AudienceStatus.FAILED, AudienceStatus.HELD)


def _end_lines(
    context: click.Context,
    step: RampStep,
    request: Seed,
    shares: Sequence[float],
    screen: Screen,
    *,
    urgent: bool = False,
) -> list[str]:
    """The last lines of a ramp. ``urgent``: only what needs a person."""
    key, report = request.key, step.report
    if not step.stopped:
        return _completed_lines(step, key, screen)
    if _audience_failed_or_held(report, key):
        settings = read_settings(context.obj)
        with store_to_read(settings.store) as store, store.reading() as connection:
            details = read_details(connection, settings, report, "config.yaml")
        if urgent:
            return urgent_lines(list(blocks(report, details, screen)))
        return summary(report, details, screen, wording=seed_wording(report, details, request, None))
    pending = max((each.pending for each in report.destinations), default=0)
    rest = f"{pluralize(pending, 'member')} {'is' if pending == 1 else 'are'} pending. " if pending else ""
    repeat = f"audience-sync seed {key} --ramp {','.join(map(_share_text, shares))}"
    refusing = [each.name for each in report.destinations if each.still_refused]
    return [
        *prose(f"Stopped after {_share_text(step.share)} of {key}: {step.stopped}.", screen),
        *prose(f"{rest}Nothing more is sent until you continue.", screen),
        "",
        *prose("The reasons:", screen, indent=INDENT),
        command(f"audience-sync show {report.run}", indent=INDENT * 2),
        *prose("After correcting the data:", screen, indent=INDENT),
        *(command(f"audience-sync retry --destination {name}", indent=INDENT * 2) for name in refusing),
        command(repeat, indent=INDENT * 2),
    ]


def _completed_lines(step: RampStep, key: str, screen: Screen) -> list[str]:
    refused = sum(each.still_refused for each in step.report.destinations)
    calls = (
        "No call was refused."
        if not refused
        else f"{pluralize(refused, 'call')} {'is' if refused == 1 else 'are'} refused."
    )
    see = [command(f"audience-sync show {step.report.run}")] if refused else []
    where = names_of(step.report.destinations)
    if step.share == 1:
        return [*prose(f"{key} is seeded at {where}. {calls}", screen), *see]
    done = f"{_share_text(step.share)} of {key} is seeded at {where}. {calls} To send to all other members:"
    return [*prose(done, screen), *see, command(f"audience-sync seed {key}")]


def _share_text(share: float) -> str:
    return f"{round(share * 100, 6):g}%"


def _as_json(step: RampStep) -> dict[str, object]:
    return {"share": step.share, "run": step.report.run, "stopped": step.stopped}
