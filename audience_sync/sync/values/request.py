"""What is a run asked to do, and with what?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.delivery.deliver import DeliveryStats
from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.sources.base import Source
from audience_sync.store.connection.engine import Store
from audience_sync.store.runs.schedule_slots import Slot


@dataclass(frozen=True, slots=True)
class RunDependencies:
    """What a run works with: put together once, by the command line.

    ``destinations`` makes the configured destinations, by name. ``readable``: the places whose files SQL may read.
    """

    settings: Settings
    store: Store
    sources: Mapping[str, Source]
    destinations: Callable[[Audiencing], Mapping[str, Destination]]
    profile_fields: frozenset[str] = frozenset()
    readable: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a person or the clock asked for.

    ``keys``: only these audiences (None = all), ``traits``: only the computed traits read together with one of these.
    ``accept``: keys whose guard is lifted this once. ``approves``: the holds that a person lets through, by id.
    ``resync``: tell everything again, of ``keys`` and (``destination``) to this one alone.
    ``retry``: send what (``destination``) has refused again, with the newest values.
    ``retire``: the one audience or computed trait that is closed for good; nothing else is loaded.
    ``moves``: from keys that are closed for good to the new ones of the same audiences.
    ``seed``: the one audience to seed; with ``baseline`` nothing is sent, with ``most`` only so many calls
    are, at ``rate`` users a second; with ``share`` (0 to 1) until that share of the members has been told.
    ``undoes``: take back what this run changed, instead of asking the sources.
    ``accept_clock``: the clock is right, however far it is from the newest run.
    ``slots``: the times of schedules that the run is for, ``due``: only the audiences of these entries of the config.
    """

    command: str = "sync"
    keys: Collection[str] | None = None
    accept_keys: Collection[str] = ()
    approves: Collection[int] = ()
    traits: Collection[str] | None = None
    resync: bool = False
    destination: str | None = None
    retry: bool = False
    retire: str | None = None
    moves: Mapping[str, str] = field(default_factory=dict)
    seed: str | None = None
    baseline: bool = False
    max_calls: int | None = None
    share: float | None = None
    rate: float | None = None
    undoes: int | None = None
    accept_clock: bool = False
    slots: Sequence[Slot] = ()
    only_entries: Sequence[AudienceConfig] | None = None

    def resyncs(self, key: str) -> bool:
        return self.resync and (self.keys is None or key in self.keys)


@dataclass(frozen=True, slots=True)
class ProgressListener:
    """Who is told how a run is getting on: what is loaded, and each destination's tally."""

    loading: Callable[[str], None] = field(default=lambda what: None)
    delivering: Callable[[DeliveryStats], None] = field(default=lambda stats: None)
