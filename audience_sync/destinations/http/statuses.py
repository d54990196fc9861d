"""Map HTTP answers to their meaning, by tables of statuses and by headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from msgspec import Struct, field

from audience_sync.config.sections.base import MAX_ANSWER_BYTES
from audience_sync.destinations.base import LONGEST_WAIT, Answer, Judgement, Meaning
from audience_sync.redaction.secrets import mask_secrets

#: A number from here on is a moment (seconds since 1970) and not a time to wait.
EPOCH = 1_000_000_000.0
#: The length of a reason, in characters.
MAX_REASON_CHARACTERS = 300
#: The bytes of an answer that an excerpt uses.
EXCERPT_BYTES = 64 * 1024
#: Characters to drop at the end of a cut answer, which may have only a part of a secret.
CUT_CHARACTERS = 4096
#: How a page of HTML begins, after comments and a declaration of XML.
_HTML = re.compile(
    rb"(?:<\?xml.*?\?>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title|script|meta)\b", re.I | re.S
)

#: Statuses about method, version, headers or address, which all requests share: halving a batch would refuse all its
#: users.
WRONG_REQUEST = (405, 406, 411, 414, 415, 421, 426, 431, 501, 505)
#: The meanings on which the protocols agree; see facts on statuses in the clients of each.
STATUSES: Mapping[int, Meaning] = MappingProxyType(
    {
        401: Meaning.STOP,  # the key
        402: Meaning.STOP,  # the account
        403: Meaning.STOP,
        404: Meaning.STOP,  # the address, or a source that was switched off
        407: Meaning.STOP,  # a proxy's
        408: Meaning.RETRY,  # a time-out at the server
        410: Meaning.STOP,
        425: Meaning.RETRY,
        429: Meaning.SLOW_DOWN,
        511: Meaning.STOP,  # a network's
        **dict.fromkeys(WRONG_REQUEST, Meaning.STOP),
    }
)
#: Never followed: a redirected POST arrives as a GET, which looks like a success and delivers nothing.
FAMILIES: Mapping[int, Meaning] = MappingProxyType(
    {2: Meaning.DELIVERED, 3: Meaning.STOP, 4: Meaning.REFUSED, 5: Meaning.RETRY}
)
HINTS: Mapping[int, str] = MappingProxyType(
    {
        401: "the key is not accepted. Correct it under `destinations.NAME`",
        402: "the account is unpaid. Check it with the service",
        403: "the key is not allowed to do this. Check it under `destinations.NAME`",
        404: "nothing accepts calls at this address. Check `destinations.NAME.url`",
        407: "a proxy on the way needs a user and a password. Check `proxy`",
        410: "this address no longer accepts calls. Correct `destinations.NAME.url`",
        429: "rate limited",
        511: "a network on the way needs a log-in. Log in there",
        **dict.fromkeys(WRONG_REQUEST, "this address does not accept such requests. Check `destinations.NAME.url`"),
    }
)
#: The reason for a success with a page of a log-in or of a proxy.
HTML_PAGE = "but with a page of HTML: a log-in page or a proxy may be in the way. Check `destinations.NAME.url`"
FAMILY_HINTS: Mapping[int, str] = MappingProxyType({3: "the address redirects. Correct `destinations.NAME.url`"})


#: A placeholder for the destination's name in the config, which a protocol does not have.
_NAME = "`destinations.NAME"


def name_destination(reason: str, name: str) -> str:
    """Replace the placeholder in a reason with the destination's name."""
    return reason.replace(_NAME, f"`destinations.{name}")


