"""Show each destination: pending, refused, throughput, answers by status and time, refusals with what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from markupsafe import Markup

from audience_sync.command_line import to_paste
from audience_sync.dashboard.page import Dataset, Page, Visit
from audience_sync.dashboard.queries.destinations import (
    ANSWERS,
    CALLS,
    REFUSED,
    STATE,
    Answers,
    Destination,
    RefusedNow,
    RunCalls,
    first_run,
    read_answers,
    read_calls,
    read_destinations,
    read_refused_now,
)
from audience_sync.dashboard.remedies import answer_meaning, remedy
from audience_sync.text import pluralize
from audience_sync.web import formats
from audience_sync.web.bars import Column, bars, small_bars

#: The times to choose from; and how many hours are shown hour by hour.
RANGES = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
HOURLY = timedelta(hours=48)
#: Runs that are drawn one by one; more are put together by the hour, or by the day for a longer time.
MOST_RUNS = 70
#: Reasons of refusals that are listed of a destination.
MOST_REASONS = 50
#: Destinations whose calls are not answered by a server.
FILES = frozenset({"file"})
#: The hues of answers, in the order of the list.
_HUES = {"accepted": "ok", "partly refused": "act", "refused": "act", "sent again": "self", "no answer": "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLine:
    """Answers of one kind. ``word``: the HTTP status, or what came instead."""

    word: str
    means: str
    svg: Markup
    requests: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonLine:
    reason: str
    http_status: int | None
    calls: int
    since: datetime
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationSection:
    """One destination. ``accepted``: calls of the last 24 hours. ``rate``: calls a second of its last run."""

    destination: Destination
    accepted: int
    rate: float | None
    rate_run: int | None
    chart: Markup
    chart_words: str
    calls: Sequence[RunCalls]
    statuses: Sequence[StatusLine]
    reasons: Sequence[ReasonLine]
    more_reasons: int
    has_answers: bool
    command: str


def destinations_page(visit: Visit) -> Page:
    """``?range=24h|7d|30d``."""
    chosen = visit.choice("range", RANGES, "7d")
    since = visit.now - RANGES[chosen]
    first = first_run(visit.connection, since)
    history = _History(
        since=since,
        calls=read_calls(visit.connection, min(since, visit.now - RANGES["24h"])),
        answers=read_answers(visit.connection, since, first),
        refused=read_refused_now(visit.connection),
    )
    values = {"since": since}
    return Page(
        template="destinations.html",
        context={
            "title": "Destinations",
            "here": "destinations",
            "ranges": tuple(RANGES),
            "chosen": chosen,
            "since": since,
            "sections": [_section(visit, each, history) for each in read_destinations(visit.connection)],
        },
        datasets=(
            Dataset("destinations", STATE),
            Dataset("calls", CALLS, values),
            Dataset("answers", ANSWERS, {**values, "first_run": first}),
            Dataset("refused", REFUSED),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What happened at all destinations since a time."""

    since: datetime
    calls: Sequence[RunCalls]
    answers: Sequence[Answers]
    refused: Sequence[RefusedNow]


def _section(visit: Visit, destination: Destination, history: _History) -> DestinationSection:
    name, zone = destination.name, visit.site.zone
    mine = [each for each in history.calls if each.destination == name]
    shown = [each for each in mine if each.started_at >= history.since]
    timed = [each for each in mine if each.seconds and each.delivered + each.refused]
    latest = timed[-1] if timed else None
    reasons = [each for each in history.refused if each.destination == name]
    answers = [each for each in history.answers if each.destination == name]
    return DestinationSection(
        destination=destination,
        accepted=sum(each.delivered for each in mine if each.started_at >= visit.now - RANGES["24h"]),
        rate=(latest.delivered + latest.refused) / latest.seconds if latest and latest.seconds else None,
        rate_run=latest.run if latest else None,
        chart=bars(calls_columns(shown, zone, visit.now - history.since)),
        chart_words=_calls_words(shown),
        calls=shown[: -MOST_RUNS - 1 : -1],
        statuses=_status_lines(answers, history.since, visit.now, zone),
        reasons=[
            ReasonLine(
                reason=visit.site.masked(each.reason),
                http_status=each.http_status,
                calls=each.calls,
                since=each.since_at,
                remedy=remedy(each.reason, each.http_status),
            )
            for each in reasons[:MOST_REASONS]
        ],
        more_reasons=max(len(reasons) - MOST_REASONS, 0),
        has_answers=destination.type not in FILES,
        command=visit.site.command(to_paste("retry", "--destination", name)),
    )


