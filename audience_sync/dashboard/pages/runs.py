"""List runs, the newest first, with filters; and word runs for the strip of bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from audience_sync.dashboard.charts.strip import Bar, kind_of, strip
from audience_sync.dashboard.links import href
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.queries.rows import read
from audience_sync.dashboard.queries.runs import (
    STATUSES,
    Run,
    RunFilter,
    count_runs,
    first_run_at,
    newer_page,
    read_runs,
    runs_query,
    troubled_audiences,
)
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

    run: Run
    why: str


def runs_page(visit: Visit, *, rows: int = PAGE) -> Page:
    """``?status=&audience=&from=&to=``, and ``before``: the run that the page begins below."""
    chosen, before = _filter(visit), visit.number("before", 0, least=0) or None
    runs = read_runs(visit.connection, chosen, before=before, most=rows + 1)
    shown = runs[:rows]
    total = count_runs(visit.connection, chosen)
    newer = count_runs(visit.connection, chosen, newer_than=before) if before else 0
    sql, values = runs_query(chosen)
    fields = {name: visit.text(name) for name in ("status", "audience", "from", "to")}
    return Page(
        template="runs.html",
        context={
            "title": "Runs",
            "here": "runs",
            "lines": lines(visit, shown),
            **context_of(visit, shown[::-1]),
            "keys": [row["key"] for row in read(visit.connection, "select key from {views}audiences order by key")],
            "statuses": STATUSES,
            "fields": fields,
            "is_filtered": any(fields.values()),
            "total": total,
            "first": newer + 1,
            "last": newer + len(shown),
            "since": first_run_at(visit.connection),
            "newer": _newer_href(visit, chosen, shown, before, fields),
            "older": href("runs", **fields, before=shown[-1].run) if len(runs) > rows else "",
        },
        datasets=(Dataset("runs", sql, values),),
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


def _newer_href(
    visit: Visit, chosen: RunFilter, shown: Sequence[Run], before: int | None, fields: Mapping[str, str]
) -> str:
    if before is None:
        return ""
    first = shown[0].run if shown else before - 1
    return href("runs", **fields, before=newer_page(visit.connection, chosen, first, PAGE))


def lines(visit: Visit, runs: Sequence[Run]) -> list[RunLine]:
    """The rows of a table of runs."""
    notable = [each.run for each in runs if each.status in ("held", "failed")]
    troubled = troubled_audiences(visit.connection, notable)
    return [RunLine(each, why(each, troubled.get(each.run, {}))) for each in runs]


def why(run: Run, troubled: Mapping[str, Sequence[str]]) -> str:
    """The audiences that were held; otherwise the first line of the error, or that older calls are refused."""
    if run.status == "held" and (keys := troubled.get("held")):
        more = [f"and {len(keys) - MOST_KEYS} more"] if len(keys) > MOST_KEYS else []
        return ", ".join([*keys[:MOST_KEYS], *more])
    if run.error:
        return run.error.strip().splitlines()[0]
    if run.status == "interrupted":
        return "The process ended before the run did. The next run continues from there."
    if run.status == "partial" and not run.refused and not run.pending:
        return "calls of earlier runs are still refused"
    return ""


def bars(visit: Visit, runs: Sequence[Run]) -> list[Bar]:
    """The bars of a strip, in the order of the runs."""
    found = list[Bar]()
    for each in runs:
        kind, glyph, capped = kind_of(each.status, refused=each.refused, pending=each.pending)
        seconds = each.seconds
        if each.status == "running":
            seconds = max((visit.now - each.started_at).total_seconds(), 0.0)
        took = f", {formats.seconds(seconds)}" if seconds is not None else ""
        started = formats.moment(each.started_at, visit.site.zone, visit.now)
        found.append(
            Bar(
                at=each.started_at,
                seconds=seconds,
                kind=kind,
                glyph=glyph,
                is_capped=capped,
                href=href("run", run=each.run),
                title=f"Run {each.run} {each.status}, {started}{took}",
            )
        )
    return found


def strip_words(runs: Sequence[Run]) -> str:
    """The strip in one sentence, for those who can't see it."""
    counts = Counter(each.status for each in runs)
    named = ", ".join(f"{counts[status]} {status}" for status in reversed(STATUSES) if counts[status])
    return f"{pluralize(len(runs), 'run')}: {named}."


def context_of(visit: Visit, runs: Sequence[Run]) -> dict[str, Any]:
    """The values of a strip. ``longest``: the length of the longest bar."""
    drawn = bars(visit, runs)
    return {
        "strip": strip(drawn, visit.site.zone),
        "strip_words": strip_words(runs),
        "longest": formats.seconds(max((each.seconds or 0.0 for each in drawn), default=0.0)),
    }
