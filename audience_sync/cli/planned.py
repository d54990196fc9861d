"""How is a plan shown? What would change, what each destination would be sent, and what would be refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from audience_sync.cli.output import line, path_text, sample
from audience_sync.cli.shown import ShownRequest, shown_request
from audience_sync.cli.summary import absent, held_out, of_the_whole_run, print_audiences, problems
from audience_sync.config.secrets import masked
from audience_sync.model import PropertyKind
from audience_sync.sync.findings import Findings
from audience_sync.sync.forecast import Forecast
from audience_sync.sync.largest import Change
from audience_sync.sync.plan import Plan
from audience_sync.wording import plural

#: The largest changes, rejected rows and refused calls that are shown; `--json` has more.
MOST = 5


def plan_json(found: Plan, secrets: Sequence[str]) -> dict[str, Any]:
    """The contract of ``plan --json`` (docs/commands/plan.md). ``secrets``: the config's."""
    document = found.as_json()
    for each, forecast in zip(document["destinations"], found.forecasts, strict=True):
        each["request"] = asdict(_request(forecast, secrets)) if forecast.samples else None
    return document


def print_plan(found: Plan, secrets: Sequence[str], command: str) -> None:
    """``command``: what does it."""
    findings = found.findings
    print_audiences(findings.audiences)
    line(f"Computed traits: {plural(findings.traits.users, 'user')}, {findings.traits.changed:,} with changes.")
    _print_largest("audiences", [each for each in found.largest if each.kind is PropertyKind.AUDIENCE])
    _print_largest("computed traits", [each for each in found.largest if each.kind is PropertyKind.COMPUTED_TRAIT])
    for forecast in found.forecasts:
        _print_forecast(forecast, secrets)
    said = (
        *absent(findings.audiences),
        *held_out(findings.audiences),
        *findings.warnings,
        *problems(findings.audiences, findings.traits),
    )
    for text in (*_rejected(findings), *said, *of_the_whole_run(findings.errors, findings.held)):
        line(text)
    line(f"Nothing was changed or sent. To do it: {command}")


def _print_largest(kind: str, changes: Sequence[Change]) -> None:
    if changes:
        shown = ", ".join(f"{each.key} {plural(each.users, 'user')}{_share(each)}" for each in changes[:MOST])
        more = f", and {len(changes) - MOST:,} more" if len(changes) > MOST else ""
        line(f"Largest changes of {kind}: {shown}{more}.")


def _share(change: Change) -> str:
    return "" if change.share is None else f" ({change.share:.1%} of its members)"


def forecast_line(forecast: Forecast) -> str:
    """How many calls a destination would be sent, and where they would go."""
    if not forecast.calls:
        return f"{forecast.name}: nothing to send.{_withheld(forecast)}"
    requests = plural(forecast.requests, "request")
    time = "" if forecast.seconds is None else f", {_duration(forecast.seconds)} at its rate limit"
    calls, address = plural(forecast.calls, "identify call"), path_text(forecast.address)
    return f"{forecast.name}: {calls} to {address}, in {requests}{time}.{_withheld(forecast)}"


def _print_forecast(forecast: Forecast, secrets: Sequence[str]) -> None:
    line(forecast_line(forecast) + (" Such as:" if forecast.samples else ""))
    if not forecast.calls:
        return
    for call in forecast.samples:
        sample(f"  {call.user_id}  {call.traits_json}")
    if forecast.samples:
        _print_request(_request(forecast, secrets), forecast.in_request)
    if forecast.refused:
        line(f"{plural(forecast.refused, 'call')} of these can never be sent, and would be refused:")
        for user, why in list(forecast.refusals.items())[:MOST]:
            sample(f"  {user}: {why}")


def _withheld(forecast: Forecast) -> str:
    return f" {plural(forecast.withheld, 'suppressed user')} left out." if forecast.withheld else ""


def _request(forecast: Forecast, secrets: Sequence[str]) -> ShownRequest:
    """As it would go out, without secrets."""
    if forecast.request is None:
        return ShownRequest(masked(forecast.body.decode("utf-8", "replace"), secrets))
    from audience_sync.destinations.http import HEADERS

    return shown_request(forecast.request, {**HEADERS, **forecast.request.headers}, secrets)


def _print_request(request: ShownRequest, calls: int) -> None:
    what = "the first of these" if calls == 1 else f"the first {calls} of these"
    line(f"The request for {what}:" if request.method else f"Written for {what}:")
    if request.method:
        line(f"  {request.method} {request.url}")
    for name, value in (request.headers or {}).items():
        line(f"  {name}: {value}")
    for text in request.body.splitlines():
        sample(f"  {text}")


def _rejected(findings: Findings) -> Iterator[str]:
    rows = findings.rejected
    if rows:
        yield f"{plural(len(rows), 'row')} can't be used, and would be left out:"
    for each in rows[:MOST]:
        yield f"  {each.file}, row {each.row}: {each.reason}"
    if len(rows) > MOST:
        yield f"  ... and {len(rows) - MOST:,} more"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if not hours else ""]
    return " ".join(part for part in parts if part)
