"""The values of what needs a person, and of what continues by itself."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """The states that need a person, the worst first; then those that continue by themselves."""

    FAILED = "failed"
    HELD = "held"
    REFUSED = "refused"
    WAITING = "waiting"
    LATE = "late"
    SIZE = "size"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PENDING = "pending"


class SubjectKind(StrEnum):
    AUDIENCE = "audience"
    COMPUTED_TRAIT = "computed_trait"
    DESTINATION = "destination"
    SCHEDULE = "schedule"
    SUPPRESSED = "suppressed"
    RUN = "run"
    HOOK = "hook"


class Reason(Struct, frozen=True):
    """A reason for refusals, and how many calls were refused for it."""

    text: str
    calls: int


class LateSchedule(Struct, frozen=True):
    """A schedule whose time has come without a run. ``missed``: how many times there were, the first at ``due_at``."""

    schedule: str
    due_at: datetime
    missed: int = 1


class Concern(Struct, frozen=True, kw_only=True):
    """One thing that needs a person, or that continues by itself.

    ``subjects``: keys of audiences or traits, or the name of a destination or schedule. ``name``: the subject for
    people. ``text``: what happened and what it means, to be read after the name and a colon. ``commands``: what a
    person can type, complete. ``count``: the calls that are refused or pending; otherwise the number of subjects.
    """

    state: State
    kind: SubjectKind
    subjects: tuple[str, ...]
    name: str
    text: str
    commands: tuple[str, ...]
    count: int = 1
    reasons: tuple[Reason, ...] = ()
    since_run: int | None = None
    since_at: datetime | None = None


class LastRun(Struct, frozen=True, kw_only=True):
    """The newest run. ``delivered``, ``refused``, ``pending``: identify calls of all destinations together."""

    run: int
    command: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    delivered: int | None
    refused: int | None
    pending: int | None


class Attention(Struct, frozen=True, kw_only=True):
    """What needs a person, the worst first, what continues by itself, and how much is well.

    ``audiences``: those that are not retired; ``well`` of them have no concern and are not ``frozen``.
    ``destinations``: those without refused and pending calls.
    """

    needs_person: tuple[Concern, ...] = ()
    continuing: tuple[Concern, ...] = ()
    last_run: LastRun | None = None
    audiences: int = 0
    well: int = 0
    frozen: int = 0
    destinations: tuple[str, ...] = ()
