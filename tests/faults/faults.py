"""List the faults of a network and of a service: one row for each, with a rule for the calls of each protocol.

Rules and words are those of docs/destinations.md, "What an answer means".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .harness import PROTOCOLS
from .server import IN_TWO_SECONDS, Fault


class Rule(Enum):
    """The outcome of four calls while a fault lasts: (delivered, refused, pending), and the number of requests.

    None: as many requests as there is time for. Each rule has a number, because rules with equal values would be one.
    """

    ACCEPTED = 1, (4, 0, 0), 1
    LATER = 2, (0, 0, 4), None  # retried until `give_up_after`
    SLOWER = 3, (0, 0, 4), 1  # stops at once if the wait is longer than `give_up_after`; not a failure
    SPLIT = 4, (0, 4, 0), 7  # halved down to single calls, each of which is refused
    STOP = 5, (0, 0, 4), 1  # this destination ends
    KEY = 6, (0, 0, 4), 1  # the same; the reason names the key
    SMALLER = 7, (0, 4, 0), 6  # as SPLIT, but half of a refused size is not tried twice


@dataclass(frozen=True)
class Row:
    """``reason``: a part of every destination's reason. ``code``: the exit code if all destinations have the fault."""

    fault: Fault
    rules: Mapping[str, Rule]
    reason: str
    code: int


ACCEPTED, LATER, SLOWER, SPLIT, STOP, KEY, SMALLER = Rule
UNKNOWN_HOST = Fault(address="http://receiver.invalid")
LOST = "the connection was closed before the answer was complete"
TIME_OUT = "no complete answer within the time-out"
ELSEWHERE = {"Location": "/elsewhere"}  # a request there would be one that was followed
REDIRECTED = "the address redirects. Correct `destinations."
AGAIN = "HTTP 429: rate limited"
NOT_HERE = "this address does not accept such requests. Check `destinations."
ERROR = b'{"success": false, "error": {"Message": "no such profile", "Code": 7}}'
PAGE = b"<!doctype html><title>Log in</title>"


