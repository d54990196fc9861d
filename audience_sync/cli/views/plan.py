"""Lay out a plan: the changes, the calls to each destination, and the command that would make them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from audience_sync.cli.base.layout import (
    INDENT,
    Column,
    Screen,
    command,
    fills_half,
    json_lines,
    printable,
    prose,
    table,
)
from audience_sync.cli.base.output import path_text
from audience_sync.cli.base.user_id_option import display_id
from audience_sync.cli.views.attention import held_block, invalid_lines, joined, waiting_and_frozen
from audience_sync.cli.views.http_exchange import ShownRequest, redact_request
from audience_sync.cli.views.run_details import Details
from audience_sync.cli.views.summary import notes, traits_lines
from audience_sync.model import AudienceStatus, IdentifyCall, PropertyKind
from audience_sync.redaction.secrets import mask_secrets
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview
from audience_sync.sync.values.change_set import AudienceResult, ChangeSet
from audience_sync.text import and_more, duration, form, listed, pluralize

#: The most traits, invalid rows and refused calls that are shown; `--json` has more.
MAX_LISTED = 5
#: Lines of a sample call and of a request on a terminal; `--json` has them whole.
CALL_LINES, REQUEST_LINES = 4, 6
AUDIENCES = (
    Column("audience"),
    Column("status", keep=True),
    Column("members", right=True, keep=True),
    Column("entered", right=True),
    Column("left", right=True),
    Column("share", right=True, lost=1),
    Column("invalid", right=True, lost=2),
)
DESTINATIONS = (
    Column("destination"),
    Column("calls", right=True, keep=True),
    Column("requests", right=True, keep=True),
    Column("time", right=True, keep=True, lost=2),
    Column("address", lost=1),
)


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What a plan shows in addition to its preview. ``saved_as``: the file of `--out`."""

    details: Details
    secrets: Sequence[str] = ()
    saved_as: str | None = None


def plan_json(found: RunPreview, secrets: Sequence[str]) -> dict[str, Any]:
    """The contract of ``plan --json`` (docs/commands/plan.md). ``secrets``: the config's."""
    document = found.as_json()
    for each, forecast in zip(document["destinations"], found.forecasts, strict=True):
        each["request"] = asdict(_request(forecast, secrets)) if forecast.samples else None
    return document


def plan_lines(found: RunPreview, shown: PlanContext, screen: Screen) -> list[str]:
    """All lines of the answer of ``plan``."""
    findings, details = found.findings, shown.details
    return joined(
        [
            prose(headline(found), screen),
            _audiences(findings.audiences, screen),
            traits_lines(findings.traits, screen, changed="would change"),
            _largest_traits(found, screen),
            _destinations(found.forecasts, screen),
            limits_lines(found.forecasts, screen),
            *_calls(found.forecasts, screen),
            *_requests(found.forecasts, shown.secrets, screen),
            *_refusals(found.forecasts, screen),
            notes(findings.audiences, findings.warnings, screen),
            *_failed(findings, details, screen),
            *(held_block(replace(each, run=None), details, screen) for each in details.held),
            *_held_suppressed_lists(findings, screen),
            *_waiting_and_frozen(found, details, screen),
            invalid_lines(findings.invalid_rows, screen, most=MAX_LISTED) if findings.invalid_rows else [],
            *_next_commands(found, shown, screen),
        ]
    )


def headline(found: RunPreview) -> str:
    """The outcome in one sentence, with counts."""
    findings = found.findings
    entered, left = (sum(getattr(each, name) for each in findings.audiences) for name in ("entered", "left"))
    changes = [
        f"{pluralize(count, 'user')} would {verb}" for count, verb in ((entered, "enter"), (left, "leave")) if count
    ]
    if not changes and findings.traits.changed:
        changes = [f"{pluralize(findings.traits.changed, 'user')} with changed traits"]
    calls, to = sum(each.calls for each in found.forecasts), sum(each.calls > 0 for each in found.forecasts)
    sends = f"{pluralize(calls, 'call')} to {pluralize(to, 'destination')}" if calls else "nothing to send"
    held = sum(each.status is AudienceStatus.HELD for each in findings.audiences)
    traits = len(findings.traits.held)
    failed = sum(each.status is AudienceStatus.FAILED for each in findings.audiences)
    trouble = [f"{pluralize(failed, 'audience')} could not be loaded"] if failed else []
    trouble += ["computed traits could not be loaded"] if findings.traits.errors else []
    trouble += [f"{pluralize(held, 'audience')} would be held"] if held else []
    trouble += [f"{pluralize(traits, 'computed trait')} would be held"] if traits else []
    return f"Plan: {', '.join([*trouble, *(changes or ['no changes']), sends])}. Nothing was changed."


