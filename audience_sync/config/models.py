"""What may stand in config.yaml? Every part, its defaults, and what it does.

The descriptions become the reference (docs/configuration.md) and the JSON Schema. Rules that span several
parts are in `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny

from audience_sync.config.sections.base import DestinationOptions, Size, StrictModel
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
from audience_sync.config.sections.snapshot import RowsConfig, SnapshotConfig, SourceConfig, Text
from audience_sync.keys import explicit_key, explicit_trait_key, snake_key, trait_key
from audience_sync.model import InitialSync

TraitType = Literal["text", "number", "boolean", "date", "json"]


class AudienceConfig(SnapshotConfig):
    """An audience, or (`names_from`) one per distinct value of a column."""

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
        default=None, description="When this audience runs; default: as the config's `schedule` says."
    )
    guard: GuardOverride | None = Field(default=None, description="This audience's own limits.")
    destinations: list[Text] | None = Field(
        default=None, description="The destinations that are told; default: all of them."
    )
    initial: InitialSync = Field(
        default=InitialSync.ALL,
        description="What the first creation does: `all` sends `true` to every member, `none` records them "
        "without sending, `manual` waits for `audience-sync seed KEY`.",
    )

    min_stay: MinStayField | None = Field(
        default=None,
        description="Who is missing from a snapshot stays a member for so many runs more, or so long: `false` is only "
        "sent to those who don't come back within it.",
    )
    holdout: HoldoutText | None = Field(
        default=None,
        description="This share of the users is never told `true`, the same users always, so that the effect of a "
        "campaign can be measured.",
    )

    @cached_property
    def property_key(self) -> str | None:
        """The key, as given or derived; None for `names_from`. Raises KeyRefusedError."""
        if self.key is not None:
            return explicit_key(self.key)
        return None if self.name is None else snake_key(self.name)


class TraitConfig(StrictModel):
    """A computed trait: a column, alone or with more to say."""

    column: Text = Field(description="The column of the values.")
    name: Text | None = Field(default=None, description="The trait's name, if it isn't the column's.")
    key: Text | None = Field(default=None, description="The property's key; default: derived from the name.")
    type: TraitType | None = Field(
        default=None, description="What the values are; default: what the source says they are."
    )

    @cached_property
    def property_key(self) -> str:
        """The key, as given or derived. Raises KeyRefusedError."""
        return trait_key(self.name or self.column) if self.key is None else explicit_trait_key(self.key)


def _parse_trait(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


TraitText = Annotated[TraitConfig, BeforeValidator(_parse_trait, json_schema_input_type=str | TraitConfig)]


class SuppressedConfig(RowsConfig):
    """A list of users who are never sent anything."""


class AliasConfig(RowsConfig):
    """A list of ids that users had before: of each row's `previous_id` everything goes to its `user_id`."""

    previous_id: Text = Field(default="previous_id", description="The column of the ids that are left.")


class ComputedTraitsConfig(SnapshotConfig):
    """Computed traits that are read in one pass."""

    traits: list[TraitText] = Field(
        min_length=1,
        description="Columns; `{column, name, key, type}` where there is more to say than its name.",
    )
    guard: TraitsGuard | None = Field(default=None, description="The own limits of each of these traits.")

    @cached_property
    def columns(self) -> Mapping[str, TraitConfig]:
        """The traits by key."""
        return {trait.property_key: trait for trait in self.traits}


class StoreConfig(StrictModel):
    """What is needed to look at the store."""

    store: Text = Field(
        default="sqlite:///audience_sync.db",
        repr=False,  # may hold a password
        description="The database that keeps everything: SQLite, or PostgreSQL in production.",
        examples=["postgresql://audience_sync@db.example.com/audience_sync"],
    )
    memory_limit: Size = Field(
        default=768_000_000, description="Memory for the whole process; more is spilled into temporary files."
    )


class StoreSettings(StoreConfig):
    """The part of the config that is enough for looking at the store, with its variables resolved."""

    #: Values that may appear in no output, the longest first.
    secrets: tuple[str, ...] = Field(default=(), repr=False, exclude=True)


