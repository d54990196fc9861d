"""``audience-sync history``: list the last runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from audience_sync.cli.base.layout import PIPE, Column, Screen, table, width_of
from audience_sync.cli.base.options import LARGEST_NUMBER, common_options
from audience_sync.cli.base.output import short_duration
from audience_sync.text import pluralize

Row = Mapping[str, Any]

_RUN, _STARTED, _STATUS = Column("run", right=True), Column("started (UTC)"), Column("status")
_ENTERED, _LEFT = Column("entered", right=True, keep=True), Column("left", right=True, keep=True)
_DELIVERED = Column("delivered", right=True, keep=True)
_TIME, _COMMAND = Column("time", right=True, keep=True), Column("command")
#: The widest of these forms that fits is shown; facts without a column stand under the run.
_FORMS = (
    (_RUN, _STARTED, _TIME, _COMMAND, _STATUS, _ENTERED, _LEFT, _DELIVERED),
    (_RUN, _STARTED, _STATUS, _ENTERED, _LEFT, _DELIVERED),
    (_RUN, _STATUS, _ENTERED, _LEFT, _DELIVERED),
)
#: Columns without a terminal: column of the view -> heading.
_PIPED = {
    "run": _RUN,
    "started_at": _STARTED,
    "seconds": Column("seconds", right=True),
    "command": Column("command"),
    "status": _STATUS,
    "entered": _ENTERED,
    "left": _LEFT,
    "trait_users_changed": Column("traits", right=True),
    "delivered": _DELIVERED,
    "refused": Column("refused", right=True),
    "pending": Column("pending", right=True),
    "held": Column("held", right=True),
    "error": Column("error"),
}
_HELD = (("held", "audience"), ("traits_held", "computed trait"))
#: Columns of one audience; its other counts stand under the row if they are not zero.
_AUDIENCE = {
    "run": _RUN,
    "started_at": _STARTED,
    "status": _STATUS,
    "members_after": Column("members", right=True, keep=True),
    "entered": _ENTERED,
    "left": _LEFT,
}
_AUDIENCE_PIPED = {
    **_AUDIENCE,
    "invalid": Column("invalid", right=True),
    "absent": Column("absent", right=True),
    "returned": Column("returned", right=True),
    "held_out": Column("held out", right=True),
    "error": Column("error"),
}

#: The kind before the name in a line of a run's error, which is left out.
_SUBJECT = re.compile(r"\Adestination |\Aaudience '([^']+)'(?=: )")


@click.command()
@click.argument("key", required=False)
@click.option("--limit", type=click.IntRange(1, LARGEST_NUMBER), default=20, show_default=True, help="How many runs.")
@common_options
@click.pass_context
def history(context: click.Context, key: str | None, limit: int) -> None:
    """List the last runs; with KEY, the results of that audience."""
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, read_store_settings
    from audience_sync.history.runs import last_runs
    from audience_sync.project import store_to_read
    from audience_sync.store.audiences.properties import read_audience

    options = options_of(context)
    with store_to_read(read_store_settings(options).store) as store, store.reading() as connection:
        runs = last_runs(connection, key=key, limit=limit)
        if key is not None and not runs and last_runs(connection, limit=1):
            read_audience(connection, key)
    if options.as_json:
        print_json({"runs": runs})
    else:
        write(history_lines(runs, screen()) if key is None else audience_lines(key, runs, screen()))


def history_lines(runs: Sequence[Row], screen: Screen) -> list[str]:
    """Lay out a table of runs. Facts that few runs have stand under the run."""
    if not runs:
        return ["No runs yet. Start one: audience-sync sync"]
    if screen.width is None:
        return _pipe_table(_PIPED, runs, screen)
    forms = [each for each in _FORMS if _fits(each, runs, screen)]
    columns = forms[0] if forms else _FORMS[-1]
    notes = [[note] if (note := _note(run, columns)) else [] for run in runs]
    lines = table(columns, [_row(run, columns) for run in runs], screen, notes=notes)
    return [*lines, "", "One run in full: audience-sync show RUN"]


def _fits(columns: Sequence[Column], runs: Sequence[Row], screen: Screen) -> bool:
    lines = table(columns, [_row(run, columns) for run in runs], PIPE)
    return max(width_of(line) for line in lines) <= (screen.width or 0)


def audience_lines(key: str, runs: Sequence[Row], screen: Screen) -> list[str]:
    """Lay out a table of one audience's results by run."""
    if not runs:
        return [f"No run has an audience '{key}'."]
    if screen.width is None:
        return _pipe_table(_AUDIENCE_PIPED, runs, screen)
    rows = [[_cell_text(name, run[name], minutes=True) for name in _AUDIENCE] for run in runs]
    notes = [[note] if (note := "; ".join(_audience_notes(run))) else [] for run in runs]
    lines = table(list(_AUDIENCE.values()), rows, screen, notes=notes)
    return [*lines, "", "One run in full: audience-sync show RUN"]


def _pipe_table(columns: Mapping[str, Column], runs: Sequence[Row], screen: Screen) -> list[str]:
    return table(list(columns.values()), [[_cell_text(name, run[name]) for name in columns] for run in runs], screen)


def _cell_text(name: str, value: Any, *, minutes: bool = False) -> object:
    match name:
        case "run":
            return str(value)
        case "started_at":
            return f"{value:%Y-%m-%d %H:%M}" if minutes else f"{value:%Y-%m-%d %H:%M:%S}"
        case "seconds":
            return "" if value is None else f"{value:.1f}"
        case "error":
            return " ".join(str(value or "").split())
        case _:
            return value


def _row(run: Row, columns: Sequence[Column]) -> list[object]:
    values = {
        _RUN: str(run["run"]),
        _STARTED: f"{run['started_at']:%Y-%m-%d %H:%M}",
        _TIME: short_duration(run["seconds"]),
        _COMMAND: run["command"],
        _STATUS: run["status"],
        _ENTERED: run["entered"],
        _LEFT: run["left"],
        _DELIVERED: run["delivered"],
    }
    return [values[each] for each in columns]


def _note(run: Row, columns: Sequence[Column]) -> str:
    """The line under a run: facts without a column, what needs a person, and the error."""
    cells = dict(zip(_FORMS[0], _row(run, _FORMS[0]), strict=True))
    start = ", ".join(str(cells[each]) for each in (_STARTED, _COMMAND, _TIME) if each not in columns and cells[each])
    return "; ".join(filter(None, [start, *_run_notes(run)]))


def _run_notes(run: Row) -> Iterator[str]:
    held = [pluralize(run[name], thing) for name, thing in _HELD if run[name]]
    if held:
        yield f"{' and '.join(held)} held"
    for name in ("refused", "pending"):
        if run[name]:
            yield f"{pluralize(run[name], 'call')} {name}"
    if run["trait_users_changed"]:
        yield f"{pluralize(run['trait_users_changed'], 'user')} with changed traits"
    if run["error"]:
        yield _error_line(run["error"])


def _error_line(error: str) -> str:
    """Join the lines of a run's error; audiences and destinations are named without their kind."""
    lines = [_SUBJECT.sub(r"\1", line).rstrip(".") for line in error.splitlines() if line.strip()]
    return "; ".join(lines)


def _audience_notes(run: Row) -> Iterator[str]:
    if run["invalid"]:
        yield pluralize(run["invalid"], "invalid row")
    if run["absent"]:
        yield f"{run['absent']:,} missing, still members"
    if run["returned"]:
        yield f"{run['returned']:,} came back in time"
    if run["held_out"]:
        yield f"{run['held_out']:,} held out"
    if run["error"]:
        yield str(_cell_text("error", run["error"]))
