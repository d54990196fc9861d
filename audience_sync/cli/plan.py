"""``audience-sync plan``: what ``sync`` would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from audience_sync.cli.options import common

if TYPE_CHECKING:
    from audience_sync.sync.plan import Forecast, Plan


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--accept", multiple=True, metavar="KEY", help="As if this audience's guard were lifted.")
@common
@click.pass_context
def plan(context: click.Context, keys: tuple[str, ...], accept: tuple[str, ...]) -> int:
    """What `sync` would do, per audience and destination, with sample calls and a forecast.

    Changes nothing and sends nothing.
    """
    from audience_sync.cli.compose import opened_to_read, options_of, read_settings
    from audience_sync.cli.output import print_json
    from audience_sync.cli.progress import RunProgress
    from audience_sync.sync.order import Order
    from audience_sync.sync.plan import make_plan

    options = options_of(context)
    with opened_to_read(read_settings(options)) as parts, RunProgress() as progress:
        found = make_plan(parts, Order("plan", keys or None, accept), progress.watch)
    if options.as_json:
        print_json(found.as_json())
    else:
        _print(found)
    return found.exit_code


def _print(found: Plan) -> None:
    from audience_sync.cli.output import line, plural
    from audience_sync.cli.summary import of_the_whole_run, print_audiences, problems

    print_audiences(found.audiences)
    line(f"Computed traits: {plural(found.traits.users, 'user')}, {found.traits.changed:,} with changes.")
    for forecast in found.forecasts:
        _print_forecast(forecast)
    whole = of_the_whole_run(found.errors, found.held)
    for text in (*found.warnings, *problems(found.audiences, found.traits), *whole):
        line(text)
    line("Nothing was changed or sent. To do it: audience-sync sync")


def _print_forecast(forecast: Forecast) -> None:
    from audience_sync.cli.output import line, path_text, plural, sample

    if not forecast.calls:
        line(f"{forecast.name}: nothing to send.")
        return
    requests = plural(forecast.requests, "request")
    time = "" if forecast.seconds is None else f", {_duration(forecast.seconds)} at its rate limit"
    calls, address = plural(forecast.calls, "identify call"), path_text(forecast.address)
    line(f"{forecast.name}: {calls} to {address}, in {requests}{time}. Such as:")
    for call in forecast.samples:
        sample(f"  {call.user_id}  {call.traits_json}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if not hours else ""]
    return " ".join(part for part in parts if part)
