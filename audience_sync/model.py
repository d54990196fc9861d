"""The words of the program, as values: user properties, identify calls, statuses."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, NamedTuple, NewType

RunId = NewType("RunId", int)
PropertyId = NewType("PropertyId", int)

#: The computed trait of the ids that a user had before: no trait of a config can have such a key.
ALIAS_KEY = "$alias"


class PropertyKind(StrEnum):
    """A user property is a membership (``true`` or ``false``) or a computed trait (any JSON value)."""

    AUDIENCE = "audience"
    COMPUTED_TRAIT = "computed_trait"


class HoldKind(StrEnum):
    """What can be held: an audience's snapshot, a computed trait's values, the config's lists of suppressed users."""

    AUDIENCE = "audience"
    COMPUTED_TRAIT = "computed_trait"
    SUPPRESSED = "suppressed"


class HoldStatus(StrEnum):
    """``held`` waits for a person, who approves or rejects; another snapshot supersedes it."""

    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class InitialSync(StrEnum):
    """What happens when an audience is first created (``initial:`` in the config)."""

    ALL = "all"
    NONE = "none"
    MANUAL = "manual"


class RunStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    HELD = "held"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # by a person, by the system, or its process was killed


class AudienceStatus(StrEnum):
    CREATED = "created"
    SYNCED = "synced"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"
    WAITING = "waiting"  # initial: manual, not seeded yet
    FROZEN = "frozen"  # left as it is, because a person said so
    RETIRED = "retired"  # everyone has left, and its key is closed for good


class AlertKind(StrEnum):
    """What people are told of."""

    FAILED = "failed"
    HELD = "held"
    REFUSED = "refused"  # a destination refuses more than it may
    SIZE = "size"  # an audience has another size than usual
    LATE = "late"  # a run began long after its time


class HistoryKind(StrEnum):
    """What ``retention`` lets go of when it has grown old; what is so now is kept always."""

    CHANGES = "changes"
    REQUESTS = "requests"
    REJECTED_ROWS = "rejected_rows"
    RUNS = "runs"  # what they found and delivered; each run's own row stays


class ChangeCounts(NamedTuple):
    """What a snapshot would change: members (or users with a value) before, who would enter, and who would leave."""

    before: int
    entered: int
    left: int


class AudienceEvent(NamedTuple):
    """A user has entered or left an audience: what a track call tells.

    ``message_id`` is that of the change alone, whatever else is told with it; ``timestamp`` is the time of the run that
    found it, as in ``IdentifyCall``.
    """

    key: str
    entered: bool
    message_id: str
    timestamp: str


class Alias(NamedTuple):
    """That a user had another id before; ``timestamp`` as in IdentifyCall."""

    previous_id: str
    message_id: str
    timestamp: str


class IdentifyCall(NamedTuple):
    """One user and the properties that changed for them. (A tuple: a million are made in a first run.)

    ``traits_json`` is a JSON object as text, ready to be spliced into a request; ``message_id`` is the same
    whenever the same change is sent again; ``timestamp`` is the time of the newest run whose change it
    carries (ISO 8601, UTC, milliseconds). ``versions`` names the run behind each value (``key@run,key@run``).
    ``events`` go along, where the destination is to be told of them.
    """

    user_id: str
    traits_json: str
    message_id: str
    timestamp: str
    versions: str = ""
    events: tuple[AudienceEvent, ...] = ()

    @property
    def traits(self) -> dict[str, Any]:
        """The properties by key; integers of any size survive."""
        traits: dict[str, Any] = json.loads(self.traits_json)
        return traits
