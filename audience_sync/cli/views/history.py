"""Lay out the last runs, or the results of one audience: one line a run, and under it what few runs have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from audience_sync.cli.base.layout import PIPE, Column, Screen, intro_and_command, one_line, table, width_of
from audience_sync.cli.base.output import short_duration
from audience_sync.cli.views.audience_chart import chart_lines
from audience_sync.sync.guard.messages import without_subject
from audience_sync.text import pluralize, shortened

Row = Mapping[str, Any]

#: The widest of these forms that fits is shown; facts without a column stand under the run.
_FORMS = (
    ("run", "started_at", "seconds", "command", "status", "entered", "left", "delivered"),
    ("run", "started_at", "status", "entered", "left", "delivered"),
    ("run", "status", "entered", "left", "delivered"),
)
#: Columns of the views without a terminal.
_PIPED = (
    *("run", "started_at", "seconds", "command", "status", "entered", "left", "trait_users_changed"),
    *("delivered", "refused", "pending", "held", "error"),
)
#: Columns of one audience; its other counts stand under the row if they are not zero.
_AUDIENCE = ("run", "started_at", "status", "members_after", "entered", "left")
_AUDIENCE_PIPED = (*_AUDIENCE, "invalid", "absent", "returned", "held_out", "error")
_HELD = (("held", "audience"), ("traits_held", "computed trait"), ("mappings_held", "mapping"))
_TEXTS = ("started_at", "command", "status", "error")
_HEADINGS = {
    "started_at": "started (UTC)",
    "trait_users_changed": "traits",
    "members_after": "members",
    "held_out": "held out",
}
#: The kind before the name in a line of a run's error, which is left out.
_SUBJECT = re.compile(r"\Adestination |\Aaudience '([^']+)'(?=: )")
#: Characters of a reason in the list.
_REASON = 200
_ONE_RUN = "One run in full:", "audience-sync show RUN"


def history_lines(runs: Sequence[Row], screen: Screen) -> list[str]:
    """Lay out a table of runs. Facts that few runs have stand under the run."""
    if not runs:
        return intro_and_command("No runs yet. Start one:", "audience-sync sync", screen)
    if screen.width is None:
        return _table(_PIPED, runs, screen)
    width = screen.width
    fitting = [names for names in _FORMS if max(map(width_of, _table(names, runs, PIPE, notes=()))) <= width]
    names = fitting[0] if fitting else _FORMS[-1]
    return [
        *_table(names, runs, screen, notes=[_run_notes(run, names) for run in runs]),
        "",
        *intro_and_command(*_ONE_RUN, screen),
    ]


def audience_lines(key: str, runs: Sequence[Row], screen: Screen) -> list[str]:
    """Lay out a drawing and a table of one audience's results by run; without a terminal the table alone."""
    if not runs:
        return [f"No run has an audience '{key}'."]
    if screen.width is None:
        return _table(_AUDIENCE_PIPED, runs, screen)
    chart, last = chart_lines(key, runs, screen), intro_and_command(*_ONE_RUN, screen)
    return [*chart, *_table(_AUDIENCE, runs, screen, notes=map(_audience_notes, runs)), "", *last]


def _table(
    names: Sequence[str], runs: Sequence[Row], screen: Screen, *, notes: Iterable[Iterable[str]] | None = None
) -> list[str]:
    """Lay out these columns. ``notes``: facts under each run, on a terminal; None for a program."""
    headings = {**_HEADINGS, "seconds": "seconds" if notes is None else "time"}
    columns = [Column(headings.get(name, name), right=name not in _TEXTS, keep=True) for name in names]
    rows = [[_cell(name, run[name], for_person=notes is not None) for name in names] for run in runs]
    lines = [[text] if (text := "; ".join(each)) else [] for each in notes or ()]
    return table(columns, rows, screen, notes=lines)


def _cell(name: str, value: Any, *, for_person: bool = True) -> object:
    match name:
        case "run":
            return str(value)
        case "started_at":
            return f"{value:%Y-%m-%d %H:%M}" if for_person else f"{value:%Y-%m-%d %H:%M:%S}"
        case "seconds" if not for_person:
            return "" if value is None else f"{value:.1f}"
        case "seconds":
            return short_duration(value)
        case "error":
            return " ".join(str(value or "").split())
        case _:
            return value


def _run_notes(run: Row, names: Sequence[str]) -> Iterator[str]:
    """The facts under a run: those without a column, what needs a person, and the error."""
    facts = [_cell(name, run[name]) for name in ("started_at", "command", "seconds") if name not in names]
    if any(facts):
        yield ", ".join(str(each) for each in facts if each)
    held = [pluralize(run[name], what) for name, what in _HELD if run.get(name)]
    if held:
        yield f"{' and '.join(held)} held"
    for name in ("refused", "pending"):
        if run[name]:
            yield f"{pluralize(run[name], 'call')} {name}"
    if run["trait_users_changed"]:
        yield f"{pluralize(run['trait_users_changed'], 'user')} with changed traits"
    if run.get("reason"):
        yield f"{run['started_by']}: {shortened(one_line(run['reason']), _REASON)}"
    # Audiences and destinations are named without their kind.
    yield from (_SUBJECT.sub(r"\1", line).rstrip(".") for line in (run["error"] or "").splitlines() if line.strip())


def _audience_notes(run: Row) -> Iterator[str]:
    if run["invalid"]:
        yield pluralize(run["invalid"], "invalid row")
    yield from member_notes(run)
    if run["error"]:
        # The key is in the command, and what to do about a hold in `status` and `show`: it may be over.
        yield without_subject(one_line(run["error"])).partition(" Nothing of it was changed")[0].rstrip(".")


def member_notes(audience: Row) -> Iterator[str]:
    """Counts of members in addition to those who entered and left."""
    facts = (
        ("absent", "missing from the source, still members"),
        ("returned", "came back in time"),
        ("held_out", "held out"),
    )
    yield from (f"{audience[name]:,} {fact}" for name, fact in facts if audience[name])
