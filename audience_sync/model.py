"""Define the values that the whole program uses: user properties, identify calls, statuses."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, NamedTuple, NewType

RunId = NewType("RunId", int)
PropertyId = NewType("PropertyId", int)
DestinationId = NewType("DestinationId", int)
UserId = NewType("UserId", str)

#: Before the first run.
NO_RUN = RunId(0)
#: After any run.
MAX_RUN = RunId(2**31 - 1)

#: The user id of the sources, as a value of the option ``user_id``.
USER_ID = "user_id"
#: The key of the computed trait with a user's previous ids. No trait in a config can have it.
ALIAS_KEY = "$alias"


class StateTable(NamedTuple):
    """A table in a warehouse that has a snapshot (a base), or the changes since the table before it.

    ``rows``: counted when it was created. ``left_out``: names of audiences, or keys of computed traits, whose rows in
    it were not accepted. ``reread``: in the newest table of computed traits, the users whose rows every run reads,
    because a value is invalid or a user's rows differ.
    """

    name: str
    is_base: bool
    rows: int
    left_out: tuple[str, ...] = ()
    reread: tuple[str, ...] = ()


class PropertyKind(StrEnum):
    """The kind of a user property: a membership (``true`` or ``false``) or a computed trait (any JSON value)."""

    AUDIENCE = "audience"
    COMPUTED_TRAIT = "computed_trait"


class HoldKind(StrEnum):
    """The kinds of holds: an audience's snapshot, a computed trait's values, the lists of suppressed users, the
    mapping of a destination."""

    AUDIENCE = "audience"
    COMPUTED_TRAIT = "computed_trait"
    SUPPRESSED = "suppressed"
    MAPPING = "mapping"


class HoldStatus(StrEnum):
    """A ``held`` snapshot waits until a person approves or rejects it, or another snapshot supersedes it."""

    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class InitialSync(StrEnum):
    """The first delivery of a new audience (``initial:`` in the config)."""

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
    FROZEN = "frozen"  # skipped, because a person froze it
    RETIRED = "retired"  # all members have left, and its key is closed for good


class AlertKind(StrEnum):
    """The kinds of alerts."""

    FAILED = "failed"
    HELD = "held"
    REFUSED = "refused"  # a destination refuses more than it may
    SIZE = "size"  # an audience has another size than usual
    LATE = "late"  # a run began long after its time


class WebhookStatus(StrEnum):
    """What became of the webhook about a run."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    GIVEN_UP = "given up"


class HistoryKind(StrEnum):
    """History that ``retention`` deletes when it is old enough. The current state is always kept."""

    CHANGES = "changes"
    REQUESTS = "requests"
    INVALID_ROWS = "invalid_rows"
    RUNS = "runs"  # their results per audience and destination; the rows of runs stay


class ChangeCounts(NamedTuple):
    """Changes that a snapshot would make: members (or users with a value) before, users who enter, users who leave."""

    before: int
    entered: int
    left: int


class AudienceEvent(NamedTuple):
    """One user entered or left an audience: the content of a track call.

    ``message_id`` depends on this change only. ``timestamp`` is the time of the run that found it, and ``identifiers``
    those of the user, as in ``IdentifyCall``.
    """

    key: str
    entered: bool
    message_id: str
    timestamp: str
    identifiers: str = "{}"


class Alias(NamedTuple):
    """A previous id of a user; ``timestamp`` as in IdentifyCall."""

    previous_id: UserId
    message_id: str
    timestamp: str


class IdentifyCall(NamedTuple):
    """One user and the properties that changed for them. (A tuple, because a first run may make a million.)

    ``traits_json`` is a JSON object as text, which goes into a request unchanged. ``message_id`` stays the same
    if the same change is sent again. ``timestamp`` is the time of the newest run whose change it
    carries (ISO 8601, UTC, milliseconds). ``versions`` names the run behind each value (``key@run,key@run``).
    ``events`` are sent too, to destinations that receive events. ``identifiers`` is a JSON object with the current
    values of the traits by which the destination knows users. ``former`` has, by key, the names under which properties
    of the call were sent before, and which end with it.
    """

    user_id: UserId
    traits_json: str
    message_id: str
    timestamp: str
    versions: str = ""
    events: tuple[AudienceEvent, ...] = ()
    identifiers: str = "{}"
    former: tuple[tuple[str, str], ...] = ()

    @property
    def traits(self) -> dict[str, Any]:
        """The properties by key; integers of any size survive."""
        traits: dict[str, Any] = json.loads(self.traits_json)
        return traits
