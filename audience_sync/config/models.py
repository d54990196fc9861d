"""Define the sections of config.yaml as models, with defaults and descriptions.

The descriptions become the reference (docs/configuration.md) and the JSON Schema. Rules that span several sections are
in `validate.cross_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from audience_sync.config.read.paths import DEFAULT_STORE
from audience_sync.config.sections.base import DestinationOptions, Size, StrictModel, TableSizeText, Text, text_form
from audience_sync.config.sections.egress import CA_FILE, PROXY, PROXY_EXAMPLES, CaFile, ProxyText
from audience_sync.config.sections.guard import (
    Guard,
    GuardOverride,
    HoldoutText,
    MinStayField,
    Retention,
    RetentionText,
    Schedule,
    ScheduleText,
    TraitsGuard,
)
from audience_sync.config.sections.metrics import Metrics
from audience_sync.config.sections.notify import Notify
from audience_sync.config.sections.on_run import RunHooks
from audience_sync.config.sections.snapshot import RowsConfig, SnapshotConfig, SourceConfig
from audience_sync.keys import explicit_key, explicit_trait_key, snake_key, trait_key
from audience_sync.model import InitialSync

TraitType = Literal["text", "number", "boolean", "date", "json"]


class AudienceConfig(SnapshotConfig):
    """An audience, or with `names_from` one audience per distinct value of a column."""

    name: Text | None = Field(
        default=None,
        description="The audience's name; its key is derived from it.",
        examples=["Big Spenders"],
    )
    names_from: Text | None = Field(
        default=None,
        description="Instead of `name`: one audience per distinct value of this column, read in one pass.",
    )
    key: Text | None = Field(
        default=None,
        description="The property's key (`a-z`, `0-9` and `_`); default: the name in snake case.",
    )
    schedule: ScheduleText | None = Field(
        default=None, description="When this audience runs; default: the config's `schedule`."
    )
    guard: GuardOverride | None = Field(default=None, description="This audience's own limits.")
    destinations: list[Text] | None = Field(
        default=None, description="The destinations that receive this audience; default: all."
    )
    initial: InitialSync = Field(
        default=InitialSync.ALL,
        description="What the first run does: `all` sends `true` to every member, `none` records the members "
        "without sending, `manual` waits for `audience-sync seed KEY`.",
    )

    min_stay: MinStayField | None = Field(
        default=None,
        description="A user who is missing from the snapshot stays a member for this number of runs or this time. "
        "`false` is sent only to users who don't come back within it.",
    )
    holdout: HoldoutText | None = Field(
        default=None,
        description="This share of the users never receives `true`, always the same users, so that the effect of a "
        "campaign can be measured.",
    )

    @cached_property
    def property_key(self) -> str | None:
        """The explicit or derived key; None for `names_from`. Raises KeyRefusedError."""
        if self.key is not None:
            return explicit_key(self.key)
        return None if self.name is None else snake_key(self.name)


class TraitConfig(StrictModel):
    """A computed trait: a column, and how its values are named and sent."""

    column: Text = Field(description="The column that has the values.")
    name: Text | None = Field(default=None, description="The trait's name; default: the column's name.")
    key: Text | None = Field(default=None, description="The property's key; default: derived from the name.")
    type: TraitType | None = Field(
        default=None, description="The type of the values; default: the type that the source reports."
    )

    @cached_property
    def property_key(self) -> str:
        """The explicit or derived key. Raises KeyRefusedError."""
        return trait_key(self.name or self.column) if self.key is None else explicit_trait_key(self.key)


TraitText = Annotated[TraitConfig, text_form(TraitConfig, "column")]


class SuppressedConfig(RowsConfig):
    """A list of users about whom nothing is ever sent."""


class AliasConfig(RowsConfig):
    """A list of previous ids: what belongs to a row's `previous_id` moves to its `user_id`."""

    previous_id: Text = Field(default="previous_id", description="The column of the previous ids.")


class ComputedTraitsConfig(SnapshotConfig):
    """Computed traits that are read together from one file or query."""

    traits: list[TraitText] = Field(
        min_length=1,
        description="Columns: names, or mappings `{column, name, key, type}`.",
    )
    guard: TraitsGuard | None = Field(default=None, description="Limits for each of these traits.")
    destinations: list[Text] | None = Field(
        default=None, description="The destinations that receive these traits; default: all."
    )

    @cached_property
    def columns(self) -> Mapping[str, TraitConfig]:
        """The traits by key."""
        return {trait.property_key: trait for trait in self.traits}


class StoreConfig(StrictModel):
    """The options that reading the store needs."""

    store: Text = Field(
        default=DEFAULT_STORE,
        repr=False,  # may hold a password
        description="The database that keeps everything: SQLite, or PostgreSQL in production.",
        examples=["postgresql://audience_sync@db.example.com/audience_sync"],
    )
    memory_limit: Size = Field(
        default=768_000_000, description="Memory for the whole process; what needs more is spilled to temporary files."
    )


class StoreSettings(StoreConfig):
    """The store's part of the config, with its variables resolved."""

    #: Secrets that no output may show, the longest first.
    secrets: tuple[str, ...] = Field(default=(), repr=False, exclude=True)


