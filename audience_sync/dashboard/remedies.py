"""Name what helps against a refusal: by the words of its reason and its status."""

from __future__ import annotations

import re

#: What helps, by words of the reason: the first that match.
_BY_REASON = {
    r"device.?token|push.?token": "Remove the token in the source, or let the app renew it; then retry.",
    r"suppress|unsubscrib|opted? out|deleted user": (
        "Nothing, if that is meant: suppress the user here, too, so that no call is tried."
    ),
    r"e-?mail": "Correct the address in the source, or suppress the user; then retry.",
    r"phone|e\.?164": "Correct the number in the source: `+`, country code, digits; then retry.",
    r"time.?zone": "Correct the time zone in the source: a name such as Europe/Berlin; then retry.",
    r"too (long|large|many|big)|takes? [\d,]+|bytes|limit of|exceed": "Shorten the value in the source; then retry.",
    r"lacks|no identifier|no value|missing|required": "Add the value to the source of the computed traits; then retry.",
    r"not exist|unknown (field|property|attribute|user)|no such": (
        "Create it at the destination; `audience-sync check` lists fields; then retry."
    ),
    r"type|number|boolean|date|format|invalid|not valid|malformed": (
        "Correct the value in the source, or its type in the config; then retry."
    ),
}
_BY_STATUS = {
    400: "Look at the answer with: audience-sync test-destination. Correct the data, then retry.",
    401: "The key is not valid: set it in the environment, then: audience-sync check",
    403: "The key may not do this: give it the right at the destination, then: audience-sync check",
    404: "The address or the user does not exist there: check `url` in the config; then retry.",
    409: "Another change of the user was in progress there: retry.",
    413: "The value is too large: shorten it in the source; then retry.",
    422: "Correct the value in the source; then retry.",
}
_OTHERWISE = "Correct the data in the source, then retry: the newest values are sent."


def remedy(reason: str, http_status: int | None) -> str:
    """One sentence for a person. The newest values are sent by a retry, so corrected data are enough."""
    for pattern, text in _BY_REASON.items():
        if re.search(pattern, reason, re.IGNORECASE):
            return text
    return _BY_STATUS.get(http_status or 0, _OTHERWISE)


def answer_meaning(status: str, http_status: int | None) -> str:
    """What a kind of answer means, in a few words."""
    match status, http_status:
        case "accepted", _:
            return "accepted"
        case "partly refused", _:
            return "some calls refused"
        case "refused", _:
            return "refused"
        case "sent again", 429:
            return "slow down; sent again"
        case "sent again", 400 | 413 | 422:
            return "a batch that is halved"
        case "sent again", _:
            return "sent again later"
        case "no answer", _:
            return "no answer; sent again"
        case _:
            return status