def calls_columns(calls: Sequence[RunCalls], zone: ZoneInfo, span: timedelta) -> list[Column]:
    """A bar for each run; for more than ``MOST_RUNS`` runs a bar for each hour, or day, in the config's zone.

    ``span``: the time that is shown.
    """
    is_hourly = len(calls) > MOST_RUNS and span <= HOURLY
    if len(calls) <= MOST_RUNS:
        groups = [(f"Run {each.run}, {_moment(each.started_at, zone)}", [each]) for each in calls]
    else:
        groups = [
            (name, list(same)) for name, same in groupby(calls, lambda each: _bucket(each.started_at, span, zone))
        ]
    columns, before = list[Column](), ""
    for title, same in groups:
        accepted, refused = sum(each.delivered for each in same), sum(each.refused for each in same)
        pending = same[-1].pending  # a later run counts the pending calls of earlier ones again
        started = same[0].started_at
        label = f"{started.astimezone(zone):%H}:00" if is_hourly else formats.day(started, zone)
        words = [
            f"{accepted:,} accepted",
            f"{refused:,} refused" * bool(refused),
            f"{pending:,} pending" * bool(pending),
        ]
        parts = ((accepted, "ok"), (refused, "act"), (pending, "self"))
        columns.append(Column(parts, f"{title}: {', '.join(filter(None, words))}", label if label != before else ""))
        before = label
    return columns


def _calls_words(calls: Sequence[RunCalls]) -> str:
    """The chart in one sentence."""
    if not calls:
        return "No run sent calls in this time."
    accepted, refused = sum(each.delivered for each in calls), sum(each.refused for each in calls)
    runs = pluralize(len(calls), "run")
    rest = f"{formats.count(refused)} refused, {formats.count(calls[-1].pending)} pending after the last."
    return f"{runs}: {pluralize(accepted, 'call')} accepted, {rest}"


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return formats.moment(at, zone, at)


def _status_lines(answers: Sequence[Answers], since: datetime, now: datetime, zone: ZoneInfo) -> list[StatusLine]:
    """The kinds of answers, accepted first, each with bars by hour, or by day for a longer time."""
    buckets, order = _buckets(since, now, zone), list(_HUES)
    found = list[StatusLine]()
    groups: dict[tuple[str, int | None], list[Answers]] = {}
    for each in answers:
        groups.setdefault((each.status, each.http_status), []).append(each)
    for (status, code), same in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1] or 0)):
        counts = dict.fromkeys(buckets, 0)
        for each in same:
            key = _bucket(each.hour, now - since, zone)
            if key in counts:
                counts[key] += each.requests
        requests = sum(each.requests for each in same)
        timed = [(each.seconds, each.requests) for each in same if each.seconds is not None]
        found.append(
            StatusLine(
                word=str(code) if code else "none" if status == "no answer" else status,
                means=answer_meaning(status, code),
                svg=small_bars(
                    list(counts.values()),
                    _HUES[status],
                    [f"{key}: {pluralize(count, 'request')}" for key, count in counts.items()],
                ),
                requests=requests,
                seconds=sum(took * count for took, count in timed) / sum(count for _, count in timed)
                if timed
                else None,
            )
        )
    return found


def _bucket(at: datetime, span: timedelta, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%b} {local:%H}:00" if span <= HOURLY else f"{local.day} {local:%b}"


def _buckets(since: datetime, now: datetime, zone: ZoneInfo) -> Sequence[str]:
    """The names of the hours or days of a time, in order."""
    span, step = now - since, timedelta(hours=1)
    times = [min(since + step * index, now) for index in range(int(span / step) + 2)]
    return list(dict.fromkeys(_bucket(each, span, zone) for each in times))
