"""Answer the next requests otherwise: with an error, slowly, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from audience_sync.sandbox.fields import number_of
from audience_sync.sandbox.receive import connect, tracking, webhook
from audience_sync.sandbox.values import Answer, Outcome, Reading, Request, Service
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
    retry_after = fields.get("retry_after", "").strip()
    return Plan(
        answer=answer,
        destination=fields.get("destination", "").strip(),
        requests=None if requests == "all" else number_of("requests", requests, 1, MOST_REQUESTS),
        share=number_of("share", fields.get("share", "").strip() or "100", 1, 100),
        seconds=_seconds(fields.get("seconds", "").strip(), default),
        retry_after=number_of("retry_after", retry_after, 0, 3_600) if retry_after else None,
        user=fields.get("user", ""),
    )


def planned_answer(plan: Plan | None, reading: Reading) -> Answer:
    """Return the answer to a request: that of the service, or an error of the plan in the service's own words."""
    if plan is None or plan.answer in (SLOW, TIMEOUT, CLOSE):
        return reading.answer
    status = int(plan.answer)
    text = STATUSES.get(plan.answer, "Error")
    match reading.service:
        case Service.CONNECT:
            found = connect.error(status, text)
        case Service.WEBHOOK:
            found = webhook.error(status, text)
        case Service.RUDDERSTACK:
            found = tracking.plain(status, _RUDDERSTACK.get(status, text))
        case Service.SEGMENT:
            found = Answer(status, text.encode(), "text/plain; charset=utf-8")
    return replace(found, headers=_wait_headers(plan, status, reading.service))


_RUDDERSTACK = {429: "max requests limit reached", 401: "invalid write key", 400: "invalid json"}


def _wait_headers(plan: Plan, status: int, service: Service) -> dict[str, str]:
    """Return how long the client should wait: a 429 has that at each service but RudderStack."""
    seconds = plan.retry_after
    if seconds is None and status == 429 and service is not Service.RUDDERSTACK:
        seconds = RETRY_AFTER
    if seconds is None or status not in (429, 503):
        return {}
    more = {"X-RateLimit-Reset": str(seconds)} if status == 429 and service is Service.SEGMENT else {}
    return {"Retry-After": str(seconds), **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request that came, as its service reads it, with its answer. ``plan``: the one that chose the answer, if any.

    ``at``: seconds since 1970. ``seconds``: how long it was worked on.
    """

    request: Request
    reading: Reading
    answer: Answer
    at: float
    plan: Plan | None = None
    seconds: float = 0

    @property
    def wait(self) -> float:
        """Seconds until the answer is sent, or the connection is closed."""
        return self.plan.seconds if self.plan and self.plan.answer in (SLOW, TIMEOUT) else 0

    @property
    def sent(self) -> Answer | None:
        """The answer; None if the connection is closed in its place."""
        return None if self.plan and self.plan.answer in (TIMEOUT, CLOSE) else self.answer

    @property
    def outcome(self) -> Outcome:
        """What became of the calls of the request that are usable."""
        if self.sent:
            return outcome_of(self.sent.status)
        is_accepted = self.plan and self.plan.answer == CLOSE and self.answer.is_success
        return Outcome.CUT_OFF if is_accepted else Outcome.NO_ANSWER

    @property
    def is_applied(self) -> bool:
        """Whether usable calls change their users."""
        return self.outcome in (Outcome.ACCEPTED, Outcome.CUT_OFF)


def outcome_of(status: int) -> Outcome:
    """Return what an answer means for the calls of its request."""
    if 200 <= status < 300:
        return Outcome.ACCEPTED
    if status == 429:
        return Outcome.SLOW_DOWN
    return Outcome.FAILED if status >= 500 else Outcome.REFUSED


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
