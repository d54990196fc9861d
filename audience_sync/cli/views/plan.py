"""Lay out a plan: the changes, the calls to each destination, and the command that would make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from audience_sync.cli.base.layout import (
    INDENT,
    Column,
    Screen,
    advice,
    display_id,
    escape,
    fills_half,
    joined,
    json_lines,
    printable,
    prose,
    table,
)
from audience_sync.cli.views.attention import (
    failure_blocks,
    invalid_lines,
    refusal_lines,
    waiting_and_frozen,
)
from audience_sync.cli.views.holds import held_block
from audience_sync.cli.views.preview import forecast_table, limits_lines, withheld_lines
from audience_sync.cli.views.summary import mapping_lines, notes, traits_lines
from audience_sync.command_line import to_paste
from audience_sync.model import AudienceStatus, IdentifyCall, PropertyKind
from audience_sync.project.http_exchange import ShownRequest
from audience_sync.project.run_details import Details
from audience_sync.sync.preview.forecast import Forecast
from audience_sync.sync.preview.plan import RunPreview
from audience_sync.sync.values.findings import AudienceResult
from audience_sync.text import and_more, join_names, listed, path_text, pluralize

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


def plan_lines(
    found: RunPreview,
    details: Details,
    screen: Screen,
    *,
    requests: Mapping[str, ShownRequest],
    saved_as: Path | None = None,
) -> list[str]:
    """All lines of the answer of ``plan``. ``requests``: see ``Plan``. ``saved_as``: the file of `--out`."""
    findings, forecasts = found.findings, found.forecasts
    return joined(
        [
            prose(headline(found), screen),
            _audiences(findings.audiences, screen),
            traits_lines(findings.traits, screen, changed="would change"),
            _largest_traits(found, screen),
            mapping_lines(findings.mappings, screen),
            [*forecast_table(forecasts, screen), *withheld_lines(forecasts, screen)],
            limits_lines(forecasts, screen),
            *_calls(forecasts, screen),
            *_requests(forecasts, requests, screen),
            *_missing_fields(forecasts, screen),
            *_refusals(forecasts, screen),
            notes(findings.audiences, findings.messages, screen),
            *failure_blocks(findings.audiences, findings.traits.errors, findings.errors, details, screen),
            *(held_block(replace(each, run=None), details, screen) for each in details.held),
            *(prose(f"Held: {text}", screen) for text in findings.held),
            *_waiting_and_frozen(found, details, screen),
            invalid_lines(findings.invalid_rows, screen, most=MAX_LISTED) if findings.invalid_rows else [],
            *_next_commands(found, saved_as, screen),
        ]
    )


def headline(found: RunPreview) -> str:
    """The outcome in one sentence, with counts."""
    audiences, traits = found.findings.audiences, found.findings.traits
    counts = {status: sum(each.status is status for each in audiences) for status in AudienceStatus}
    mappings = sum(each.held is not None for each in found.findings.mappings)
    entered, left = (sum(getattr(each, name) for each in audiences) for name in ("entered", "left"))
    calls, to = sum(each.calls for each in found.forecasts), sum(each.calls > 0 for each in found.forecasts)
    troubles = (
        (counts[AudienceStatus.FAILED], f"{pluralize(counts[AudienceStatus.FAILED], 'audience')} could not be loaded"),
        (traits.errors, "computed traits could not be loaded"),
        (counts[AudienceStatus.HELD], f"{pluralize(counts[AudienceStatus.HELD], 'audience')} would be held"),
        (traits.held, f"{pluralize(len(traits.held), 'computed trait')} would be held"),
        (mappings, f"{pluralize(mappings, 'mapping')} would be held"),
    )
    moves = ((entered, f"{pluralize(entered, 'user')} would enter"), (left, f"{pluralize(left, 'user')} would leave"))
    changes = [text for count, text in moves if count]
    if not changes:
        changes = [f"{pluralize(traits.changed, 'user')} with changed traits" if traits.changed else "no changes"]
    sends = f"{pluralize(calls, 'call')} to {pluralize(to, 'destination')}" if calls else "nothing to send"
    return f"Plan: {', '.join([*(text for is_so, text in troubles if is_so), *changes, sends])}. Nothing was changed."


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
    names = [f"{each.key} {pluralize(each.users, 'user')}" for each in changes]
    return prose(f"Largest changes of computed traits: {listed(names, most=MAX_LISTED)}.", screen) if names else []


def _calls(forecasts: Sequence[Forecast], screen: Screen) -> Iterator[list[str]]:
    """Lay out the first calls, once for all destinations that get the same."""
    groups: dict[tuple[tuple[str, str], ...], list[Forecast]] = {}
    for each in forecasts:
        if each.samples:
            groups.setdefault(tuple((call.user_id, call.traits_json) for call in each.samples), []).append(each)
    for first, *others in groups.values():
        names = [each.name for each in (first, *others)]
        count = f", {len(first.samples)} of {first.calls:,}" if len(first.samples) < first.calls else ""
        title = f"Calls{count} (the same for {join_names(names)}):" if others else f"Calls to {first.name}{count}:"
        yield [*prose(title, screen), *(text for call in first.samples for text in _call(call, screen))]


def _call(call: IdentifyCall, screen: Screen) -> list[str]:
    user = display_id(call.user_id)
    if fills_half(user, screen):
        return [INDENT + user, *json_lines(call.traits_json, screen, start=INDENT * 2, most=CALL_LINES)]
    return json_lines(call.traits_json, screen, start=f"{INDENT}{user}  ", most=CALL_LINES)


def _requests(
    forecasts: Sequence[Forecast], requests: Mapping[str, ShownRequest], screen: Screen
) -> Iterator[list[str]]:
    shown = [_request_lines(each, requests[each.name], screen) for each in forecasts if each.samples]
    yield from (lines for lines, _ in shown)
    if any(is_cut for _, is_cut in shown):
        yield prose("All requests and headers: audience-sync plan --json", screen)


def _request_lines(each: Forecast, request: ShownRequest, screen: Screen) -> tuple[list[str], bool]:
    """The lines of the first request, and whether its end was left out."""
    if request.method is None:
        title = f"{'Line' if each.in_request == 1 else 'Lines'} for {path_text(each.address)}:"
        start = []
    else:
        many = "" if each.in_request == 1 else f", for the first {pluralize(each.in_request, 'call')}"
        title = f"First request to {each.name}{many}:"
        start = [f"{INDENT}{request.method} {request.url}"]
    headers = [f"{INDENT}{name}: {value}" for name, value in (request.headers or {}).items()]
    texts = [escape(text) for text in request.body.splitlines()]
    shown = texts if screen.width is None else texts[:1]
    whole = [line for text in shown for line in json_lines(text, screen, start=INDENT)]
    body = [line for text in shown for line in json_lines(text, screen, start=INDENT, most=REQUEST_LINES)]
    return [*prose(title, screen), *start, *headers, *body], len(shown) < len(texts) or body != whole


def _refusals(forecasts: Sequence[Forecast], screen: Screen) -> Iterator[list[str]]:
    for each in forecasts:
        if each.refused:
            fact = f"{pluralize(each.refused, 'call')} to {each.name} can't be sent, and would be refused:"
            yield [*prose(fact, screen), *_refused_calls(each, screen)]


def _refused_calls(forecast: Forecast, screen: Screen) -> list[str]:
    """Lay out few refused calls by user, and many by reason."""
    if forecast.refused <= MAX_LISTED:
        shown = [f"{display_id(user)}: {_reason(why)}" for user, why in forecast.refusals.items()]
        return [line for text in shown for line in prose(text, screen, indent=INDENT, hanging=INDENT * 2)]
    reasons = sorted(forecast.reasons.items(), key=lambda item: -item[1].calls)[:MAX_LISTED]
    found = [
        (count.calls, _reason(why), listed([printable(user) for user in count.users], count=count.calls))
        for why, count in reasons
    ]
    return [
        *refusal_lines(found, screen),
        *and_more(forecast.refused - sum(count.calls for _, count in reasons), INDENT),
    ]


def _reason(text: str) -> str:
    """A reason of a call that is not sent yet."""
    return printable(text).replace("The rest was sent, without", "The rest would be sent, without")


def _missing_fields(forecasts: Sequence[Forecast], screen: Screen) -> Iterator[list[str]]:
    """Lay out the fields that a destination lacks, and what a run would do about it."""
    for each in forecasts:
        if each.fields_problem:
            yield prose(f"{each.name}: {printable(each.fields_problem)}. A run would send it nothing.", screen)
        elif each.missing_fields and each.creates_fields:
            yield prose(f"A run would create these fields at {each.name}: {', '.join(each.missing_fields)}.", screen)
        elif each.missing_fields:
            text = (
                f"These fields do not exist at {each.name}: {', '.join(each.missing_fields)}. A run would send it "
                f"nothing. Create them there, or set `destinations.{each.name}.create_fields: true`."
            )
            yield prose(text, screen)


def _waiting_and_frozen(found: RunPreview, details: Details, screen: Screen) -> Iterator[list[str]]:
    """Lay out audiences that wait for their seed, which are not part of the plan, and frozen ones."""
    for each in found.findings.audiences:
        if each.status is AudienceStatus.WAITING:
            text = f"Waiting: {each.key} is not part of this plan (`initial: manual`)."
            yield advice(text, f"audience-sync plan {each.key}", screen=screen)
    frozen = [each for each in found.findings.audiences if each.status is AudienceStatus.FROZEN]
    yield from waiting_and_frozen(frozen, details, screen)


def _next_commands(found: RunPreview, saved_as: Path | None, screen: Screen) -> Iterator[list[str]]:
    """The commands that would carry out the plan."""
    exactly = "To do exactly this, or nothing:"
    if saved_as is not None:
        yield advice(exactly, to_paste("sync", "--plan", saved_as), screen=screen)
        return
    for intro, text in found.steps:
        yield advice(intro, text, screen=screen)
    if found.does_something and screen.width is not None:
        yield advice(exactly, found.saving, "audience-sync sync --plan plan.json", screen=screen)
