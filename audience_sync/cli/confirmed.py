"""How does a person say yes to what can't be taken back? They see what would be told where, and are asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from audience_sync.cli.compose import opened_to_read, options_of, read_settings
from audience_sync.cli.output import line
from audience_sync.cli.planned import forecast_line
from audience_sync.cli.progress import RunProgress
from audience_sync.sync.order import Order
from audience_sync.sync.plan import Plan, make_plan
from audience_sync.wording import plural


def look_ahead(context: click.Context, order: Order) -> Plan:
    """What the order would do, with the numbers of users who would be told something. Changes nothing.

    Carried out with ``carry_out(context, order, review=plan.saved.refuse_other)`` it does that, or nothing.
    """
    settings = read_settings(options_of(context))
    with opened_to_read(settings) as parts, RunProgress() as progress:
        return make_plan(parts, order, progress.watch, count_told=True)


def agrees(context: click.Context, found: Plan, question: str, *, yes: bool, notes: Iterable[str] = ()) -> bool:
    """Show what would be told, and ask. ``yes``: it was said beforehand. ``notes``: what else there is to know.

    What is shown goes to stderr where stdout is for JSON. Raises UsageError where nobody can be asked.
    """
    if yes:
        return True
    as_json = context.obj.as_json
    for text in (*told_lines(found), *notes):
        line(text, error=as_json)
    if not sys.stdin.isatty():
        raise click.UsageError(
            "There is no terminal to ask at whether this is meant. Nothing was changed or sent. If it is: add --yes"
        )
    if click.confirm(question, err=as_json):
        return True
    line("Nothing was changed or sent.", error=as_json)
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
