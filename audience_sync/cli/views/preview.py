"""Lay out what a run would send: tables of destinations, and the previews of ``undo`` and ``retire``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from audience_sync.cli.base.layout import PIPE, Column, Screen, prose, table, width_of
from audience_sync.cli.views.summary import notes
from audience_sync.project.values import Plan
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview, Sends
from audience_sync.text import duration, form, path_text, pluralize

_COLUMNS = (
    Column("destination"),
    Column("calls", right=True, keep=True),
    Column("requests", right=True, keep=True),
    Column("time", right=True, keep=True, lost=2),
    Column("address", lost=1),
)


def undo_preview(plan: Plan, screen: Screen, *, run: int) -> Iterator[Sequence[str]]:
    """Show which changes would be reversed, and what would be sent."""
    found, which = plan.preview, plan.undone
    audiences, traits = found.findings.audiences, found.findings.traits
    changes = sum(each.entered + each.left for each in audiences) + traits.changed
    of = f" ({which[0]}, {which[1]:%Y-%m-%d %H:%M} UTC)" if which else ""
    yield prose(f"Undo run {run}{of}: reverses {pluralize(changes, 'change')}.", screen)
    true_to, false_to = (Column(f"{value} to", right=True, keep=True) for value in ("true", "false"))
    rows = [(each.key, each.entered, each.left) for each in audiences]
    yield table((Column("audience"), true_to, false_to), rows, screen, stack_if_narrow=True)
    if traits.changed:
        yield prose(f"Computed traits: {pluralize(traits.changed, 'user')} would get their earlier values.", screen)
    yield forecast_table(found.forecasts, screen)
    yield withheld_lines(found.forecasts, screen)
    yield notes((), found.findings.messages, screen)


def retire_preview(plan: Plan, screen: Screen, *, key: str) -> Iterator[Sequence[str]]:
    """Show what would be sent to how many users, and what closing the key means."""
    found = plan.preview
    own = {name: [one for one in each if one.key == key] for name, each in found.sends.items()}
    sends = [one for each in own.values() for one in each]
    values = " and ".join(dict.fromkeys(one.value for one in sends))
    users = max((sum(one.users for one in each) for each in own.values()), default=0)
    what = f"sends {values} to {pluralize(users, 'user')}" if sends else "sends nothing"
    closes = bool(found.retired)
    closing = " and closes the key for good" if closes else "; the key is closed already"
    yield prose(f"Retire {key}: {what}{closing}.", screen)
    yield sends_table(found, screen, key=key)
    yield withheld_lines(found.forecasts, screen)
    closed = prose(f"No audience or trait can use the key {key} again.", screen) if closes else []
    yield [*closed, *notes((), found.findings.messages, screen)]


def forecast_table(forecasts: Sequence[Forecast], screen: Screen, *, addresses: bool = True) -> list[str]:
    """Lay out calls, requests and time of each destination with calls."""
    columns = _COLUMNS if addresses else _COLUMNS[:-1]
    rows = [(*_cells(each), path_text(each.address))[: len(columns)] for each in forecasts if each.calls]
    return [*table(columns, rows, screen), *_idle_destinations(forecasts, screen)]


def _cells(each: Forecast) -> tuple[object, ...]:
    time = "-" if each.longest is None else duration(each.longest)  # at the rate limits; `-` without a limit
    return each.name, each.calls, each.requests, time


def _idle_destinations(forecasts: Sequence[Forecast], screen: Screen) -> list[str]:
    idle = [each.name for each in forecasts if not each.calls]
    return prose(f"Destinations without calls: {', '.join(idle)}.", screen) if idle else []


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
        lines = table(_COLUMNS[:-1], [_cells(each) for each in shown], screen, notes=notes)
    others = {one.key for each in shown for one in found.sends.get(each.name, ())} - {key} if key else set()
    if others:
        lines += prose(f"Pending calls of {', '.join(sorted(others))} are sent, too.", screen)
    return [*lines, *_idle_destinations(found.forecasts, screen)]


def _sends_column_table(
    forecasts: Sequence[Forecast], sends: Mapping[str, Sequence[Sends]], screen: Screen
) -> list[str]:
    rows = list[Sequence[object]]()
    for each in forecasts:
        texts = [_send_text(one, counted=len(sends[each.name]) > 1) for one in sends[each.name]]
        rows.append((*_cells(each), texts[0] if texts else ""))
        rows += [("", None, None, "", text) for text in texts[1:]]
    return table((*_COLUMNS[:-1], Column("sends")), rows, screen)


def _send_text(one: Sends, *, counted: bool) -> str:
    return f"{one.key} {one.value}{f' to {one.users:,}' if counted else ''}"


def withheld_lines(forecasts: Sequence[Forecast], screen: Screen) -> list[str]:
    texts = [
        f"{pluralize(each.withheld, 'suppressed user')} would be left out at {each.name}."
        for each in forecasts
        if each.withheld
    ]
    return [line for text in texts for line in prose(text, screen)]


def limits_lines(forecasts: Sequence[Forecast], screen: Screen) -> list[str]:
    """The limits that the times assume."""
    lines = list[str]()
    for each in forecasts:
        limits = [(each.rate_limit, "request", "`rate_limit`"), (each.rate, "user", "`--rate`")]
        texts = [f"{_rate_text(rate, what)} ({where})" for rate, what, where in limits if rate]
        if each.calls and texts:
            lines += prose(f"Limits of {each.name}: {', '.join(texts)}.", screen)
    return lines


def _rate_text(rate: float, what: str) -> str:
    seconds, unit = (1, "a second") if rate >= 1 else (60, "a minute") if rate * 60 >= 1 else (3600, "an hour")
    count = round(rate * seconds, 3)
    return f"{count:,.6g} {form(1 if count == 1 else 2, what)} {unit}"