def _audiences(audiences: Sequence[AudienceResult], screen: Screen) -> list[str]:
    none = "-" if any(_share(each) for each in audiences) else None
    rows = [
        (each.key, each.status.value, each.after, each.entered, each.left, _share(each) or none, each.invalid)
        for each in audiences
    ]
    return table(AUDIENCES, rows, screen, stack_if_narrow=True)


def _share(each: AudienceResult) -> str | None:
    """The share of the members before that would enter or leave."""
    moved = each.entered + each.left
    return f"{moved / each.before:.1%}" if moved and each.before else None


def _largest_traits(found: RunPreview, screen: Screen) -> list[str]:
    changes = [each for each in found.largest if each.kind is PropertyKind.COMPUTED_TRAIT]
    if not changes:
        return []
    names = [f"{each.key} {pluralize(each.users, 'user')}" for each in changes]
    return prose(f"Largest changes of computed traits: {listed(names, most=MAX_LISTED)}.", screen)


def _destinations(forecasts: Sequence[Forecast], screen: Screen) -> list[str]:
    shown = [each for each in forecasts if each.calls]
    rows = [(each.name, each.calls, each.requests, time_of(each), path_text(each.address)) for each in shown]
    none = [each.name for each in forecasts if not each.calls]
    lines = table(DESTINATIONS, rows, screen)
    if none:
        lines += prose(f"Destinations without calls: {', '.join(none)}.", screen)
    for each in forecasts:
        if each.withheld:
            lines += prose(f"{pluralize(each.withheld, 'suppressed user')} would be left out at {each.name}.", screen)
    return lines


def time_of(forecast: Forecast) -> str:
    """The time at the rate limits; `-` without a limit."""
    return "-" if forecast.longest is None else duration(forecast.longest)


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


def _calls(forecasts: Sequence[Forecast], screen: Screen) -> Iterator[list[str]]:
    """Lay out the first calls, once for all destinations that get the same."""
    groups: dict[tuple[tuple[str, str], ...], list[Forecast]] = {}
    for each in forecasts:
        if each.samples:
            groups.setdefault(tuple((call.user_id, call.traits_json) for call in each.samples), []).append(each)
    for group in groups.values():
        first = group[0]
        names = [each.name for each in group]
        same = f"the same for {_and(names)}"
        if len(first.samples) < first.calls:
            count = f", {len(first.samples)} of {first.calls:,}"
            title = f"Calls{count} ({same}):" if len(group) > 1 else f"Calls to {names[0]}{count}:"
        else:
            title = f"Calls ({same}):" if len(group) > 1 else f"Calls to {names[0]}:"
        yield [*prose(title, screen), *(text for call in first.samples for text in _call(call, screen))]


def _call(call: IdentifyCall, screen: Screen) -> list[str]:
    user = display_id(call.user_id)
    if fills_half(user, screen):
        return [INDENT + user, *json_lines(call.traits_json, screen, start=INDENT * 2, most=CALL_LINES)]
    start = f"{INDENT}{user}  "
    return json_lines(call.traits_json, screen, start=start, most=CALL_LINES)


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _requests(forecasts: Sequence[Forecast], secrets: Sequence[str], screen: Screen) -> Iterator[list[str]]:
    cut = False
    for each in forecasts:
        if not each.samples:
            continue
        lines, shortened = _request_lines(each, secrets, screen)
        cut = cut or shortened
        yield lines
    if cut:
        yield prose("All requests and headers: audience-sync plan --json", screen)


