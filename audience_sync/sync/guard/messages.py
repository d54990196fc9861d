"""Write a hold for people: its subject, what it would change, and the commands that decide on it."""

from __future__ import annotations

import re

from audience_sync.command_line import to_paste
from audience_sync.model import ChangeCounts, HoldKind, RunId
from audience_sync.store.audiences.freezes import Freeze
from audience_sync.store.audiences.holds import Hold, NewHold
from audience_sync.text import pluralize

_NAMES = {
    HoldKind.AUDIENCE: "audience '{key}'",
    HoldKind.COMPUTED_TRAIT: "computed trait '{key}'",
    HoldKind.SUPPRESSED: "the lists of suppressed users",
    HoldKind.MAPPING: "destination '{key}'",
}
#: How a reason begins that names what is held; stores of earlier versions have it without ``is held``.
_SUBJECT = re.compile(r"\A(?:audience|computed traits?|the lists of suppressed users|destination)[^:]*: ")
#: The end of a reason that a limit alone gives.
_LIMIT = re.compile(r" is held: the new snapshot (?P<way>removes|adds) .*, and the limit is (?P<limit>\S+)\Z")
_NOTHING_DONE = {
    HoldKind.SUPPRESSED: "No user was removed from them.",
    HoldKind.MAPPING: "Changes are sent under the former mapping.",
}


def subject_name(kind: HoldKind, key: str) -> str:
    return _NAMES[kind].format(key=key)


def is_held(kind: HoldKind, *keys: str) -> str:
    """The beginning of every reason for a hold: ``audience 'vip' is held``."""
    if len(keys) > 1:
        return f"computed traits {', '.join(keys)} are held"
    return f"{subject_name(kind, keys[0])} {'are' if kind is HoldKind.SUPPRESSED else 'is'} held"


def would_be_held(reason: str) -> str:
    """The reason of a preview, which holds nothing."""
    return re.sub(r" (is|are) held: ", " would be held: ", reason, count=1)


def limit_text(kind: HoldKind, limit: object, *, removed: bool) -> str:
    """``30% may leave in one run (guard.max_removed)``."""
    lose = "may leave" if kind is HoldKind.AUDIENCE else "may lose their value"
    way = f"{lose} in one run (guard.max_removed)" if removed else "may enter in one run (guard.max_added)"
    return f"{limit} {way}"


def stored_limit_text(kind: HoldKind, reason: str) -> str:
    """The limit that applied when a single audience or trait was held, from its stored reason; empty without one."""
    found = _LIMIT.search(reason)
    return limit_text(kind, found["limit"], removed=found["way"] == "removes") if found else ""


def without_subject(reason: str) -> str:
    """The reason without its subject."""
    return _SUBJECT.sub("", reason, count=1)


def effect(kind: HoldKind, counts: ChangeCounts) -> str:
    """What a held snapshot would change, as a clause: ``1 would enter, 878 would leave``."""
    match kind:
        case HoldKind.AUDIENCE:
            return f"{counts.entered:,} would enter, {counts.left:,} would leave"
        case HoldKind.COMPUTED_TRAIT:
            return f"{pluralize(counts.left, 'user')} would lose their value"
        case HoldKind.SUPPRESSED:
            return f"{pluralize(counts.left, 'user')} would be removed from the lists"
        case HoldKind.MAPPING:
            return f"{pluralize(counts.left, 'user')} would be sent values under other names or ids"


def changes(kind: HoldKind, counts: ChangeCounts) -> str:
    """The same changes as a list, for a hold that ends: ``1 entering, 878 leaving``."""
    match kind:
        case HoldKind.AUDIENCE:
            return f"{counts.entered:,} entering, {counts.left:,} leaving"
        case HoldKind.COMPUTED_TRAIT:
            return f"{pluralize(counts.left, 'user')} losing their value"
        case HoldKind.SUPPRESSED:
            return f"{pluralize(counts.left, 'user')} removed from the lists"
        case HoldKind.MAPPING:
            return f"{pluralize(counts.left, 'user')} with values under other names or ids"


def nothing_done(kind: HoldKind) -> str:
    return _NOTHING_DONE.get(kind, "Nothing of it was changed or sent.")


def decision_commands(hold: Hold | NewHold, run: RunId) -> str:
    """The commands that approve and reject; the same for all audiences that are held together."""
    right = f"all that run {run} held" if hold.together else "this"
    which = (run,) if hold.together else (run, hold.key)
    approve, reject = (to_paste(verb, *which) for verb in ("approve", "reject"))
    where = "config" if hold.kind is HoldKind.MAPPING else "source"
    return f"If {right} is right: {approve}. If not, correct the {where}, or: {reject}"


def retired_message(*keys: str) -> str:
    """The message that retired keys can't be used again, and what to do in the config."""
    named = ", ".join(f"'{key}'" for key in keys)
    fact = f"the key {named} is retired" if len(keys) == 1 else f"the keys {named} are retired"
    remedy = "Remove the audience from config.yaml, or give it another `key:`."
    return f"{fact} and can't be used again. Nothing was changed or sent.\n  {remedy}"


def freeze_text(freeze: Freeze) -> str:
    """``frozen since ...``: since and until when, why, and the command that ends it."""
    until = f" until {freeze.until:%Y-%m-%d %H:%M:%S} UTC" if freeze.until else ""
    reason = f" ({freeze.reason})" if freeze.reason else ""
    since = f"frozen since {freeze.frozen_at:%Y-%m-%d %H:%M:%S} UTC{until}{reason}"
    return f"{since}. To sync it again: audience-sync unfreeze {freeze.key}"


def freeze_ended_message(freeze: Freeze) -> str:
    """The message that a freeze has ended."""
    ended = f"{freeze.until:%Y-%m-%d %H:%M:%S} UTC"
    return f"audience '{freeze.key}': the freeze ended at {ended}; the audience is synced again."