class ConfigFile(StoreConfig):
    """What is synced, from where, to where, and when."""

    sources: dict[str, SourceConfig] = Field(default={}, description="Where snapshots come from, by name.")
    audiences: list[AudienceConfig] = Field(default=[], description="The audiences.")
    priority_groups: dict[str, list[Text]] = Field(
        default={},
        description="By name, audiences (names or keys, stored keys too) in the order in which they go: a user is in "
        "at most one of a group's audiences, the first.",
        examples=["{campaign: [VIP, At Risk, Everyone]}"],
    )
    computed_traits: list[ComputedTraitsConfig] = Field(
        default=[],
        description="The computed traits. Several entries may feed one user; one trait comes from one.",
    )
    suppressed: list[SuppressedConfig] = Field(
        default=[],
        description="Lists of users who are never sent anything, not even `false`; beside those of "
        "`audience-sync suppress`.",
    )
    aliases: list[AliasConfig] = Field(
        default=[],
        description="Lists of users who have another id now: memberships and traits go with them, and destinations "
        "that can join two users are told to.",
    )
    destinations: dict[str, SerializeAsAny[DestinationOptions]] = Field(
        default={}, description="Where identify calls go, by name."
    )
    ca_file: CaFile | None = Field(
        default=None,
        description=f"{CA_FILE}: for every destination, `notify` and `ping`. A relative path counts from the config "
        "file.",
        examples=["company-ca.pem"],
    )
    proxy: ProxyText | None = Field(
        default=None,
        repr=False,  # may hold a password
        description=f"{PROXY}: for every destination, `notify` and `ping`. Default: none; the variables are not read.",
        examples=PROXY_EXAMPLES,
    )
    schedule: ScheduleText | None = Field(
        default=None,
        description="When `audience-sync schedule` runs everything that has no schedule of its own.",
    )
    notify: Notify = Field(default=Notify(), description="Who is told when something needs a look.")
    metrics: Metrics = Field(default=Metrics(), description="Where Prometheus finds the numbers.")
    guard: Guard = Field(default=Guard(), description="Which changes are too many to be believed.")
    members_table: bool = Field(
        default=True, description="Keep the plain table of the current members, which the view reads."
    )
    retention: RetentionText = Field(
        default=Retention(), description="How long the history is kept; default: for ever.", examples=["400d"]
    )
    environments: dict[str, dict[str, Any]] = Field(
        default={}, repr=False, description="By name, what `--env NAME` overrides in the rest of the config."
    )


class Settings(ConfigFile):
    """The checked config, with every path and variable resolved."""

    #: The config file's folder: what relative paths are relative to.
    folder: Path
    environment: str | None = None
    #: Files whose content stands for a `${file:...}`.
    files_read: tuple[str, ...] = Field(default=(), exclude=True)
    #: Values that may appear in no output, the longest first.
    secrets: tuple[str, ...] = Field(default=(), repr=False, exclude=True)

    def guard_of(self, entry: AudienceConfig | ComputedTraitsConfig) -> Guard:
        """The entry's own limits over the config's."""
        return entry.guard.over(self.guard) if entry.guard else self.guard

    @property
    def general_schedule(self) -> Schedule | None:
        """The config's, with its time zone."""
        return self.schedule and self.schedule.model_copy(update={"timezone": self.timezone})

    def schedule_of(self, audience: AudienceConfig) -> Schedule | None:
        """The audience's own schedule or the config's, with its time zone; None: only when asked."""
        schedule = audience.schedule or self.schedule
        return schedule and schedule.model_copy(update={"timezone": schedule.timezone or self.timezone})

    def destinations_of(self, audience: AudienceConfig) -> Sequence[str]:
        """The names of the destinations that are told of the audience."""
        return tuple(self.destinations if audience.destinations is None else audience.destinations)

    @property
    def timezone(self) -> str:
        return (self.schedule and self.schedule.timezone) or "UTC"
