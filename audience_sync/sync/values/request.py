"""Define what a run is asked to do, and the ports that it works with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from audience_sync.model import RunId

if TYPE_CHECKING:  # the whole delivery, for a look at the schedules
    from audience_sync.config.models import AudienceConfig, Settings
    from audience_sync.delivery.deliver import DeliveryStats
    from audience_sync.destinations.base import Audiencing, Destination
    from audience_sync.sources.base import Source
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.runs.schedule_slots import Slot


class RunDependencies(Struct, frozen=True, kw_only=True):
    """The settings and ports of a run, which a project creates for each.

    ``destinations`` makes the configured destinations, by name. ``readable``: paths of files that SQL may read.
    ``frames``: by the key of an audience or a computed trait, or the column of a `names_from`, the name of the source
    that replaces the entry's own in this run.
    """

    settings: Settings
    store: Store
    sources: Mapping[str, Source]
    destinations: Callable[[Audiencing], Mapping[str, Destination]]
    profile_fields: frozenset[str] = frozenset()
    readable: Sequence[str] = ()
    frames: Mapping[str, str] = field(default_factory=dict)


class Selection(Struct, frozen=True, kw_only=True):
    """The part of the config that a run loads; None is all of it.

    ``audiences``: their keys. ``traits``: each computed trait is loaded with all others of its entry.
    ``entries``: the audience entries that are due on a schedule.
    """

    audiences: Sequence[str] | None = None
    traits: Sequence[str] | None = None
    entries: Sequence[AudienceConfig] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the run covers every audience of the config."""
        return self.audiences is None and self.entries is None

    def is_due(self, config: AudienceConfig) -> bool:
        return self.entries is None or any(config is each for each in self.entries)


class GuardExceptions(Struct, frozen=True, kw_only=True):
    """What a person lifts for this run alone.

    ``accepted``: keys whose guard and expectations do not apply. ``approved_holds``: ids of holds.
    ``accept_clock``: the clock is right, however far it is from the newest run.
    """

    accepted: Sequence[str] = ()
    approved_holds: Collection[int] = ()
    accept_clock: bool = False


class SendLimits(Struct, frozen=True, kw_only=True):
    """Limits on sending to each destination; None does not limit.

    ``share``: end the backfill when this share of the members (0 to 1) has been sent.
    """

    calls: int | None = None
    share: float | None = None
    users_per_second: float | None = None


class Request(Struct, frozen=True, kw_only=True):
    """What every run is asked, by a person or by a schedule.

    ``moves``: from retired keys to the new keys of the same audiences. ``slots``: the scheduled times that the run
    serves. ``reason``: why a person asks for it. The properties below answer for one kind of request what others have
    not.
    """

    command: str
    exceptions: GuardExceptions = field(default_factory=GuardExceptions)
    limits: SendLimits = field(default_factory=SendLimits)
    moves: Mapping[str, str] = field(default_factory=dict)
    slots: Sequence[Slot] = ()
    reason: str | None = None

    @property
    def selection(self) -> Selection:
        return Selection()

    @property
    def reads_sources(self) -> bool:
        """Whether snapshots are loaded; retire and undo work with stored data alone."""
        return True

    @property
    def covers_all(self) -> bool:
        """Whether the run loads every audience of the config."""
        return False

    @property
    def seeded_key(self) -> str | None:
        return None

    @property
    def retired_key(self) -> str | None:
        return None

    def resends(self, key: str) -> bool:
        """Whether everything of this property is sent again, so that its damaged snapshot files may be rebuilt."""
        return False

    def retries(self, destination: str) -> bool:
        """Whether the calls that this destination has refused are sent again."""
        return False


class Sync(Request, frozen=True, kw_only=True):
    """Load, diff and deliver what is selected; also for a schedule, an approval and a plan."""

    command: str = "sync"
    selection: Selection = field(default_factory=Selection)

    @property
    def covers_all(self) -> bool:
        return self.selection.is_whole


class Seed(Request, frozen=True, kw_only=True):
    """Backfill one audience. ``baseline``: record its members and send nothing."""

    command: str = "seed"
    key: str
    baseline: bool = False

    @property
    def selection(self) -> Selection:
        return Selection(audiences=(self.key,))

    @property
    def seeded_key(self) -> str:
        return self.key


class Resync(Request, frozen=True, kw_only=True):
    """Send everything of the selected audiences (all of them: of every property) again, to one or all destinations."""

    command: str = "resync"
    selection: Selection = field(default_factory=Selection)
    destination: str | None = None

    @property
    def covers_all(self) -> bool:
        return self.selection.is_whole

    def resends(self, key: str) -> bool:
        return self.selection.audiences is None or key in self.selection.audiences


class Retry(Request, frozen=True, kw_only=True):
    """A sync that also sends refused calls again, with the newest values, to one or all destinations."""

    command: str = "retry"
    destination: str | None = None

    @property
    def covers_all(self) -> bool:
        return True

    def retries(self, destination: str) -> bool:
        return self.destination in (None, destination)


class Retire(Request, frozen=True, kw_only=True):
    """Send `false` (`null` for a computed trait) to everyone who has one property, and close its key for good."""

    command: str = "retire"
    key: str

    @property
    def reads_sources(self) -> bool:
        return False

    @property
    def retired_key(self) -> str:
        return self.key


class Undo(Request, frozen=True, kw_only=True):
    """Reverse the changes of one run."""

    undone_run: RunId

    @property
    def reads_sources(self) -> bool:
        return False


RunRequest = Sync | Seed | Resync | Retry | Retire | Undo


class ProgressListener(Struct, frozen=True):
    """Receives the progress of a run: the entry that is loaded, and the counts of each delivery."""

    loading: Callable[[str], None] = field(default=lambda what: None)
    delivering: Callable[[DeliveryStats], None] = field(default=lambda stats: None)
