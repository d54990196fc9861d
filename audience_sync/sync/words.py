"""How is a hold said? What it is of, what it would do, and what to type."""

from __future__ import annotations

from audience_sync.model import Counts, HoldKind
from audience_sync.store.freezes import Freeze
from audience_sync.store.holds import Hold, NewHold

_NAMES = {
    HoldKind.AUDIENCE: "audience '{key}'",
    HoldKind.COMPUTED_TRAIT: "computed trait '{key}'",
    HoldKind.SUPPRESSED: "the lists of suppressed users",
}
_NOTHING_DONE = {HoldKind.SUPPRESSED: "No user was removed from them."}


def named(kind: HoldKind, key: str) -> str:
    return _NAMES[kind].format(key=key)


def would(kind: HoldKind, counts: Counts) -> str:
    """What a held snapshot would do."""
    match kind:
        case HoldKind.AUDIENCE:
            return f"{counts.entered:,} would enter, {counts.left:,} would leave"
        case HoldKind.COMPUTED_TRAIT:
            return f"{counts.left:,} would lose their value"
        case HoldKind.SUPPRESSED:
            return f"{counts.left:,} would be removed from them"


def nothing_done(kind: HoldKind) -> str:
    return _NOTHING_DONE.get(kind, "Nothing of it was changed or sent.")


def commands(hold: Hold | NewHold, run: int) -> str:
    """What to type; of what is held together the words are the same for all."""
    which = f"{run} [KEY...]" if hold.together else f"{run} {hold.key}"
    decide = "audience-sync {} " + which
    return f"If this is right: {decide.format('approve')}. If not: correct the source, or {decide.format('reject')}"


def retired(*keys: str) -> str:
    """That the keys can't be used again, and what to do in the config."""
    named = ", ".join(f"'{key}'" for key in keys)
    fact = f"the key {named} is retired" if len(keys) == 1 else f"the keys {named} are retired"
    remedy = "Remove the audience from config.yaml, or give it another `key:`."
    return f"{fact} and can't be used again. Nothing was changed or sent.\n  {remedy}"


def frozen(freeze: Freeze) -> str:
    """That no run loads it, until when, why, and what to type."""
    until = f" until {freeze.until:%Y-%m-%d %H:%M:%S} UTC" if freeze.until else ""
    reason = f" ({freeze.reason})" if freeze.reason else ""
    since = f"frozen since {freeze.frozen_at:%Y-%m-%d %H:%M:%S} UTC{until}{reason}"
    return f"{since}. To sync it again: audience-sync unfreeze {freeze.key}"


def thawed(freeze: Freeze) -> str:
    """That its freeze is over, and that it is synced again."""
    ended = f"{freeze.until:%Y-%m-%d %H:%M:%S} UTC"
    return f"audience '{freeze.key}': the freeze ended at {ended}; the audience is synced again."
