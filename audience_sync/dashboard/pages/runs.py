"""List runs, the newest first, with filters; and draw the strip of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from audience_sync.dashboard.charts.strip import Bar, kind_of, strip
from audience_sync.dashboard.links import href
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.queries.runs import (
    STATUSES,
    RunFilter,
    count_runs,
    first_run_at,
    held_audiences,
    newer_page,
    read_runs,
    runs_query,
)
from audience_sync.history.view_rows import read
from audience_sync.model import MAX_RUN
from audience_sync.project.history import PastRun
from audience_sync.text import pluralize
from audience_sync.web import formats
from audience_sync.web.errors import WrongQueryError

#: Runs of a page.
PAGE = 50
#: Keys that a row names; the others are counted.
MOST_KEYS = 3


@dataclass(frozen=True, slots=True)
class RunLine:
    """One row: a run, and in a few words why it is not simply a success."""

    run: PastRun
    why: str


def runs_page(visit: Visit, *, rows: int = PAGE) -> Page:
    """``?status=&audience=&from=&to=``, and ``before``: the run that the page begins below."""
    chosen, before = _filter(visit), visit.number("before", 0, least=0) or MAX_RUN
    runs = read_runs(visit.connection, chosen, before=before, most=rows + 1)
    shown = runs[:rows]
    newer = count_runs(visit.connection, chosen, first=before)
    fields = {name: visit.text(name) for name in ("status", "audience", "from", "to")}
    newer_href = ""
    if newer:
        first = shown[0].run if shown else before - 1
        newer_href = href("runs", **fields, before=newer_page(visit.connection, chosen, first, rows))
    return Page(
        template="runs.html",
        context={
            "title": "Runs",
            "here": "runs",
            "lines": _lines(visit.connection, shown),
            **strip_context(visit, shown[::-1]),
            "keys": [row["key"] for row in read(visit.connection, "select key from {views}audiences order by key")],
            "statuses": STATUSES,
            "fields": fields,
            "is_filtered": any(fields.values()),
            "total": count_runs(visit.connection, chosen),
            "first": newer + 1,
            "last": newer + len(shown),
            "since": first_run_at(visit.connection),
            "newer": newer_href,
            "older": href("runs", **fields, before=shown[-1].run) if len(runs) > rows else "",
        },
        datasets=(Dataset("runs", runs_query(chosen), chosen.values),),
    )


def _filter(visit: Visit) -> RunFilter:
    until = _day(visit, "to")
    return RunFilter(
        status=visit.choice("status", STATUSES),
        audience=visit.text("audience"),
        since=_day(visit, "from"),
        until=until + timedelta(days=1) if until else None,
    )


def _day(visit: Visit, name: str) -> datetime | None:
    """Midnight of a day in the config's zone. Raises WrongQueryError."""
    text = visit.text(name).strip()
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=visit.site.zone)
    except ValueError:
        raise WrongQueryError(f"“{text[:40]}” is not a day for `{name}`. Example: 2026-11-29.") from None


def _lines(connection: Connection, runs: Sequence[PastRun]) -> list[RunLine]:
    held = held_audiences(connection, [each.run for each in runs if each.status == "held"])
    return [RunLine(each, _why(each, held.get(each.run, ()))) for each in runs]


def _why(run: PastRun, held: Sequence[str]) -> str:
    """The audiences that were held; otherwise the first line of the error, or that older calls are refused."""
    if held:
        more = [f"and {len(held) - MOST_KEYS} more"] if len(held) > MOST_KEYS else []
        return ", ".join([*held[:MOST_KEYS], *more])
    if run.error:
        return run.error.strip().splitlines()[0]
    if run.status == "interrupted":
        return "The process ended before the run did. The next run continues from there."
    if run.status == "partial" and not run.refused and not run.pending:
        return "calls of earlier runs are still refused"
    return ""


def strip_context(visit: Visit, runs: Sequence[PastRun]) -> dict[str, Any]:
    """The values of a strip of runs: the picture, the same in words, and the length of the longest bar."""
    counts = Counter[str](each.status for each in runs)
    named = ", ".join(f"{counts[status]} {status}" for status in reversed(STATUSES) if counts[status])
    bars = [_bar(visit, each) for each in runs]
    return {
        "strip": strip(bars, visit.site.zone),
        "strip_words": f"{pluralize(len(runs), 'run')}: {named}.",
        "longest": formats.seconds(max((each.seconds or 0.0 for each in bars), default=0.0)),
    }


def _bar(visit: Visit, run: PastRun) -> Bar:
    kind, glyph, capped = kind_of(run.status, refused=run.refused, pending=run.pending)
    seconds = run.seconds if run.is_over else max((visit.now - run.started_at).total_seconds(), 0.0)
    took = f", {formats.seconds(seconds)}" if seconds is not None else ""
    started = formats.moment(run.started_at, visit.site.zone, visit.now)
    return Bar(
        at=run.started_at,
        seconds=seconds,
        kind=kind,
        glyph=glyph,
        is_capped=capped,
        href=href("run", run=run.run),
        title=f"Run {run.run} {run.status}, {started}{took}",
    )