def _request_lines(each: Forecast, secrets: Sequence[str], screen: Screen) -> tuple[list[str], bool]:
    """The lines of the first request, and whether its end was left out."""
    request = _request(each, secrets)
    what = f"for the first {pluralize(each.in_request, 'call')}"
    if request.method is None:
        what = f"Line for {path_text(each.address)}" if each.in_request == 1 else f"Lines for {path_text(each.address)}"
        title = f"{what}:"
    else:
        title = f"First request to {each.name}{'' if each.in_request == 1 else f', {what}'}:"
    lines = prose(title, screen)
    if request.method:
        lines.append(f"{INDENT}{request.method} {request.url}")
    lines += [f"{INDENT}{name}: {value}" for name, value in (request.headers or {}).items()]
    body, shortened = list[str](), False
    for text in request.body.splitlines()[: len(request.body.splitlines()) if screen.width is None else 1]:
        laid = json_lines(printable_json(text), screen, start=INDENT, most=REQUEST_LINES)
        shortened = shortened or laid != json_lines(printable_json(text), screen, start=INDENT)
        body += laid
    shortened = shortened or (screen.width is not None and len(request.body.splitlines()) > 1)
    return [*lines, *body], shortened


def printable_json(text: str) -> str:
    """Escape the control characters of a JSON text."""
    return text if text.isprintable() else _escaped(text)


def _escaped(text: str) -> str:
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _refusals(forecasts: Sequence[Forecast], screen: Screen) -> Iterator[list[str]]:
    for each in forecasts:
        if each.refused:
            lines = prose(
                f"{pluralize(each.refused, 'call')} to {each.name} can't be sent, and would be refused:", screen
            )
            for user, why in list(each.refusals.items())[:MAX_LISTED]:
                lines += prose(f"{display_id(user)}: {printable(why)}", screen, indent=INDENT, hanging=INDENT * 2)
            yield [*lines, *and_more(each.refused - min(MAX_LISTED, len(each.refusals)), INDENT)]


def _request(forecast: Forecast, secrets: Sequence[str]) -> ShownRequest:
    """The first request without secrets."""
    if forecast.request is None:
        return ShownRequest(mask_secrets(forecast.body.decode("utf-8", "replace"), secrets))
    from audience_sync.destinations.http.transport import HEADERS

    return redact_request(forecast.request, {**HEADERS, **forecast.request.headers}, secrets)


def _failed(changes: ChangeSet, details: Details, screen: Screen) -> Iterator[list[str]]:
    from audience_sync.cli.views.attention import failure_blocks

    yield from failure_blocks(changes.audiences, changes.traits.errors, changes.errors, details, screen)


def _held_suppressed_lists(changes: ChangeSet, screen: Screen) -> Iterator[list[str]]:
    for text in changes.held:
        yield prose(f"Held: {text}", screen)


def _waiting_and_frozen(found: RunPreview, details: Details, screen: Screen) -> Iterator[list[str]]:
    """Lay out audiences that wait for their seed, which are not part of the plan, and frozen ones."""
    for each in found.findings.audiences:
        if each.status is AudienceStatus.WAITING:
            text = f"Waiting: {each.key} is not part of this plan (`initial: manual`)."
            yield [*prose(text, screen), command(f"audience-sync plan {each.key}")]
    frozen = [each for each in found.findings.audiences if each.status is AudienceStatus.FROZEN]
    yield from waiting_and_frozen(frozen, details, screen)


def _next_commands(found: RunPreview, shown: PlanContext, screen: Screen) -> Iterator[list[str]]:
    """The commands that would carry out the plan."""
    if shown.saved_as is not None:
        yield ["To do exactly this, or nothing:", command(f"audience-sync sync --plan {shown.saved_as}")]
        return
    for intro, text in found.steps:
        yield [*prose(intro, screen), command(text)]
    if found.does_something and screen.width is not None:
        exactly = [command(found.saving), command("audience-sync sync --plan plan.json")]
        yield [*prose("To do exactly this, or nothing:", screen), *exactly]
