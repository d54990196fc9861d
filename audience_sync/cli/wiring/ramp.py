"""Seed an audience share by share: one run each, until too many calls are refused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from audience_sync.cli.base.layout import INDENT, Column, Screen, advice, command, prose, table
from audience_sync.cli.base.output import pipe, print_json, screen, write
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.summary import summary
from audience_sync.cli.views.wording import seed_wording
from audience_sync.cli.wiring.run_answer import print_urgent
from audience_sync.cli.wiring.run_command import execute_run
from audience_sync.command_line import to_paste
from audience_sync.config.read.units import parse_share
from audience_sync.model import AudienceStatus, RunStatus
from audience_sync.project.run_details import read_details
from audience_sync.store.maintenance.open_to_read import open_store_to_read
from audience_sync.sync.operations.ramp import RampStep, refused_of, stop_reason
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import Seed
from audience_sync.text import form, join_names, pluralize, seconds_text

#: The largest share of refused calls among the members that were reached (0 to 1).
MAX_REFUSED_SHARE = 0.05
COLUMNS = (
    *(Column(heading, right=True, keep=True) for heading in ("run", "step", "delivered", "refused", "pending")),
    Column("time", right=True, keep=True, lost=1),
)


def parse_shares(text: str) -> Sequence[float]:
    """Parse `1%,10%,100%`. Raises ValueError."""
    shares = [parse_share(each.strip()) for each in text.split(",")]
    if sorted(set(shares)) != shares or not 0 < shares[0] <= shares[-1] <= 1:
        raise ValueError("write rising shares of the members, such as 1%,10%,100%")
    return shares


def run_ramp(session: Session, request: Seed, shares: Sequence[float], most_refused: float, *, upgrade: bool) -> int:
    """Send to these shares of the members, one after another, until a step stops it. Returns the exit code."""
    steps, key = list[RampStep](), request.key
    shown = not (session.as_json or session.quiet)
    for share in shares:
        limits = replace(request.limits, share=share)
        report = execute_run(session, replace(request, limits=limits), upgrade=upgrade, silent=True)
        with session.reading() as store, store.reading() as connection:
            refused = refused_of(connection, key)
        steps.append(RampStep(share, report, stop_reason(report, key, refused, most_refused)))
        if shown:
            write(step_lines(steps, key, shares, screen()))
        if steps[-1].stopped:
            break
    last = steps[-1]
    if shown:
        end = _end_lines(session, last, request, shares, screen())
        write(end if _is_failed_or_held(steps[0].report, key) else ["", *end])
    elif session.as_json and (last.stopped or not session.quiet):
        ramp = [{"share": each.share, "run": each.report.run, "stopped": each.stopped} for each in steps]
        print_json({**last.report.as_json(), "ramp": ramp})
    if last.stopped:
        print_urgent(_end_lines(session, last, request, shares, pipe(), urgent=True), shown=shown)
    return _exit_code(last)


def _exit_code(last: RampStep) -> int:
    """The exit code after the last step: 0 if its share was sent, even if that is not all members."""
    if last.stopped:
        return max(last.report.exit_code, 1)
    troubled = any(each.error or each.still_refused for each in last.report.destinations)
    return 0 if last.report.status is RunStatus.PARTIAL and not troubled else last.report.exit_code


def step_lines(steps: Sequence[RampStep], key: str, shares: Sequence[float], screen: Screen) -> list[str]:
    """The row of the last step, after the first one with intro and heading. All rows have the same widths."""
    first, last = steps[0].report, steps[-1]
    if _is_failed_or_held(last.report, key):
        return []
    everything = sum(each.calls for each in first.destinations)
    outcomes = ("delivered", "refused", "pending")
    sums = [sum(getattr(each, name) for each in last.report.destinations) for name in outcomes]
    row = (last.report.run, _share_text(last.share), *sums, seconds_text(last.report.seconds))
    widest = (last.report.run, "100%", everything, 0, everything, "100.0 s")
    heading, line, _ = table(COLUMNS, [row, widest], screen)
    if len(steps) > 1:
        return [line]
    members = next((each.after for each in first.audiences if each.key == key), 0)
    intro = f"Seeding {key} in {pluralize(len(shares), 'step')}: {', '.join(map(_share_text, shares))} of "
    return [*prose(f"{intro}{pluralize(members, 'member')}.", screen), "", heading, line]


def _is_failed_or_held(report: Report, key: str) -> bool:
    """Whether the audience failed or is held, so that the step did nothing."""
    audience = next((each for each in report.audiences if each.key == key), None)
    return audience is None or audience.status in (AudienceStatus.FAILED, AudienceStatus.HELD)


def _end_lines(
    session: Session, step: RampStep, request: Seed, shares: Sequence[float], screen: Screen, *, urgent: bool = False
) -> list[str]:
    """The last lines of a ramp. ``urgent``: only what needs a person."""
    key, report = request.key, step.report
    if not step.stopped:
        return _completed_lines(step, key, screen)
    if _is_failed_or_held(report, key):
        settings = session.settings()
        with open_store_to_read(settings.store) as store, store.reading() as connection:
            details = read_details(connection, settings, report, session.config_name)
        if urgent:
            return urgent_lines(blocks(report, details, screen))
        return summary(report, details, screen, describe=partial(seed_wording, request=request))
    pending = max((each.pending for each in report.destinations), default=0)
    rest = f"{pluralize(pending, 'member')} {form(pending, 'is')} pending. " if pending else ""
    retries = [to_paste("retry", "--destination", each.name) for each in report.destinations if each.still_refused]
    again = f"audience-sync seed {key} --ramp {','.join(map(_share_text, shares))}"
    return [
        *prose(f"Stopped after {_share_text(step.share)} of {key}: {step.stopped}.", screen),
        *prose(f"{rest}Nothing more is sent until you continue.", screen),
        "",
        *advice("The reasons:", f"audience-sync show {report.run}", screen=screen, indent=INDENT),
        *advice("After correcting the data:", *retries, again, screen=screen, indent=INDENT),
    ]


def _completed_lines(step: RampStep, key: str, screen: Screen) -> list[str]:
    refused = sum(each.still_refused for each in step.report.destinations)
    calls = f"{pluralize(refused, 'call')} {form(refused, 'is')} refused." if refused else "No call was refused."
    see = [command(f"audience-sync show {step.report.run}", screen)] if refused else []
    where = join_names([each.name for each in step.report.destinations])
    if step.share == 1:
        return [*prose(f"{key} is seeded at {where}. {calls}", screen), *see]
    done = f"{_share_text(step.share)} of {key} is seeded at {where}. {calls} To send to all other members:"
    return [*prose(done, screen), *see, command(f"audience-sync seed {key}", screen)]


def _share_text(share: float) -> str:
    return f"{round(share * 100, 6):g}%"