class StatusTable(Struct, frozen=True):
    """A service's own meanings of statuses, over STATUSES and FAMILIES (by hundred), and own hints, over HINTS."""

    exact: Mapping[int, Meaning] = field(default_factory=dict)
    families: Mapping[int, Meaning] = field(default_factory=dict)
    hints: Mapping[int, str] = field(default_factory=dict)

    def meaning(self, status: int | None) -> Meaning:
        """Return the meaning of a status. A missing answer and an unlisted status are tried again."""
        if status is None:
            return Meaning.RETRY
        own = self.exact.get(status) or STATUSES.get(status) or self.families.get(status // 100)
        return own or FAMILIES.get(status // 100, Meaning.RETRY)

    def hint(self, status: int) -> str:
        """Return what to do; empty if unknown. A common hint does not fit a meaning of the service's own."""
        common = "" if status in self.exact else HINTS.get(status, "")
        return self.hints.get(status, common)


def judge_status(answer: Answer, table: StatusTable, detail: str) -> Judgement:
    """Judge an answer by its status; ``detail`` is the server's text, without secrets."""
    meaning = table.meaning(answer.status)
    if meaning is Meaning.DELIVERED:
        return Judgement(meaning, status=answer.status)
    reason = answer.error if answer.status is None else status_reason(answer.status, detail, table.hint(answer.status))
    return Judgement(meaning, reason, status=answer.status, retry_after=_wait_seconds(answer, meaning))


def status_reason(status: int, detail: str, hint: str = "") -> str:
    """``HTTP 401: the key is not accepted. Correct it under `destinations.NAME` (invalid write key)``"""
    hint = hint or FAMILY_HINTS.get(status // 100, "")
    text = f"{hint} ({detail})" if hint and detail else hint or detail
    return f"HTTP {status}: {text}" if text else f"HTTP {status}"


def _wait_seconds(answer: Answer, meaning: Meaning) -> float | None:
    """Return the seconds to wait. A reset time counts only for a 429: some servers send it with every answer."""
    if meaning is Meaning.SLOW_DOWN:
        return retry_after(answer.headers, server_time(answer.headers))
    if meaning is Meaning.RETRY:
        return retry_after({"retry-after": answer.headers.get("retry-after", "")}, server_time(answer.headers))
    return None


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the server's time, to which its other dates relate."""
    return _http_date(headers.get("date", ""))


def retry_after(headers: Mapping[str, str], now: datetime | None, most: float = LONGEST_WAIT) -> float | None:
    """Return the seconds to wait, 0 to ``most`` (300), or None without such headers (names in lower case).

    ``Retry-After`` (or ``X-RateLimit-Retry-After``) is in seconds or an HTTP date, ``X-RateLimit-Reset`` in seconds
    (for some servers a time since 1970); the latest one counts. A date counts only with ``now``.
    """
    waits = (
        _seconds_or_date(headers.get("retry-after", ""), now),
        _seconds_or_date(headers.get("x-ratelimit-retry-after", ""), now),
        _seconds_or_moment(headers.get("x-ratelimit-reset", ""), now),
    )
    known = [wait for wait in waits if wait is not None]
    return min(max(*known, 0.0), most) if known else None


def _seconds_or_date(text: str, now: datetime | None) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    date = _http_date(text)
    return (date - now).total_seconds() if date and now else None


def _seconds_or_moment(text: str, now: datetime | None) -> float | None:
    seconds = _number(text)
    if seconds is None or seconds < EPOCH:
        return seconds
    return seconds - now.timestamp() if now else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d{1,15}(\.\d{1,9})?\s*", text, re.ASCII) else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def is_html_answer(body: bytes) -> bool:
    """Return whether the answer begins with `<`: a proxy or a log-in page, if the protocol has no XML."""
    return body.lstrip().startswith(b"<")


def is_html(answer: Answer) -> bool:
    """Return whether the answer is HTML and not XML, by its content type or its beginning."""
    begin = answer.body[:EXCERPT_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return begin.startswith(b"<") and (kind == "text/html" or _HTML.match(begin) is not None)


def judge_success(answer: Answer, meaning: Meaning, reason: str) -> Judgement:
    """Judge a success by its body."""
    return Judgement(meaning, status_reason(answer.status or 0, reason), status=answer.status)


def judge_unreadable(answer: Answer) -> Judgement | None:
    """Judge a success with a page of HTML, or with a body that is too long to read; None for another one."""
    if is_html_answer(answer.body):
        return judge_success(answer, Meaning.RETRY, HTML_PAGE)
    if not answer.is_cut:
        return None
    reason = f"but the answer is longer than {len(answer.body):,} bytes, so that it can't be checked"
    more = "" if len(answer.body) >= MAX_ANSWER_BYTES else "; raise `max_answer` in the config (4MiB at most)"
    return judge_success(answer, Meaning.RETRY, reason + more)


def excerpt(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the body as one printable line with masked secrets; empty for HTML.

    It is not shortened, because values in a cut text could no longer be found and masked.
    """
    if is_html_answer(body):
        return ""
    text = mask_secrets(body[:EXCERPT_BYTES].decode("utf-8", "replace"), secrets)
    text = text[:-CUT_CHARACTERS] if len(body) >= EXCERPT_BYTES else text
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def truncate(text: str) -> str:
    """Shorten a masked text to MAX_REASON_CHARACTERS."""
    return text if len(text) <= MAX_REASON_CHARACTERS else text[: MAX_REASON_CHARACTERS - 1] + "…"
