"""Define the base of all sections, the units of options, and the options that every destination has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt

from audience_sync.config.read.paths import absolute_path
from audience_sync.config.read.units import parse_duration, parse_rate, parse_size, parse_whole
from audience_sync.config.sections.egress import CA_FILE, PROXY, PROXY_EXAMPLES, CaFile, ProxyText
from audience_sync.model import USER_ID

#: The upper limit of ``max_answer`` in bytes: each sender may hold one answer in memory.
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class StrictModel(BaseModel):
    """A section of the config: immutable, without unknown options, and with errors that repeat no value.

    pydantic builds a validator at its first use: commands that read only the store need few of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


def text_form(section: type[BaseModel], *options: str) -> BeforeValidator:
    """Allow a plain value instead of a section: the value of these options."""

    def parse(value: object) -> object:
        return dict.fromkeys(options, value) if isinstance(value, str | timedelta) else value

    return BeforeValidator(parse, json_schema_input_type=str | section)


Text = Annotated[str, Field(min_length=1)]
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


def _parse_table_size(value: object) -> bool | int:
    """`true`, `false` or a whole number; as a text, if it comes from a variable."""
    if isinstance(value, bool) or (isinstance(value, int) and value >= 0):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in ("true", "false"):
        return text == "true"
    if not text.isdecimal():
        raise ValueError("write true, false, or a whole number of values (users times traits)")
    return parse_whole(text)


TableSizeText = Annotated[bool | int, BeforeValidator(_parse_table_size, json_schema_input_type=bool | NonNegativeInt)]


class Events(StrictModel):
    """The names of the track calls for users who enter or leave an audience."""

    entered: Text = Field(default="Audience Entered", description="The name of the call for a user who entered.")
    exited: Text = Field(default="Audience Exited", description="The name of the call for a user who left.")


def _parse_events(value: object) -> object:
    """`true` means the default names, `false` no track calls."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value


EventsText = Annotated[Events | None, BeforeValidator(_parse_events, json_schema_input_type=bool | Events | None)]


def _check_answer_size(size: int) -> int:
    if not 64_000 <= size <= MAX_ANSWER_BYTES:
        raise ValueError("must be between 64KB and 4MiB")
    return size


class DestinationOptions(StrictModel):
    """Options that every destination has."""

    #: Options that name a file that the destination writes.
    written_files: ClassVar[tuple[str, ...]] = ()

    type: str = Field(description="The type of the destination.")
    rate_limit: Rate | None = Field(
        default=None, description="Maximum number of requests per second, minute or hour, such as `50/s`."
    )
    concurrency: int = Field(default=4, ge=1, le=64, description="Number of requests in flight at the same time.")
    batch_size: int | None = Field(
        default=None, ge=1, description="Maximum number of calls per request; default: what the destination accepts."
    )
    timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="Time limit for one whole request, from connecting to the last byte.",
    )
    give_up_after: Duration = Field(
        default=timedelta(minutes=5),
        description="The delivery of a run stops after this time without progress; its calls stay pending.",
    )

    max_answer: Annotated[Size, AfterValidator(_check_answer_size)] | None = Field(
        default=None,
        description="Maximum size of an answer, `64KB` to `4MiB`; default: what the destination needs (1 MiB).",
        json_schema_extra={"examples": ["2MB"]},
    )
    events: EventsText = Field(
        default=None,
        description="`true`: also send a track call for every user who enters or leaves an audience, after the "
        "audience's backfill is complete; `{entered: ..., exited: ...}` sets their names.",
    )

    user_id: str | None = Field(
        default=None,
        description="How the destination knows a user: `user_id`, or a computed trait such as `email`; default: "
        "`user_id`, unless its type has another one.",
        examples=["email"],
    )
    identifiers: list[str] | None = Field(
        default=None,
        description="Computed traits whose current values travel with every call and event, such as `[email, phone]`.",
    )
    traits: list[str] | None = Field(
        default=None, description="The computed traits that the destination receives; default: all; `[]`: none."
    )
    rename: dict[str, str] = Field(
        default_factory=dict, description="The names of audiences and computed traits at this destination, by key."
    )
    hash: list[str] = Field(
        default_factory=list,
        description="Computed traits that are sent as SHA-256: trimmed and in lower case, phone numbers in E.164.",
    )
    on_null: Literal["send", "skip"] = Field(
        default="send", description="`skip`: a trait that lost its value keeps the old one at the destination."
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

    @property
    def known_by(self) -> str:
        """How the destination knows a user: USER_ID, or the key of a computed trait."""
        return self.user_id or USER_ID

    @property
    def id_kind(self) -> str:
        """What the id of a user is at the service, if it is not what the type's default means."""
        return ""

    def foreign_files(self) -> Iterator[tuple[str, str]]:
        """Options that name an existing file with foreign content, each with the problem."""
        yield from ()

    def located(self, folder: Path) -> Self:
        """The options with absolute paths; ``folder`` is the folder of the config file."""
        del folder
        return self

    def reached(self, folder: Path, ca_file: str | None, proxy: str | None) -> Self:
        """The options with the config's `ca_file` and `proxy` as defaults."""
        own = absolute_path(self.ca_file, folder) if self.ca_file else ca_file
        return self.model_copy(update={"ca_file": own, "proxy": self.proxy or proxy})
