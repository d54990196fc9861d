"""Make the lanes of one user: every property over time, and the requests to each destination."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from audience_sync.dashboard.charts.lanes import Band, Dot, Span, lane_svg
from audience_sync.history.explain.calls import CallOutcome
from audience_sync.history.explain.explain import DestinationView, Explanation
from audience_sync.history.explain.value_history import FALSE, TRUE, UNKNOWN, ValueChange, ValueHistory
from audience_sync.model import ALIAS_KEY, PropertyKind

#: Requests in a lane, the newest.
MOST_DOTS = 400
#: Characters of a value in a cell.
LONGEST_VALUE = 200
#: The outcome of a call in the words of the pages: word, hue, icon.
OUTCOMES = {
    CallOutcome.DELIVERED: ("accepted", "ok", ""),
    CallOutcome.REFUSED: ("refused", "act", "refused"),
    CallOutcome.WITHHELD: ("withheld", "", "same"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A row of the picture. ``value``: now; of requests the last outcome. ``since``: of the value or the request."""

    key: str
    svg: Markup
    value: str
    is_true: bool
    since: datetime | None
    run: int | None


def audiences_of(found: Explanation) -> list[ValueHistory]:
    """The audiences that the user ever was in, the present ones first."""
    ever = [each for each in _of_kind(found, PropertyKind.AUDIENCE) if each.was_ever_present]
    return sorted(ever, key=lambda each: (not each.is_present, each.definition.key))


def never_in(found: Explanation) -> list[str]:
    """The keys of the audiences that the user never was in."""
    return [each.definition.key for each in _of_kind(found, PropertyKind.AUDIENCE) if not each.was_ever_present]


def traits_of(found: Explanation) -> list[ValueHistory]:
    """The computed traits of which the user ever had a value."""
    traits = _of_kind(found, PropertyKind.COMPUTED_TRAIT)
    return [each for each in traits if each.was_ever_present and each.definition.key != ALIAS_KEY]


def _of_kind(found: Explanation, kind: PropertyKind) -> list[ValueHistory]:
    return [each for each in found.versions.values() if each.definition.kind is kind]


def first_time(found: Explanation) -> datetime:
    """The time of the first value or request; of an explanation without any the explained moment."""
    times = [found.times[each.first.run] for each in found.versions.values() if each.was_ever_present]
    times += [call.request.answered_at for view in found.destinations for call in view.replay.calls]
    return min([*times, found.at])


def span_of(found: Explanation) -> Span:
    """The time of the lanes: an hour at least, with room for the first dot."""
    start = min(first_time(found), found.at - timedelta(hours=1))
    return Span(start - (found.at - start) * 0.012, found.at)


def audience_lane(found: Explanation, versions: ValueHistory, span: Span, zone: ZoneInfo) -> Lane:
    """Draw a membership: filled where it was true, a line where it was false, empty before the first value."""
    changes = [each for each in (versions.first, *versions.changes) if each.value is not None]
    bands = list[Band]()
    for each, following in zip(changes, [*changes[1:], None], strict=True):
        end = found.times[following.run] if following is not None else span.end
        if each.value in (TRUE, FALSE):
            title = f"{each.value} from run {each.run}"
            bands.append(Band(found.times[each.run], end, each.value == TRUE, title))
    now = versions.latest
    return Lane(
        key=versions.definition.key,
        svg=lane_svg(span, zone, bands),
        value=value_text(now),
        is_true=now.value == TRUE,
        since=found.times[now.run],
        run=now.run,
    )


def trait_lane(found: Explanation, versions: ValueHistory, span: Span, zone: ZoneInfo) -> Lane:
    """Draw a computed trait: a line from its first value, with a tick at each change."""
    changes = [
        each for each in (versions.first, *versions.changes) if each.value is not None or each is versions.latest
    ]
    dots = [Dot(found.times[each.run], "", f"changed by run {each.run}") for each in changes]
    now = versions.latest
    return Lane(
        key=versions.definition.key,
        svg=lane_svg(span, zone, (), dots[-MOST_DOTS:], line=found.times[changes[0].run] if changes else None),
        value=value_text(now),
        is_true=False,
        since=found.times[now.run],
        run=now.run,
    )


def request_lane(view: DestinationView, span: Span, zone: ZoneInfo) -> Lane:
    """Draw the requests about the user to a destination: dots, and a symbol for what was not accepted."""
    calls = view.replay.calls
    dots = [_dot(call.request.answered_at, call.outcome, call.request.run) for call in calls[-MOST_DOTS:]]
    last = calls[-1] if calls else None
    return Lane(
        key=view.name,
        svg=lane_svg(span, zone, (), dots),
        value=OUTCOMES[last.outcome][0] if last is not None else "",
        is_true=False,
        since=last.request.answered_at if last is not None else None,
        run=last.request.run if last is not None else None,
    )


def _dot(at: datetime, outcome: CallOutcome, run: int) -> Dot:
    word, hue, icon = OUTCOMES[outcome]
    return Dot(at, hue, f"{word} in run {run}", icon)


def previous_ids(found: Explanation) -> tuple[Sequence[str], ValueChange | None]:
    """The previous ids of the user, and the change that added the last of them."""
    aliases = found.versions.get(ALIAS_KEY)
    if aliases is None or aliases.latest.value in (None, UNKNOWN):
        return [], None
    return list(_texts(json.loads(aliases.latest.value or "[]"))), aliases.latest


def _texts(values: object) -> Iterable[str]:
    return (each for each in values if isinstance(each, str)) if isinstance(values, list) else ()


def value_text(change: ValueChange) -> str:
    """Write a value: JSON, but a text that differs from every number, list and word of JSON without its quotes."""
    if change.value == UNKNOWN:
        return "not stored"
    if change.value is None:
        return "no value"
    text = change.value
    if text.startswith('"'):
        plain = _plain(text)
        text = plain if plain and plain == plain.strip() and not _looks_like_json(plain) else text
    more = len(text) - LONGEST_VALUE
    return f"{text[:LONGEST_VALUE]} … and {more:,} more characters" if more > 0 else text


def _plain(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    return found if isinstance(found, str) else ""


def _looks_like_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
