"""Define guards, schedules and retention, and the types of their options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, WithJsonSchema

from audience_sync.config.read.units import duration_text, parse_duration, parse_share, parse_whole
from audience_sync.config.sections.base import Duration, StrictModel, text_form
from audience_sync.config.sections.cron import parse_cron
from audience_sync.model import HistoryKind
from audience_sync.text import unknown_name_message


@dataclass(frozen=True, slots=True)
class Threshold:
    """The limit for one run: a share of the members (1.0 is 100%, more is possible), or a count of users."""

    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, value: object) -> Self:
        """`30%`, `0.3` or a whole number. Raises ValueError."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value):
            return cls(count=parse_whole(value))
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(count=value)
        try:
            return cls(share=parse_share(value))
        except ValueError:
            raise ValueError("write a share such as `30%`, or a whole number of users") from None

    def __str__(self) -> str:
        return str(self.count) if self.share is None else f"{self.share * 100:g}%"


@dataclass(frozen=True, slots=True)
class MinStay:
    """How long a missing member stays a member: a number of runs, or a time."""

    runs: int | None = None
    time: timedelta | None = None

    @classmethod
    def parse(cls, value: object) -> Self:
        """`3 runs`, or a duration such as `2d`. Raises ValueError."""
        if isinstance(value, cls):
            return value
        match = re.fullmatch(r"\s*([1-9]\d*)\s*runs?\s*", value) if isinstance(value, str) else None
        if match:
            return cls(runs=parse_whole(match[1]))
        try:
            return cls(time=parse_duration(value))
        except ValueError:
            raise ValueError("write a number of runs such as `3 runs`, or a duration such as `2d`") from None

    def __str__(self) -> str:
        if self.time is not None:
            return duration_text(self.time)
        return "1 run" if self.runs == 1 else f"{self.runs} runs"


def _check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(unknown_name_message("time zone", name, available_timezones(), with_list=False)) from None
    return name


def _check_interval(time: timedelta) -> timedelta:
    if time > timedelta(days=366):
        raise ValueError(f"'{duration_text(time)}' is too long. The longest interval is one year. Example: 15m")
    return time


def _parse_holdout(value: object) -> float:
    share = parse_share(value)
    if share >= 1:
        raise ValueError(f"{share:.0%} would hold out every user. Use less than 100%.")
    return share


def _share_schema(*examples: str | int, percentage: str = r"\d+(\.\d+)?", **limits: float) -> WithJsonSchema:
    pattern = rf"^{percentage}\s*%$"
    schema = {"type": ["string", "number"], "pattern": pattern, "minimum": 0, **limits, "examples": list(examples)}
    return WithJsonSchema(schema)


ShareText = Annotated[float, BeforeValidator(parse_share), _share_schema("5%", maximum=1)]
ThresholdField = Annotated[Threshold, BeforeValidator(Threshold.parse), _share_schema("30%", 5000)]
MinStayField = Annotated[
    MinStay,
    BeforeValidator(MinStay.parse),
    WithJsonSchema(
        {"type": "string", "pattern": r"^([1-9]\d*\s*runs?|\d+(\.\d+)?(ms|s|m|h|d))$", "examples": ["3 runs", "2d"]}
    ),
]
HoldoutText = Annotated[
    float,
    BeforeValidator(_parse_holdout),
    _share_schema("10%", percentage=r"\d{1,2}(\.\d+)?", exclusiveMaximum=1, maximum=1),
]
TimeZone = Annotated[str, AfterValidator(_check_timezone)]
Cron = Annotated[str, AfterValidator(parse_cron), Field(examples=["*/15 * * * *"])]

_MAX_REMOVED = (
    "Maximum number of members who may leave in one run, or of users who may lose the value of a computed trait: a "
    "share of those before, or a count."
)
_MAX_ADDED = (
    "Maximum number of users who may enter in one run, as a share or a count; the first creation is not guarded."
)
_AT_LEAST = "Shares apply only if at least this number of rows changes, so that a small audience may change freely."
_TOLERANCE = "A held snapshot counts as the same while at most this share of the users that it would change differs."


class TotalGuard(StrictModel):
    """Limits for the changes of all audiences of a run together."""

    max_removed: ThresholdField | None = Field(
        default=None,
        description="Maximum number of members who may leave: a share of the members of all audiences, or a count.",
    )
    max_added: ThresholdField | None = Field(
        default=None, description="Maximum number of users who may enter, as a share or a count."
    )


class Guard(StrictModel):
    """Limits: a snapshot that would change more is held until a person approves or rejects it."""

    max_removed: ThresholdField = Field(default=Threshold(share=0.3), description=_MAX_REMOVED)
    max_added: ThresholdField = Field(default=Threshold(share=1.0), description=_MAX_ADDED)
    at_least: int = Field(default=100, ge=0, description=_AT_LEAST)
    tolerance: ShareText = Field(default=0.05, description=_TOLERANCE)
    together: TotalGuard = Field(
        default=TotalGuard(), description="Limits for all audiences of a run together, in addition to those of each."
    )

    @property
    def text(self) -> str:
        """Its own limits for people: ``max_removed 30%, max_added 100%, at_least 100, tolerance 5%``."""
        removed, added = f"max_removed {self.max_removed}", f"max_added {self.max_added}"
        return f"{removed}, {added}, at_least {self.at_least}, tolerance {self.tolerance * 100:g}%"


class TraitsGuard(StrictModel):
    """The guard of one entry of computed traits; an option that is not set has the value of the config's `guard`."""

    max_removed: ThresholdField | None = Field(default=None, description=_MAX_REMOVED)
    at_least: int | None = Field(default=None, ge=0, description=_AT_LEAST)
    tolerance: ShareText | None = Field(default=None, description=_TOLERANCE)

    def over(self, guard: Guard) -> Guard:
        own: dict[str, Any] = {name: value for name, value in self if value is not None}
        return guard.model_copy(update=own)


class GuardOverride(TraitsGuard):
    """The guard of one audience; an option that is not set has the value of the config's `guard`."""

    max_added: ThresholdField | None = Field(default=None, description=_MAX_ADDED)


class Retention(StrictModel):
    """How long the history is kept; the current state always stays. A single duration applies to all of it."""

    changes: Duration | None = Field(
        default=None,
        description="Ended memberships and previous trait values. The current ones stay, with the time since when. "
        "Changes that are pending at a destination stay too.",
    )
    requests: Duration | None = Field(default=None, description="Requests to destinations, with their answers.")
    invalid_rows: Duration | None = Field(
        default=None, validation_alias=AliasChoices("invalid_rows", "rejected_rows"), description="Invalid rows."
    )
    runs: Duration | None = Field(
        default=None,
        description="The results of runs per audience and per destination, the times of schedules, and resolved "
        "alerts. The runs themselves stay.",
    )

    def of(self, history: HistoryKind) -> timedelta | None:
        limits: dict[str, timedelta | None] = dict(self)
        return limits[history]


RetentionText = Annotated[Retention, text_form(Retention, *HistoryKind)]


class Schedule(StrictModel):
    """When to run: one of `cron` or `every`. A plain cron expression is allowed too."""

    cron: Cron | None = Field(
        default=None, description="The five fields of a crontab, or `@hourly`, `@daily` and so on."
    )
    every: Annotated[Duration, AfterValidator(_check_interval)] | None = Field(
        default=None, description="The time between two runs, such as `15m`; at most one year."
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="The time zone of `cron`; default: that of the config's `schedule`, else UTC.",
        examples=["Europe/Berlin"],
    )


ScheduleText = Annotated[Schedule, text_form(Schedule, "cron")]
