"""How does a person say yes to what can't be taken back? They see what would be told where, and are asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from audience_sync.cli.compose import opened_to_read, options_of, read_settings
from audience_sync.cli.output import line, print_json
from audience_sync.cli.planned import forecast_line
from audience_sync.cli.progress import RunProgress
from audience_sync.cli.runs import carry_out
from audience_sync.sync.order import Order
from audience_sync.sync.plan import Plan, make_plan
from audience_sync.wording import plural

Notes = Callable[[Plan], Iterable[str]]


def carry_out_if_meant(
    context: click.Context, order: Order, question: str, notes: Notes, *, yes: bool, dry_run: bool
) -> int:
    """Show what the order would tell, ask, and carry out just that, or nothing; returns the exit code.

    ``notes``: what else there is to know before one agrees. ``yes``: it was said beforehand. ``dry_run``: nobody is
    asked, and nothing is done. Raises UsageError where nobody can be asked.
    """
    if yes and not dry_run:
        return carry_out(context, order).exit_code
    found = _look_ahead(context, order)
    if dry_run and context.obj.as_json:
        print_json(told_json(found))
        return 0
    to_stderr = context.obj.as_json  # stdout is for the document of the run
    for text in (*told_lines(found), *notes(found)):
        line(text, error=to_stderr)
    if dry_run:
        line(f"Nothing was changed or sent. To do it: {found.command}")
        return 0
    if _agrees(question, to_stderr=to_stderr):
        return carry_out(context, order, review=found.saved.refuse_other).exit_code
    return 0


def _look_ahead(context: click.Context, order: Order) -> Plan:
    with opened_to_read(read_settings(options_of(context))) as parts, RunProgress() as progress:
        return make_plan(parts, order, progress.watch, count_told=True)


def _agrees(question: str, *, to_stderr: bool) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "There is no terminal to ask at whether this is meant. Nothing was changed or sent. If it is: add --yes"
        )
    if click.confirm(question, err=to_stderr):
        return True
    line("Nothing was changed or sent.", error=to_stderr)
    return False


def told_lines(found: Plan) -> Iterator[str]:
    """How many users each destination would be told of, and what."""
    for forecast in found.forecasts:
        yield forecast_line(forecast)
        for each in found.told.get(forecast.name, ()):
            yield f"  {each.key}: {each.value} to {plural(each.users, 'user')}"


def told_json(found: Plan) -> dict[str, Any]:
    """The same for programs: the plan's document, and what is told by destination."""
    document = found.as_json()
    for each in document["destinations"]:
        told = found.told.get(each["name"], ())
        each["told"] = [{"key": one.key, "value": one.value, "users": one.users} for one in told]
    return document
