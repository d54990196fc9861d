"""Ask for confirmation: show what would be sent where, then do exactly that, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from audience_sync.cli.base.layout import INDENT, PIPE, Column, Screen, command, prose, table, width_of
from audience_sync.cli.base.output import path_text, print_json, screen, write
from audience_sync.cli.views.attention import joined
from audience_sync.cli.views.plan import DESTINATIONS, limits_lines, time_of
from audience_sync.cli.views.progress import RunProgress
from audience_sync.cli.wiring.dependencies import options_of, read_settings
from audience_sync.cli.wiring.run_command import DescribeRun, execute_run
from audience_sync.project import opened_to_read
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview, preview_run
from audience_sync.sync.preview.value_counts import Sends
from audience_sync.sync.values.request import RunRequest, Seed
from audience_sync.text import pluralize

#: A seed of more users than this asks on a terminal.
LARGEST_UNASKED_SEED = 10_000

Preview = Callable[[RunPreview, Screen], Iterable[Sequence[str]]]


def confirm_and_run(
    context: click.Context,
    request: RunRequest,
    question: str,
    preview: Preview,
    *,
    yes: bool,
    dry_run: bool,
    describe: DescribeRun | None = None,
) -> int:
    """Show what the request would send, ask, and do exactly that, or nothing. Returns the exit code.

    ``preview``: the parts to show. ``yes``: confirmed beforehand. ``dry_run``: only show. Raises ClickException if
    there is no terminal to ask.
    """
    if yes and not dry_run:
        return execute_run(context, request, describe=describe).exit_code
    found = _preview(context, request)
    if dry_run and context.obj.as_json:
        print_json(sends_json(found))
        return 0
    to_stderr = context.obj.as_json  # stdout is for the document of the run
    parts = [*preview(found, screen(error=to_stderr))]
    if dry_run:
        end = ["Nothing was changed or sent. To do this:", command(found.command)]
        write(joined([*parts, end]))
        return 0
    write(joined(parts), error=to_stderr)
    if confirms(context, question):
        return execute_run(context, request, review=found.saved.refuse_other, describe=describe).exit_code
    return 0


def may_seed(context: click.Context, request: Seed) -> bool:
    """Whether a seed may begin. Before many users, a person at a terminal is asked."""
    if not sys.stdin.isatty() or (request.limits.calls is not None and request.limits.calls <= LARGEST_UNASKED_SEED):
        return True
    found = _preview(context, request, count=False)
    users = max((each.calls for each in found.forecasts), default=0)
    if users <= LARGEST_UNASKED_SEED:
        return True
    where = screen(error=True)
    # The parts in order: what it does, to which destinations, what that means for users.
    first = f"Seed '{request.key}' now? It sends one call for each of {pluralize(users, 'user')}."
    careful = "Users may get a welcome message for each of these calls. To try 100 users first:"
    try_first = [*prose(careful, where), command(f"audience-sync seed {request.key} --limit 100")]
    tables = [forecast_table(found.forecasts, where, addresses=False), limits_lines(found.forecasts, where)]
    write(joined([prose(first, where), *tables, try_first]), error=True)
    return confirms(context, "Continue?")


def _preview(context: click.Context, request: RunRequest, *, count: bool = True) -> RunPreview:
    with opened_to_read(read_settings(options_of(context))) as parts, RunProgress() as progress:
        return preview_run(parts, request, progress.watch, counts_sends=count)


def confirms(context: click.Context, question: str) -> bool:
    """Ask on stderr. Raises ClickException without a terminal."""
    if not sys.stdin.isatty():
        what = str(context.info_name)
        raise click.ClickException(
            f"{what} needs a confirmation, and there is no terminal to ask. Nothing was changed or sent.\n"
            f"{INDENT}Add --yes to confirm, or --dry-run to look."
        )
    write([""], error=True)
    if click.confirm(question, err=True):
        return True
    write(["Nothing was changed or sent."], error=context.obj.as_json)
    return False


def forecast_table(forecasts: Sequence[Forecast], screen: Screen, *, addresses: bool = True) -> list[str]:
    """Lay out calls, requests and time of each destination with calls."""
    shown = [each for each in forecasts if each.calls]
    columns = DESTINATIONS if addresses else DESTINATIONS[:-1]
    rows = [(*_forecast_cells(each), path_text(each.address))[: len(columns)] for each in shown]
    lines = table(columns, rows, screen)
    none = [each.name for each in forecasts if not each.calls]
    if none:
        lines += prose(f"Destinations without calls: {', '.join(none)}.", screen)
    return lines


def _forecast_cells(each: Forecast) -> tuple[object, ...]:
    return each.name, each.calls, each.requests, time_of(each)


def sends_table(found: RunPreview, screen: Screen, *, key: str | None = None) -> list[str]:
    """Lay out the forecast with the values to send: in a column if it fits, otherwise under each row.

    ``key``: only of this audience or trait; a line names others with pending calls.
    """
    shown = [each for each in found.forecasts if each.calls]
    sends = {each.name: [one for one in found.sends.get(each.name, ()) if key in (None, one.key)] for each in shown}
    lines = _sends_column_table(shown, sends, screen)
    whole = max(map(width_of, _sends_column_table(shown, sends, PIPE)), default=0)
    if screen.width is not None and whole > screen.width:
        notes = [[_send_text(one, counted=True) for one in sends[each.name]] for each in shown]
        lines = table(DESTINATIONS[:-1], [_forecast_cells(each) for each in shown], screen, notes=notes)
    others = {one.key for each in shown for one in found.sends.get(each.name, ())} - {key} if key else set()
    if others:
        lines += prose(f"Pending calls of {', '.join(sorted(others))} are sent, too.", screen)
    none = [each.name for each in found.forecasts if not each.calls]
    return [*lines, *(prose(f"Destinations without calls: {', '.join(none)}.", screen) if none else [])]


def _sends_column_table(
    forecasts: Sequence[Forecast], sends: Mapping[str, Sequence[Sends]], screen: Screen
) -> list[str]:
    rows = list[Sequence[object]]()
    for each in forecasts:
        texts = [_send_text(one, counted=len(sends[each.name]) > 1) for one in sends[each.name]]
        rows.append((*_forecast_cells(each), texts[0] if texts else ""))
        rows += [("", None, None, "", text) for text in texts[1:]]
    return table((*DESTINATIONS[:-1], Column("sends")), rows, screen)


def _send_text(one: Sends, *, counted: bool) -> str:
    return f"{one.key} {one.value}{f' to {one.users:,}' if counted else ''}"


def withheld_lines(forecasts: Sequence[Forecast], screen: Screen) -> Iterator[str]:
    for each in forecasts:
        if each.withheld:
            yield from prose(f"{pluralize(each.withheld, 'suppressed user')} would be left out at {each.name}.", screen)


def sends_json(found: RunPreview) -> dict[str, Any]:
    """The plan's JSON document, with the values to send by destination."""
    document = found.as_json()
    for each in document["destinations"]:
        sends = found.sends.get(each["name"], ())
        each["sends"] = [{"key": one.key, "value": one.value, "users": one.users} for one in sends]
    return document
