"""Seed an audience share by share: one run each, until too many calls are refused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from audience_sync.cli.base.layout import INDENT, Column, Screen, advice, command, prose, table
from audience_sync.cli.base.output import pipe, print_json, screen, write
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.attention import blocks, urgent_lines
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.summary import summary
from audience_sync.cli.views.wording import seed_wording
from audience_sync.cli.wiring.run_answer import print_urgent
from audience_sync.command_line import to_paste
from audience_sync.model import AudienceStatus
from audience_sync.project.progress import Event
from audience_sync.project.ramp import MAX_REFUSED, RampStep, parsed_shares
from audience_sync.project.values import Run
from audience_sync.text import form, join_names, pluralize, seconds_text

COLUMNS = (
    *(Column(heading, right=True, keep=True) for heading in ("run", "step", "delivered", "refused", "pending")),
    Column("time", right=True, keep=True, lost=1),
)


class Ramp:
    """The steps of a ramp, each shown after its run. Its options are checked before anything is asked."""

    def __init__(
        self,
        session: Session,
        key: str,
        ramp: str,
        *,
        max_refused: str | None,
        rate: str | None,
        reason: str | None,
        upgrade: bool,
    ) -> None:
        self._session, self._key, self._shares = session, key, parsed_shares(ramp)
        self._progress = RunProgress(quiet=session.quiet)
        self._steps = session.project.ramp(
            key,
            self._shares,
            max_refused=MAX_REFUSED if max_refused is None else max_refused,
            rate=rate,
            reason=reason,
            upgrade=upgrade,
            progress=self._report,
        )

    def _report(self, event: Event) -> None:
        self._progress.report(event)

    def run(self) -> int:
        """Send to the shares, one after another, until a step stops it. Returns the exit code."""
        session, key, steps = self._session, self._key, list[RampStep]()
        shown = not (session.as_json or session.quiet)
        while True:
            self._progress = RunProgress(quiet=session.quiet)
            with self._progress:
                step = next(self._steps, None)
            if step is None:
                break
            steps.append(step)
            if shown:
                write(step_lines(steps, key, self._shares, screen()))
        last = steps[-1]
        if shown:
            end = _end_lines(last, key, self._shares, screen())
            write(end if _is_failed_or_held(steps[0].run, key) else ["", *end])
        elif session.as_json and (last.stopped or not session.quiet):
            ramp = [{"share": each.share, "run": each.run.number, "stopped": each.stopped} for each in steps]
            print_json({**last.run.to_dict(), "ramp": ramp})
        if last.stopped:
            print_urgent(_end_lines(last, key, self._shares, pipe(), urgent=True), shown=shown)
        return last.exit_code


def step_lines(steps: Sequence[RampStep], key: str, shares: Sequence[float], screen: Screen) -> list[str]:
    """The row of the last step, after the first one with intro and heading. All rows have the same widths."""
    first, last = steps[0].run, steps[-1]
    run = last.run
    if _is_failed_or_held(run, key):
        return []
    everything = sum(each.calls for each in first.deliveries)
    outcomes = ("delivered", "refused", "pending")
    sums = [sum(getattr(each, name) for each in run.deliveries) for name in outcomes]
    row = (run.number, _share_text(last.share), *sums, seconds_text(run.seconds))
    widest = (run.number, "100%", everything, 0, everything, "100.0 s")
    heading, line, _ = table(COLUMNS, [row, widest], screen)
    if len(steps) > 1:
        return [line]
    members = next((each.members for each in first.audiences if each.key == key), 0)
    intro = f"Seeding {key} in {pluralize(len(shares), 'step')}: {', '.join(map(_share_text, shares))} of "
    return [*prose(f"{intro}{pluralize(members, 'member')}.", screen), "", heading, line]


def _is_failed_or_held(run: Run, key: str) -> bool:
    """Whether the audience failed or is held, so that the step did nothing."""
    audience = next((each for each in run.audiences if each.key == key), None)
    return audience is None or audience.status in (AudienceStatus.FAILED, AudienceStatus.HELD)


def _end_lines(step: RampStep, key: str, shares: Sequence[float], screen: Screen, *, urgent: bool = False) -> list[str]:
    """The last lines of a ramp. ``urgent``: only what needs a person."""
    run = step.run
    if not step.stopped:
        return _completed_lines(step, key, screen)
    if _is_failed_or_held(run, key):
        if urgent:
            return urgent_lines(blocks(run.report, run.details, screen))
        return summary(step.run, screen, describe=partial(seed_wording, key=key))
    pending = max((each.pending for each in run.deliveries), default=0)
    rest = f"{pluralize(pending, 'member')} {form(pending, 'is')} pending. " if pending else ""
    retries = [to_paste("retry", "--destination", each.destination) for each in run.deliveries if each.still_refused]
    again = f"audience-sync seed {key} --ramp {','.join(map(_share_text, shares))}"
    return [
        *prose(f"Stopped after {_share_text(step.share)} of {key}: {step.stopped}.", screen),
        *prose(f"{rest}Nothing more is sent until you continue.", screen),
        "",
        *advice("The reasons:", f"audience-sync show {run.number}", screen=screen, indent=INDENT),
        *advice("After correcting the data:", *retries, again, screen=screen, indent=INDENT),
    ]


def _completed_lines(step: RampStep, key: str, screen: Screen) -> list[str]:
    refused = sum(each.still_refused for each in step.run.deliveries)
    calls = f"{pluralize(refused, 'call')} {form(refused, 'is')} refused." if refused else "No call was refused."
    see = [command(f"audience-sync show {step.run.number}", screen)] if refused else []
    where = join_names([each.destination for each in step.run.deliveries])
    if step.share == 1:
        return [*prose(f"{key} is seeded at {where}. {calls}", screen), *see]
    done = f"{_share_text(step.share)} of {key} is seeded at {where}. {calls} To send to all other members:"
    return [*prose(done, screen), *see, command(f"audience-sync seed {key}", screen)]


def _share_text(share: float) -> str:
    return f"{round(share * 100, 6):g}%"