class ConfigFile(StoreConfig):
    """The whole config file: what is synced, from where, to where, and when."""

    state: Text | None = Field(
        default=None,
        description="A folder in a bucket that keeps the snapshots in place of the store: a URL that fsspec supports. "
        "Credentials come from the environment. Default: the store keeps them.",
        examples=["s3://bucket/audience_sync"],
    )
    sources: dict[str, SourceConfig] = Field(default={}, description="Where snapshots come from, by name.")
    audiences: list[AudienceConfig] = Field(default=[], description="The audiences.")
    priority_groups: dict[str, list[Text]] = Field(
        default={},
        description="By name, a list of audiences (names, keys or stored keys), the most important first: a user is in "
        "at most one audience of a group, the first that has them.",
        examples=["{campaign: [VIP, At Risk, Everyone]}"],
    )
    computed_traits: list[ComputedTraitsConfig] = Field(
        default=[],
        description="The computed traits. Several entries may describe the same user; each trait comes from one entry.",
    )
    suppressed: list[SuppressedConfig] = Field(
        default=[],
        description="Lists of users about whom nothing is ever sent, not even `false`, in addition to the users of "
        "`audience-sync suppress`.",
    )
    aliases: list[AliasConfig] = Field(
        default=[],
        description="Lists of users whose id has changed: memberships and traits move to the new id, and destinations "
        "that can merge two users receive an alias call.",
    )
    destinations: dict[str, SerializeAsAny[DestinationOptions]] = Field(
        default={}, description="Where identify calls go, by name."
    )
    ca_file: CaFile | None = Field(
        default=None,
        description=f"{CA_FILE}: for every destination, `notify`, `ping` and `on_run`. A relative path is relative to "
        "the config file.",
        examples=["company-ca.pem"],
    )
    proxy: ProxyText | None = Field(
        default=None,
        repr=False,  # may hold a password
        description=f"{PROXY}: for every destination, `notify`, `ping` and `on_run`. Default: none; the variables are "
        "not read.",
        examples=PROXY_EXAMPLES,
    )
    schedule: ScheduleText | None = Field(
        default=None,
        description="When `audience-sync schedule` runs everything without a `schedule` of its own.",
    )
    notify: Notify = Field(default=Notify(), description="Where alerts go, and about what.")
    on_run: RunHooks = Field(
        default=[], description="Where the summary of every run is posted, as a signed webhook: one hook, or a list."
    )
    metrics: Metrics = Field(default=Metrics(), description="Where Prometheus reads the metrics.")
    guard: Guard = Field(default=Guard(), description="Limits for how much a snapshot may change.")
    members_table: bool = Field(
        default=True, description="Keep a plain table of the current members, which the view `audience_members` reads."
    )
    trait_values_table: TableSizeText = Field(
        default=1_000_000,
        description="Keep a table of the current values of computed traits, which the view `trait_values` reads: "
        "`true`, `false`, or while the store has at most so many values (users times traits).",
    )
    retention: RetentionText = Field(
        default=Retention(), description="How long the history is kept; default: forever.", examples=["400d"]
    )
    environments: dict[str, dict[str, Any]] = Field(
        default={}, repr=False, description="By name, what `--env NAME` overrides in the rest of the config."
    )


class Settings(ConfigFile):
    """The checked config, with every path and variable resolved."""

    #: The config file's folder, the base of relative paths.
    folder: Path
    environment: str | None = None
    #: Files that a `${file:...}` reads.
    files_read: tuple[str, ...] = Field(default=(), exclude=True)
    #: Secrets that no output may show, the longest first.
    secrets: tuple[str, ...] = Field(default=(), repr=False, exclude=True)

    def guard_of(self, entry: AudienceConfig | ComputedTraitsConfig) -> Guard:
        """The config's limits, overridden by the entry's own."""
        return entry.guard.over(self.guard) if entry.guard else self.guard

    @property
    def general_schedule(self) -> Schedule | None:
        """The config's schedule, with its time zone."""
        return self.schedule and self.schedule.model_copy(update={"timezone": self.timezone})

    def schedule_of(self, audience: AudienceConfig) -> Schedule | None:
        """The audience's or the config's schedule, with its time zone; None: it runs by command only."""
        schedule = audience.schedule or self.schedule
        return schedule and schedule.model_copy(update={"timezone": schedule.timezone or self.timezone})

    def destinations_of(self, audience: AudienceConfig) -> Sequence[str]:
        """The names of the destinations that receive the audience."""
        return tuple(self.destinations if audience.destinations is None else audience.destinations)

    def traits_of(self, destination: str) -> Sequence[str]:
        """The keys of the computed traits that a destination receives, by its own option and by those of the traits."""
        options = self.destinations.get(destination)
        own = None if options is None else options.traits
        entries = [
            each for each in self.computed_traits if each.destinations is None or destination in each.destinations
        ]
        return [key for each in entries for key in each.columns if own is None or key in own]

    @property
    def timezone(self) -> str:
        return (self.schedule and self.schedule.timezone) or "UTC"
