"""Give each state its hue and its icon. The hue shows who acts; the word is always next to the icon."""

from __future__ import annotations

from typing import NamedTuple


class State(NamedTuple):
    """``hue``: ``ok`` done, ``act`` a person decides, ``bad`` broken, ``self`` continues by itself, empty for grey."""

    hue: str
    icon: str


STATES = {
    "succeeded": State("ok", "ok"),
    "synced": State("ok", "ok"),
    "accepted": State("ok", "ok"),
    "delivered": State("ok", "ok"),
    "created": State("ok", "created"),
    "approved": State("ok", "approve"),
    "held": State("act", "held"),
    "refused": State("act", "refused"),
    "partly refused": State("act", "partial"),
    "partial": State("act", "partial"),
    "waiting": State("act", "waiting"),
    "late": State("act", "pending"),
    "size": State("act", "partial"),
    "failed": State("bad", "failed"),
    "no answer": State("bad", "failed"),
    "pending": State("self", "pending"),
    "sent again": State("self", "pending"),
    "running": State("self", "running"),
    "interrupted": State("self", "interrupted"),
    "frozen": State("", "same"),
    "unchanged": State("", "same"),
    "superseded": State("", "same"),
    "retired": State("", "same"),
    "rejected": State("", "undo"),
    "withheld": State("", "same"),
    "dropped": State("", "same"),
    "none": State("", "same"),
}


def state_of(word: str) -> State:
    """The hue and the icon of a state; grey for a word that is not in the table."""
    return STATES.get(word, State("", "same"))
