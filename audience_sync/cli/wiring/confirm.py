"""Ask for confirmation: show what would be sent where, then do exactly that, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import click

from audience_sync.cli.base.layout import INDENT, Screen, advice, joined, prose
from audience_sync.cli.base.output import print_json, screen, write
from audience_sync.cli.base.session import Session
from audience_sync.cli.views.preview import forecast_table, limits_lines
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.views.summary import DescribeRun
from audience_sync.cli.wiring.run_command import make_run
from audience_sync.project.values import Plan, Run
from audience_sync.text import pluralize

#: A seed of more users than this asks on a terminal.
LARGEST_UNASKED_SEED = 10_000

Preview = Callable[[Plan, Screen], Iterable[Sequence[str]]]


def confirm_and_run(
    session: Session,
    make: Callable[..., Run],
    plan: Callable[..., Plan],
    question: str,
    preview: Preview,
    *,
    yes: bool,
    dry_run: bool,
    describe: DescribeRun | None = None,
) -> int:
    """Show what would be sent, ask, and do exactly that, or nothing. Returns the exit code.

    ``make`` and ``plan``: the project's methods that do it and that show it. ``preview``: the parts to show. ``yes``:
    confirmed beforehand. ``dry_run``: only show. Raises ClickException if there is no terminal to ask.
    """
    if yes and not dry_run:
        return make_run(session, lambda progress: make(progress=progress), describe=describe).exit_code
    found = _plan(plan)
    if dry_run and session.as_json:
        print_json(found.to_dict())
        return 0
    to_stderr = session.as_json  # stdout is for the document of the run
    where = screen(error=to_stderr)
    parts = [*preview(found, where)]
    if dry_run:
        write(joined([*parts, advice("Nothing was changed or sent. To do this:", found.command, screen=where)]))
        return 0
    write(joined(parts), error=to_stderr)
    if not _confirms(session, question):
        return 0
    return make_run(session, lambda progress: make(plan=found, progress=progress), describe=describe).exit_code


def may_seed(session: Session, key: str, *, rate: str | None, limit: int | None) -> bool:
    """Whether a seed may begin. Before many users, a person at a terminal is asked."""
    if not sys.stdin.isatty() or (limit is not None and limit <= LARGEST_UNASKED_SEED):
        return True
    found = _plan(partial(session.project.plan_seed, key, rate=rate, limit=limit)).preview
    users = max((each.calls for each in found.forecasts), default=0)
    if users <= LARGEST_UNASKED_SEED:
        return True
    where = screen(error=True)
    first = f"Seed '{key}' now? It sends one call for each of {pluralize(users, 'user')}."
    careful = "Users may get a welcome message for each of these calls. To try 100 users first:"
    parts = [
        prose(first, where),
        forecast_table(found.forecasts, where, addresses=False),
        limits_lines(found.forecasts, where),
        advice(careful, f"audience-sync seed {key} --limit 100", screen=where),
    ]
    write(joined(parts), error=True)
    return _confirms(session, "Continue?")


def _plan(plan: Callable[..., Plan]) -> Plan:
    with RunProgress() as progress:
        return plan(progress=progress.report)


def _confirms(session: Session, question: str) -> bool:
    """Ask on stderr. Raises ClickException without a terminal."""
    if not sys.stdin.isatty():
        what = click.get_current_context().info_name
        raise click.ClickException(
            f"{what} needs a confirmation, and there is no terminal to ask. Nothing was changed or sent.\n"
            f"{INDENT}Add --yes to confirm, or --dry-run to look."
        )
    write([""], error=True)
    if click.confirm(question, err=True):
        return True
    write(["Nothing was changed or sent."], error=session.as_json)
    return False
