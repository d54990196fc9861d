"""Answer the next requests otherwise: with an error, slowly, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from audience_sync.sandbox.receive import connect, tracking
from audience_sync.sandbox.values import Answer, Outcome, Reading, Service
from audience_sync.web.errors import WrongQueryError

#: Values of ``answer``: statuses, and words that are not statuses.
ACCEPT, SLOW, TIMEOUT, CLOSE = "200", "slow", "timeout", "close"
STATUSES = {
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "503": "Service Unavailable",
    "400": "Bad Request",
    "401": "Unauthorized",
}
MOST_REQUESTS, MOST_SECONDS = 1_000_000, 600.0
#: Seconds that ``slow`` and ``timeout`` wait, and what a 429 asks for, unless the plan names others.
SLOW_SECONDS, TIMEOUT_SECONDS, RETRY_AFTER = 2.0, 60.0, 1


class How(StrEnum):
    """What is done before or in place of an answer."""

    ANSWER = "answer"
    WAIT = "wait"
    SILENCE = "silence"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the next requests are answered. ``destination``: one of them; empty: all.

    ``requests``: how many still; None: until it is changed. ``share``: percent of the requests. ``user``: only requests
    that have this user.
    """

    answer: str = ACCEPT
    destination: str = ""
    requests: int | None = 10
    share: int = 100
    seconds: float = SLOW_SECONDS
    retry_after: int | None = None
    user: str = ""

    @property
    def how(self) -> How:
        return {SLOW: How.WAIT, TIMEOUT: How.SILENCE, CLOSE: How.CLOSE}.get(self.answer, How.ANSWER)

    @property
    def is_status(self) -> bool:
        return self.how is How.ANSWER

    def words(self) -> str:
        """``429 for the next 10 requests of segment``: for the page and the log."""
        what = {
            SLOW: f"200 after {self.seconds:g} s",
            TIMEOUT: f"no answer for {self.seconds:g} s",
            CLOSE: "a closed connection",
        }.get(self.answer, self.answer)
        if self.requests is None:
            which = "every request"
        else:
            which = "the next request" if self.requests == 1 else f"the next {self.requests:,} requests"
        share = f"{self.share}% of " if self.share < 100 else ""
        where = f" of {self.destination}" if self.destination else ""
        user = f" with the user {self.user}" if self.user else ""
        return f"{what} for {share}{which}{where}{user}"


def read_plan(fields: Mapping[str, str]) -> Plan:
    """Read the fields of the form, or of a curl command. Raises WrongQueryError with what is valid."""
    answer = fields.get("answer", ACCEPT).strip()
    known = (ACCEPT, *STATUSES, SLOW, TIMEOUT, CLOSE)
    if answer not in known and not re.fullmatch(r"[45]\d\d", answer, re.ASCII):
        raise WrongQueryError(
            f"`answer` is {answer!r}: it has to be {', '.join(known)} or another status from 400 to 599."
        )
    requests = fields.get("requests", "").strip() or "10"
    default = TIMEOUT_SECONDS if answer == TIMEOUT else SLOW_SECONDS
    return Plan(
        answer=answer,
        destination=fields.get("destination", "").strip(),
        requests=None if requests == "all" else _number("requests", requests, 1, MOST_REQUESTS),
        share=_number("share", fields.get("share", "").strip() or "100", 1, 100),
        seconds=_seconds(fields.get("seconds", "").strip(), default),
        retry_after=_number("retry_after", text, 0, 3_600) if (text := fields.get("retry_after", "").strip()) else None,
        user=fields.get("user", ""),
    )


def choose(plans: Mapping[str, Plan], reading: Reading, random: Callable[[], float]) -> Plan | None:
    """Return the plan for a request: its destination's own before that for all. ``random``: from 0 to 1."""
    for place in (reading.destination, ""):
        plan = plans.get(place)
        if plan is None or (plan.user and all(call.user_id != plan.user for call in reading.calls)):
            continue
        if plan.share < 100 and random() * 100 >= plan.share:
            continue
        return plan
    return None


def planned_answer(plan: Plan, reading: Reading) -> Answer:
    """Return the answer of a plan in the service's own words. Other plans leave the service's answer."""
    if not plan.is_status or plan.answer == ACCEPT:
        return reading.answer
    status = int(plan.answer)
    text = STATUSES.get(plan.answer, "Error")
    headers = {}
    if status in (429, 503) and (
        plan.retry_after is not None or (status == 429 and reading.service is not Service.RUDDERSTACK)
    ):
        wait = str(RETRY_AFTER if plan.retry_after is None else plan.retry_after)
        headers = {"Retry-After": wait}
        if reading.service is Service.SEGMENT and status == 429:
            headers["X-RateLimit-Reset"] = wait
    match reading.service:
        case Service.CONNECT:
            found = connect.error(status, text)
        case Service.WEBHOOK:
            found = Answer(status, b'{"error": "' + text.encode() + b'"}')
        case Service.RUDDERSTACK:
            found = tracking.plain(status, _RUDDERSTACK.get(status, text))
        case Service.SEGMENT:
            found = Answer(status, text.encode(), "text/plain; charset=utf-8")
    return Answer(found.status, found.body, found.content_type, headers)


_RUDDERSTACK = {429: "max requests limit reached", 401: "invalid write key", 400: "invalid json"}


def outcome_of(status: int) -> Outcome:
    """Return what an answer means for the calls of its request."""
    if 200 <= status < 300:
        return Outcome.ACCEPTED
    if status == 429:
        return Outcome.SLOW_DOWN
    return Outcome.FAILED if status >= 500 else Outcome.REFUSED


def _number(name: str, text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise WrongQueryError(f"`{name}` is {text!r}: it has to be a number from {least} to {most:,}.")
    return int(text)


def _seconds(text: str, default: float) -> float:
    if not text:
        return default
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found <= MOST_SECONDS:
        raise WrongQueryError(f"`seconds` is {text!r}: it has to be a number from 0 to {MOST_SECONDS:g}.")
    return found