def everywhere(rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(PROTOCOLS, rule)


def but_webhook(rule: Rule) -> dict[str, Rule]:
    return {protocol: rule for protocol in PROTOCOLS if protocol != "webhook"}


NETWORK = {
    "an unknown host": Row(UNKNOWN_HOST, everywhere(LATER), "the host's name can't be resolved", 3),
    "a closed port": Row(Fault(address="http://127.0.0.1:1"), everywhere(LATER), "connection refused", 3),
    "a connection closed without a word": Row(Fault(then="nothing"), everywhere(LATER), LOST, 3),
    "a reset in the middle": Row(Fault(then="reset"), everywhere(LATER), "the connection was reset", 3),
    "half an answer": Row(Fault(body=b'{"success": true}', then="half"), everywhere(LATER), LOST, 3),
    "a slow drip": Row(Fault(body=b'{"success": true}', then="drip"), everywhere(LATER), TIME_OUT, 3),
    "silence": Row(Fault(then="silence"), everywhere(LATER), TIME_OUT, 3),
    "an answer lost after the calls were recorded": Row(
        Fault(then="nothing", records=True), everywhere(LATER), LOST, 3
    ),
    "half an answer after the calls were recorded": Row(
        Fault(body=b'{"success": true}', then="half", records=True), everywhere(LATER), LOST, 3
    ),
    "silence after the calls were recorded": Row(Fault(then="silence", records=True), everywhere(LATER), TIME_OUT, 3),
}
SUCCESSES = {
    "200 with an error in it": Row(Fault(200, ERROR), but_webhook(SPLIT), "no such profile", 1),
    "200 with a page of a proxy's": Row(Fault(200, PAGE), but_webhook(LATER), "HTTP 200: but", 3),
    "200 with a proxy's words": Row(Fault(200, b"down for maintenance"), but_webhook(LATER), "down for maintenance", 3),
    "200 with an error, to a webhook": Row(Fault(200, ERROR, records=True), {"webhook": ACCEPTED}, "", 0),
    "204": Row(Fault(204, records=True), everywhere(ACCEPTED), "", 0),
}
REDIRECTS = {
    str(status): Row(Fault(status, headers=ELSEWHERE), everywhere(STOP), f"HTTP {status}: {REDIRECTED}", 3)
    for status in (301, 302, 303, 307, 308)
}
STATUSES = {
    "400": Row(Fault(400, b"no such profile"), everywhere(SPLIT), "HTTP 400: no such profile", 1),
    "401": Row(Fault(401), everywhere(KEY), "HTTP 401: the key is not accepted. Correct it under `destinations.", 3),
    "402": Row(Fault(402), everywhere(STOP), "HTTP 402: the account is unpaid", 3),
    "403": Row(
        Fault(403),
        everywhere(KEY),
        "HTTP 403: the key is not allowed to do this. Check it under `destinations.",
        3,
    ),
    "404": Row(Fault(404), everywhere(STOP), "calls at this address", 3),
    "405": Row(Fault(405), everywhere(STOP), NOT_HERE, 3),
    "406": Row(Fault(406), everywhere(STOP), NOT_HERE, 3),
    "407": Row(Fault(407), everywhere(STOP), "HTTP 407: a proxy on the way needs a user and a password", 3),
    "408": Row(Fault(408), everywhere(LATER), "HTTP 408", 3),
    "409": Row(Fault(409, b"no"), everywhere(SPLIT), "HTTP 409: no", 1),
    "410": Row(Fault(410), everywhere(STOP) | {"segment": LATER}, "HTTP 410", 3),
    "413": Row(Fault(413, b"too large"), everywhere(SMALLER), "HTTP 413: too large", 1),
    "415": Row(Fault(415), everywhere(STOP), NOT_HERE, 3),
    "418": Row(Fault(418), everywhere(SPLIT), "HTTP 418", 1),
    "421": Row(Fault(421), everywhere(STOP), NOT_HERE, 3),
    "422": Row(Fault(422, b'{"error": "no"}'), everywhere(SPLIT), "HTTP 422: ", 1),
    "425": Row(Fault(425), everywhere(LATER), "HTTP 425", 3),
    "460": Row(Fault(460), everywhere(SPLIT) | {"segment": LATER}, "HTTP 460", 1),
    "500": Row(Fault(500, b"oops"), everywhere(LATER), "HTTP 500: oops", 3),
    "501": Row(Fault(501), everywhere(STOP), NOT_HERE, 3),
    "502": Row(Fault(502, PAGE), everywhere(LATER), "HTTP 502", 3),
    "503": Row(Fault(503), everywhere(LATER), "HTTP 503", 3),
    "504": Row(Fault(504), everywhere(LATER), "HTTP 504", 3),
    "505": Row(Fault(505), everywhere(STOP), NOT_HERE, 3),
    "511": Row(Fault(511), everywhere(STOP), "HTTP 511: a network on the way needs a log-in", 3),
    "529": Row(Fault(529), everywhere(LATER), "HTTP 529", 3),
}


def soon(**headers: str) -> Fault:
    return Fault(429, headers={name.replace("_", "-"): value for name, value in headers.items()})


LIMITS = {
    "429, to be asked again in two seconds": Row(soon(Retry_After="2"), everywhere(SLOWER), AGAIN, 1),
    "429, to be asked again at a time": Row(soon(Retry_After=IN_TWO_SECONDS), everywhere(SLOWER), AGAIN, 1),
    "429, with a reset in two seconds": Row(soon(X_RateLimit_Reset="2"), everywhere(SLOWER), AGAIN, 1),
    "429, to be asked again tomorrow": Row(soon(Retry_After="86400"), everywhere(SLOWER), AGAIN, 1),
    "429, at once again": Row(soon(Retry_After="0"), everywhere(LATER), "HTTP 429: rate limited", 1),
    "429, without a word": Row(Fault(429), everywhere(LATER), AGAIN, 1),
}
FAULTS = NETWORK | SUCCESSES | REDIRECTS | STATUSES | LIMITS
