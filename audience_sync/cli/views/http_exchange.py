"""Lay out one real call: its verdict, the request and the answer."""

from __future__ import annotations

from audience_sync.cli.base.layout import INDENT, Screen, display_id, joined, prose
from audience_sync.destinations.base import Meaning
from audience_sync.project.http_exchange import LiveCall

VERDICTS = {
    Meaning.DELIVERED: "Delivered",
    Meaning.REFUSED: "Refused",
    Meaning.RETRY: "Not delivered; a run would try again",
    Meaning.SLOW_DOWN: "Not delivered; a run would wait and try again",
    Meaning.STOP: "Stopped: no call is accepted until this is corrected",
}


def live_call_lines(call: LiveCall, destination: str, user_id: str, screen: Screen, *, is_default: bool) -> list[str]:
    """Lay out the verdict, the request and its response. ``is_default``: the call has the default trait."""
    verdict, reason = VERDICTS[call.judgement.meaning], call.judgement.reason
    first = prose(f"{verdict}: {reason}." if reason else f"{verdict}.", screen)
    first += prose(f"One real call to {destination}, for user {display_id(user_id)}.", screen)
    if is_default:
        first += prose("It sends the trait audience_sync_test: true. For others: --trait KEY=JSON", screen)
    request, response, further = list[str](), list[str](), list[str]()
    if call.request is not None:  # not wrapped, so that it can be compared and pasted
        request = ["Request:", f"  {call.request.method} {call.request.url}"] if call.request.method else ["Written:"]
        headers = [f"  {name}: {value}" for name, value in (call.request.headers or {}).items()]
        request += [*headers, *([""] if headers else []), *(f"  {text}" for text in call.request.body.splitlines())]
    if call.response is not None:
        response = [f"Response after {call.seconds:.2f} s:", f"  HTTP {call.response.status}"]
        for part in (call.response.body or "(no body)").splitlines():
            response += prose(part, screen, indent=INDENT)
        if call.judgement.meaning is Meaning.DELIVERED:
            where = "Now look for the user there: some services accept calls with a wrong key, and drop them."
            further = prose(where, screen)
    return joined([first, request, response, further])
