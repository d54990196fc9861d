"""Send identify calls to an HTTP tracking API: ``POST /v1/batch``, of Segment and compatible services."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import AfterValidator, Field, JsonValue

from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.http_options import BaseUrl, Key, without_path
from audience_sync.destinations.base import (
    Answer,
    Audiencing,
    Event,
    HttpDestination,
    HttpRequest,
    Judgement,
    Limits,
    Meaning,
    Message,
    joined_bodies,
)
from audience_sync.destinations.http.credentials import basic
from audience_sync.destinations.http.statuses import StatusTable, excerpt, judge_status, judge_success, judge_unreadable
from audience_sync.destinations.messages.identify import alias_bytes, message_tail, track_bytes
from audience_sync.destinations.messages.split import MessageLimits, encode_within_limits, single_message_sql
from audience_sync.keys import STANDARD_TRAITS, normalise_key
from audience_sync.model import Alias, AudienceEvent, IdentifyCall
from audience_sync.redaction.secrets import collect_secrets

#: The traits with a meaning in Segment's identify (docs: spec/identify), and its ids.
PROFILE_FIELDS = frozenset({*map(normalise_key, STANDARD_TRAITS), "userid", "anonymousid"})
_BEGIN = b'{"batch":['
NO_IDENTIFIERS = (
    "a call carries only what changed, so services behind it that know users by e-mail drop exits: "
    "set `identifiers: [email]`"
)


TrackingUrl = Annotated[BaseUrl, AfterValidator(partial(without_path, paths=("/v1/batch", "/v1/identify")))]


class TrackingOptions(DestinationOptions):
    write_key: Key = Field(description="The write key of the source.")
    url: TrackingUrl = Field(description="Where the API is.")
    integrations: dict[str, JsonValue] | None = Field(
        None, description="Which destinations behind it get the calls, such as `{All: false, Braze: true}`."
    )
    gzip: bool = Field(False, description="Compress requests.")


class TrackingDestination(HttpDestination):
    """The protocol without the limits of a service. Nothing has a ``sentAt``, so that a repeat has the same bytes.

    A subclass defines the limits, the meaning of statuses, and the end of a batch.
    """

    options: TrackingOptions
    bounds: ClassVar[MessageLimits]
    batch_bytes: ClassVar[int]
    batch_messages: ClassVar[int]
    statuses: ClassVar[StatusTable] = StatusTable()
    profile_fields = PROFILE_FIELDS
    has_alias = True

    def __init__(self, options: TrackingOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        key = basic(options.write_key)
        self._secrets = collect_secrets([*about.secrets, options.write_key.get_secret_value(), *key.values()])
        self._headers = {"Content-Type": "application/json", **key}
        self._end = b"]}"
        self._more: Mapping[str, Any] = {} if options.integrations is None else {"integrations": options.integrations}
        self._tail = message_tail({}, self._more)
        if options.identifiers is None and "email" in about.trait_keys:
            self.remarks = (NO_IDENTIFIERS,)

    @property
    def limits(self) -> Limits:
        """The limits of the service, less the envelope and the commas between the messages."""
        messages = min(self.options.batch_size or self.batch_messages, self.batch_messages)
        return Limits(messages, self.batch_bytes - self.batch_messages - len(_BEGIN) - len(self._end))

    @property
    def address(self) -> str:
        return f"{self.options.url.removesuffix('/v1')}/v1/batch"

    def encode(self, call: IdentifyCall) -> list[Message]:
        return encode_within_limits(call, self._tail, self.bounds)

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        return Event(event.message_id, track_bytes(user_id, self.event_name(event), event, self._tail))

    def encode_alias(self, user_id: str, alias: Alias) -> Message:
        return Message(alias.message_id, alias_bytes(user_id, alias, self._tail))

    def encode_sql(self) -> str | None:
        return single_message_sql(self._tail, self.bounds)

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        body = b"".join((_BEGIN, joined_bodies(messages), self._end))
        if not self.options.gzip:
            return HttpRequest("POST", self.address, self._headers, body)
        return HttpRequest("POST", self.address, self._headers | {"Content-Encoding": "gzip"}, _gzip(body))

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        detail = excerpt(answer.body, self._secrets)
        judgement = judge_status(answer, self.statuses, detail)
        if judgement.meaning is not Meaning.DELIVERED:
            return judgement
        if unreadable := judge_unreadable(answer):
            return unreadable
        meaning, problem = judge_body(answer.body)
        return judge_success(answer, meaning, f"{problem} ({detail})") if problem else judgement


def judge_body(body: bytes) -> tuple[Meaning, str]:
    """Judge the body of a success. The status proves nothing: a proxy also answers 200, and so does a cut answer.

    ======================================  =========
    a JSON object (``{"success": true}``)   delivered
    ... with ``success`` other than true    refused
    ... with ``error`` or ``errors``        refused
    ``ok`` (RudderStack), ``"ok"``          delivered
    an empty body of a complete answer      delivered
    a page, half an object, anything else   retry
    ======================================  =========

    The transport checks that an answer without a body is complete: its headers had an end.
    """
    if not body.strip() or body.strip().strip(b'"').lower() == b"ok":
        return Meaning.DELIVERED, ""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        return Meaning.RETRY, "but not in the format of a tracking API"
    if parsed.get("success", True) not in (True, "true"):
        return Meaning.REFUSED, "but without success"
    if parsed.get("error") or parsed.get("errors"):
        return Meaning.REFUSED, "but with an error"
    return Meaning.DELIVERED, ""


def _gzip(body: bytes) -> bytes:
    """Compress at level 1, without a time in the header, so that a repeat has the same bytes."""
    compressor = zlib.compressobj(level=1, wbits=31)
    return compressor.compress(body) + compressor.flush()
