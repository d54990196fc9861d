"""How does Segment's HTTP tracking API take identify calls? ``POST /v1/batch``."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import orjson
from pydantic import ConfigDict, Field, JsonValue

from audience_sync.config.options import DestinationOptions
from audience_sync.destinations.answers import (
    STATUSES,
    StatusTable,
    excerpt,
    judge_status,
    status_reason,
)
from audience_sync.destinations.base import (
    Answer,
    Audiencing,
    HttpDestination,
    HttpRequest,
    Judgement,
    Limits,
    Meaning,
    Message,
)
from audience_sync.destinations.identify import (
    identify_bytes,
    json_bytes,
    message_tail,
    object_json,
    part_id,
    properties,
)
from audience_sync.destinations.personas import personas_context
from audience_sync.destinations.settings import BaseUrl, Key
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall

#: Segment documents KB. The decimal reading is the smaller one: what is too big gets a 200 and is dropped.
MESSAGE_BYTES = 32_000
BATCH_BYTES = 500_000
BATCH_MESSAGES = 2_500
#: From 300 traits on an identify is dropped, silently.
MESSAGE_TRAITS = 299

SEGMENT_STATUSES = StatusTable(
    {**STATUSES, 410: Meaning.RETRY, 460: Meaning.RETRY}  # by Segment's own clients; 400, 413, 422 are final
)

#: The traits that Segment's identify gives a meaning (docs: spec/identify), and the words of its audiences.
PROFILE_FIELDS = frozenset(
    {"address", "age", "avatar", "birthday", "company", "createdat", "description", "email", "firstname"}
    | {"gender", "id", "lastname", "name", "phone", "title", "username", "website"}
    | {"audiencekey", "traitkey", "userid", "anonymousid"}
)


class SegmentOptions(DestinationOptions):
    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["segment"] = Field("segment", description="Segment's HTTP tracking API, or a compatible server.")
    write_key: Key = Field(description="The write key of the source, best as `${SEGMENT_WRITE_KEY}`.")
    url: BaseUrl = Field(
        "https://api.segment.io",
        description="Where the API is; `https://events.eu1.segmentapis.com` for a workspace in the EU.",
    )
    envelope: Literal["plain", "personas"] = Field(
        "plain",
        description="`plain`: one message per user. `personas`: one per user and property, with "
        "`context.personas`, as destinations that take audiences need it.",
    )
    integrations: dict[str, JsonValue] | None = Field(
        None, description="Which destinations in Segment get the calls, such as `{All: false, Braze: true}`."
    )
    gzip: bool = Field(False, description="Compress requests.")


class SegmentDestination(HttpDestination):
    """Messages carry no ``sentAt`` and neither does the batch: a repeat is the same bytes."""

    Options = SegmentOptions
    options: SegmentOptions
    profile_fields = PROFILE_FIELDS

    def __init__(self, options: SegmentOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        key = options.write_key.get_secret_value()
        basic = b64encode(f"{key}:".encode()).decode()
        self._secrets = (key, basic)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Basic {basic}"}
        self._end = b'],"writeKey":' + json_bytes(key) + b"}"
        self._more: Mapping[str, Any] = {} if options.integrations is None else {"integrations": options.integrations}
        self._tail = message_tail({}, self._more)
        self._personas = options.envelope == "personas"
        self._tails: dict[tuple[str, bool], str] = {}

    @property
    def limits(self) -> Limits:
        """The envelope and the commas between the messages are taken off the bytes."""
        messages = min(self.options.batch_size or BATCH_MESSAGES, BATCH_MESSAGES)
        return Limits(messages, BATCH_BYTES - BATCH_MESSAGES - len(b'{"batch":[') - len(self._end))

    @property
    def address(self) -> str:
        return f"{self.options.url.removesuffix('/v1')}/v1/batch"

    def encode(self, call: IdentifyCall) -> list[Message]:
        if self._personas:
            return [self._about_one(call, key, value) for key, value in properties(call.traits_json)]
        if call.traits_json.count(",") < MESSAGE_TRAITS:  # that few commas part at most so many traits
            body = identify_bytes(call, call.message_id, call.traits_json, self._tail)
            if len(body) <= MESSAGE_BYTES:
                return [Message(call.message_id, body)]
        return list(self._split(call))

    def _split(self, call: IdentifyCall) -> Iterator[Message]:
        """As many messages as the limits need, told apart by their first trait."""
        room = MESSAGE_BYTES - len(identify_bytes(call, part_id(call.message_id, ""), "{}", self._tail))
        for traits in _packed(properties(call.traits_json), room):
            yield _part(call, traits, self._tail)

    def _about_one(self, call: IdentifyCall, key: str, value: str) -> Message:
        return _part(call, [(key, value)], self._personas_tail(key, value in ("true", "false")))

    def _personas_tail(self, key: str, is_boolean: bool) -> str:
        """The same for every user, so it is made once per key."""
        tail = self._tails.get((key, is_boolean))
        if tail is None:
            personas = personas_context(self.about, key, is_boolean=is_boolean)
            tail = self._tails[key, is_boolean] = message_tail({"personas": personas}, self._more)
        return tail

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        body = b'{"batch":[' + b",".join(message.body for message in messages) + self._end
        if not self.options.gzip:
            return HttpRequest("POST", self.address, self._headers, body)
        return HttpRequest("POST", self.address, self._headers | {"Content-Encoding": "gzip"}, _gzip(body))

    def judge(self, answer: Answer) -> Judgement:
        said = excerpt(answer.body, self._secrets)
        judgement = judge_status(answer, SEGMENT_STATUSES, said)
        if judgement.meaning is not Meaning.DELIVERED or answer.status is None:
            return judgement
        meaning, reason = judge_body(answer.body)
        return Judgement(meaning, reason and status_reason(answer.status, f"{reason} ({said})"), answer.status)


def judge_body(body: bytes) -> tuple[Meaning, str]:
    """What a success says. A status alone proves nothing: a proxy says 200 too, and so does half an answer.

    ======================================  =========
    a JSON object (``{"success": true}``)   delivered
    ... with ``success`` other than true    refused
    ``ok`` (RudderStack), ``"ok"``          delivered
    nothing at all, said completely         delivered
    a page, half an object, anything else   retry
    ======================================  =========

    That an answer without a body was complete is the transport's to say: its headers had an end.
    """
    if not body.strip() or body.strip().strip(b'"').lower() == b"ok":
        return Meaning.DELIVERED, ""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return Meaning.RETRY, "but not in the words of a tracking API"
    if said.get("success", True) not in (True, "true"):
        return Meaning.REFUSED, "but without success"
    return Meaning.DELIVERED, ""


def _part(call: IdentifyCall, traits: Sequence[tuple[str, str]], tail: str) -> Message:
    """Raises UnsendableError where even one trait is too much for a message."""
    message_id = part_id(call.message_id, traits[0][0])
    body = identify_bytes(call, message_id, object_json(traits), tail)
    if len(body) > MESSAGE_BYTES:
        raise UnsendableError(
            f"'{traits[0][0]}' makes a message of {len(body):,} bytes and Segment takes {MESSAGE_BYTES:,}: "
            "shorten the value at its source"
        )
    return Message(message_id, body)


def _packed(parts: Sequence[tuple[str, str]], room: int) -> Iterator[list[tuple[str, str]]]:
    """The traits in groups that fit a message: 299 of them, ``room`` bytes together."""
    group: list[tuple[str, str]] = []
    used = 0
    for part in parts:
        size = len(object_json([part]).encode())
        if group and (len(group) == MESSAGE_TRAITS or used + size > room):
            yield group
            group, used = [], 0
        group.append(part)
        used += size
    if group:
        yield group


def _gzip(body: bytes) -> bytes:
    """Level 1, and no time of day in the header: the same bytes every time."""
    compressor = zlib.compressobj(level=1, wbits=31)
    return compressor.compress(body) + compressor.flush()
