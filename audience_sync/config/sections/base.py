"""Which options has every destination? The base that each destination's own options extend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from audience_sync.config.read.paths import absolute_path
from audience_sync.config.read.units import parse_duration, parse_rate, parse_size
from audience_sync.config.sections.egress import CA_FILE, PROXY, PROXY_EXAMPLES, CaFile, ProxyText

#: The most that ``max_answer`` may be (bytes): every sender may hold one answer in memory.
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class StrictModel(BaseModel):
    """A part of the config: immutable, unknown names are problems, and no error repeats a value.

    Validators are built when they are used first: looking at the store needs few of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    Field(json_schema_extra={"pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$", "examples": ["5m"]}),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate, json_schema_input_type=str),
    Field(json_schema_extra={"pattern": r"^\d+(\.\d+)?/(s|m|h)$", "examples": ["50/s"]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=str),
    Field(json_schema_extra={"pattern": r"^\d+(\.\d+)?\s*[KMGTkmgt]?i?[Bb]$", "examples": ["768MB"]}),
]


class Events(StrictModel):
    """What track calls are named that tell of a user who entered or left an audience."""

    entered: str = Field(default="Audience Entered", min_length=1, description="The name where a user entered.")
    exited: str = Field(default="Audience Exited", min_length=1, description="The name where a user left.")


def _parse_events(value: object) -> object:
    """`true` is the names as they come, `false` none."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


EventsText = Annotated[Events | None, BeforeValidator(_parse_events, json_schema_input_type=bool | Events | None)]


def _check_answer_size(size: int) -> int:
    if not 64_000 <= size <= MAX_ANSWER_BYTES:
        raise ValueError("must be between 64KB and 4MiB")
    return size


class DestinationOptions(StrictModel):
    """Options that every destination has."""

    #: The options that name a file which the destination writes.
    written_files: ClassVar[tuple[str, ...]] = ()

    type: str = Field(description="Which protocol the destination speaks.")
    rate_limit: Rate | None = Field(default=None, description="Most requests in a time, such as `50/s`.")
    concurrency: int = Field(default=4, ge=1, le=64, description="Requests under way at once.")
    batch_size: int | None = Field(
        default=None, ge=1, description="Most calls in a request; default: what the destination takes."
    )
    timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="Time for one whole request, from connecting to the last byte.",
    )
    give_up_after: Duration = Field(
        default=timedelta(minutes=5),
        description="End the run's delivery after so long without progress; its calls stay pending.",
    )

    max_answer: Annotated[Size, AfterValidator(_check_answer_size)] | None = Field(
        default=None,
        description="Most that is read of an answer, `64KB` to `4MiB`; default: what the destination needs (1 MiB).",
        json_schema_extra={"examples": ["2MB"]},
    )
    events: EventsText = Field(
        default=None,
        description="`true`: a track call too for every user who enters or leaves an audience, once everyone has been "
        "told of it; `{entered: ..., exited: ...}` names them.",
    )

    ca_file: CaFile | None = Field(
        default=None, description=f"{CA_FILE}; default: the config's `ca_file`.", examples=["company-ca.pem"]
    )
    proxy: ProxyText | None = Field(
        default=None,
        repr=False,  # may hold a password
        description=f"{PROXY}; default: the config's `proxy`.",
        examples=PROXY_EXAMPLES,
    )

    def foreign_files(self) -> Iterator[tuple[str, str]]:
        """The options that name an existing file with content of another kind, each with what that means."""
        yield from ()

    def located(self, folder: Path) -> Self:
        """The options with their paths made absolute; ``folder`` is the config file's."""
        del folder
        return self

    def reached(self, folder: Path, ca_file: str | None, proxy: str | None) -> Self:
        """The options with the whole config's `ca_file` and `proxy` where they have none of their own."""
        own = absolute_path(self.ca_file, folder) if self.ca_file else ca_file
        return self.model_copy(update={"ca_file": own, "proxy": self.proxy or proxy})
