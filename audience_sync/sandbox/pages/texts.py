"""Write values and outcomes as texts of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from audience_sync.sandbox.json_text import written
from audience_sync.sandbox.state.changes import Change
from audience_sync.sandbox.state.stored import StoredCall
from audience_sync.sandbox.values import Outcome

#: Characters of a value in a list.
LONGEST = 60
#: The state of `web/states.py` whose hue and icon an outcome has.
STATES = {
    Outcome.ACCEPTED: "accepted",
    Outcome.DROPPED: "partial",
    Outcome.REPEAT: "unchanged",
    Outcome.REFUSED: "refused",
    Outcome.SLOW_DOWN: "pending",
    Outcome.FAILED: "failed",
    Outcome.CUT_OFF: "interrupted",
    Outcome.NO_ANSWER: "interrupted",
}
#: The kind of bar of an outcome in a chart, from below.
BARS = {
    Outcome.ACCEPTED: "in",
    Outcome.REPEAT: "in",
    Outcome.CUT_OFF: "in",
    Outcome.DROPPED: "act",
    Outcome.REFUSED: "act",
    Outcome.SLOW_DOWN: "self",
    Outcome.NO_ANSWER: "self",
    Outcome.FAILED: "bad",
}


class Shown(NamedTuple):
    """A change as the feed shows it. ``old`` is a dash where there was no value."""

    name: str
    old: str
    new: str

    @property
    def is_long(self) -> bool:
        return len(self.name) + len(self.old) + len(self.new) > 48


def value_text(value: Any, longest: int | None = LONGEST) -> str:
    """``true``, ``12``, ``pro``; a text that looks like another value keeps its quotes."""
    if isinstance(value, str):
        is_ambiguous = value in ("true", "false", "null", "", "–") or value != value.strip() or _is_number(value)
        text = written(value) if is_ambiguous else value
    else:
        text = written(value)
    if longest is None or len(text) <= longest:
        return text
    return f"{text[: longest - 1]}…"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown_changes(changes: Sequence[Change], longest: int | None = LONGEST) -> list[Shown]:
    return [
        Shown(each.property, value_text(each.old, longest) if each.was_set else "–", value_text(each.new, longest))
        for each in changes
    ]


def status_words(call: StoredCall) -> str:
    """``200 accepted``; without an answer ``no answer``, ``cut off``."""
    return f"{call.status} {call.outcome}" if call.status is not None else str(call.outcome)
