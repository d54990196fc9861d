"""Read a service's JSON answers: what a body means against its status, and which items it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

from audience_sync.destinations.base import Answer, Judgement, Meaning, Message
from audience_sync.destinations.http.statuses import HINTS, status_reason


class BodyRule(Struct, frozen=True, kw_only=True):
    """A row of a table: the meaning of a body that its status alone does not have.

    ``status``: statuses, or hundreds (2 is 2xx). ``pointer``: a JSON pointer to a value; the rule holds if the value
    exists and its text matches ``pattern``, there is something at ``given``, and nothing at ``unless``. Without a
    pointer and a pattern it holds for every body, and without a body. ``hint``: what it means and what to do.
    ``wait``: seconds, unless the answer has a time to wait.
    """

    status: int | tuple[int, ...]
    pointer: str = ""
    pattern: str = ""
    meaning: Meaning
    hint: str
    wait: float | None = None
    unless: str | None = None
    given: str = ""

    def holds(self, status: int, body: Any) -> bool:
        own = self.status if isinstance(self.status, tuple) else (self.status,)
        if status not in own and status // 100 not in own:
            return False
        if self.unless is not None and value_at(body, self.unless):
            return False
        if self.given and not value_at(body, self.given):
            return False
        if not (self.pointer or self.pattern):
            return True
        value = value_at(body, self.pointer)
        return value is not None and re.search(self.pattern, _text(value)) is not None


#: What services write about a key that they do not accept, under any status.
_KEY = r"(api[ _-]?key|access[ _-]?token)"
_WRONG_KEY = (
    rf"(?i)\b(invalid|wrong|unknown|bad|expired|missing|incorrect|revoked)[ _-]?((rest|project|app)[ _-])?{_KEY}"
    rf"|\b{_KEY} (is |was |has been )?(invalid|not (valid|accepted|found)|expired|revoked|missing)"
    r"|\b(invalid|missing) (credentials|authentication)|authentication (failed|required)|\bunauthori[sz]ed\b"
)
#: The rules of all services, after the own ones. An error that a success names may be of one user alone.
WRONG_KEY_RULES = tuple(
    BodyRule(status=status, pointer=pointer, pattern=_WRONG_KEY, meaning=Meaning.STOP, hint=HINTS[401])
    for status, pointers in {
        2: ("/message", "/error", "/code", "/detail"),
        4: (
            "/message",
            "/error",
            "/code",
            "/detail",
            "/errors/0",
            "/errors/0/message",
            "/error/message",
            "/meta/error",
        ),
    }.items()
    for pointer in pointers
)


def judge_rules(rules: Sequence[BodyRule], judgement: Judgement, body: Any, detail: str) -> Judgement:
    """Return the meaning that the first rule gives to a body, or the judgement by its status."""
    status = judgement.status
    if status is None:
        return judgement
    for rule in rules:
        if rule.holds(status, body):
            is_own = judgement.retry_after is None and rule.wait is not None
            wait = rule.wait if is_own else judgement.retry_after
            reason = status_reason(status, detail, rule.hint)
            return Judgement(rule.meaning, reason, status=status, retry_after=wait, has_own_wait=is_own)
    return judgement


def parsed_body(answer: Answer) -> Any:
    """Return the JSON of an answer; None for another body."""
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None


def value_at(body: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer (RFC 6901), or None."""
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(body, Mapping):
            body = body.get(name)
        elif isinstance(body, list) and name.isdigit() and int(name) < len(body):
            body = body[int(name)]
        else:
            return None
    return body


def objects_at(body: Any, pointer: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of the list at a pointer."""
    found = value_at(body, pointer)
    return (each for each in found if isinstance(each, Mapping)) if isinstance(found, list) else iter(())


def values_at(body: Any, pointer: str) -> list[str | int]:
    """Return the texts and numbers of the list at a pointer, or the names of the object; empty for another body."""
    found = value_at(body, pointer)
    return [each for each in found if isinstance(each, str | int)] if isinstance(found, list | Mapping) else []


def reasons_by_index(found: Iterable[tuple[object, str]]) -> dict[int, str]:
    """Return the reasons by index; those of one index are joined. Entries without an index are left out."""
    reasons: dict[int, str] = {}
    for index, why in found:
        if isinstance(index, int) and not isinstance(index, bool):
            reasons[index] = f"{reasons[index]}; {why}" if index in reasons else why
    return reasons


def reasons_by_identifier(
    messages: Sequence[Message], pointer: str, identifiers: Iterable[tuple[object, str]], *, ignores_case: bool = False
) -> dict[int, str]:
    """Return the reasons by index of messages that an answer names by an identifier.

    ``pointer``: where a message has the identifier. ``identifiers``: each with its reason.
    """
    form = str.lower if ignores_case else str
    reasons = {form(str(each)): why for each, why in identifiers}
    if not reasons:
        return {}
    own = enumerate(form(_text(value_at(orjson.loads(each.body), pointer))) for each in messages)
    return {index: reasons[text] for index, text in own if text in reasons}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
