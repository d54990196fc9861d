"""Send to Zendesk Connect by ``POST /v2/identify`` and ``/v2/identify/batch``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import orjson
from pydantic import AfterValidator, ConfigDict, Field

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
)
from audience_sync.destinations.http.statuses import StatusTable, excerpt, judge_status, judge_success, judge_unreadable
from audience_sync.destinations.messages.identify import json_bytes, json_list
from audience_sync.destinations.zendesk_connect.user import AndroidToken, connect_user, normalize_key
from audience_sync.errors import UnsendableError
from audience_sync.model import Alias, AudienceEvent, IdentifyCall
from audience_sync.version import __version__

BATCH_MESSAGES = 100
BATCH_BYTES = 500_000  # not documented; the limit of Segment
CONNECT_STATUSES = StatusTable()
#: The namespace of GUIDs. The server drops a repeated GUID, so a repeated request must have the same one.
REQUESTS = UUID("5bd0b9a2-7f0e-4d0a-9a77-0c1d1b1f6a55")
#: Keys that no audience may have: it would overwrite the user's profile, or disappear.
PROFILE_FIELDS = frozenset(
    {"userid", "id", "previousid", "anonid", "firstname", "lastname", "email", "phone", "phonenumber"}
    | {"timezone", "groupid", "groupattributes", "attributes"}
    | {"apns", "gcm", "fcm", "devicetoken", "devicetype"}
)


ConnectUrl = Annotated[BaseUrl, AfterValidator(partial(without_path, paths=("/v2/identify", "/v2/track")))]


class ZendeskConnectOptions(DestinationOptions):
    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["zendesk_connect"] = Field(
        "zendesk_connect", description="Zendesk Connect (Outbound), or a service that speaks its protocol."
    )
    private_key: Key = Field(description="The private key of the environment, best as `${CONNECT_PRIVATE_KEY}`.")
    url: ConnectUrl = Field("https://api.outbound.io", description="Where the API is.")
    android_token: AndroidToken = Field("fcm", description="What Android device tokens are called.")


class ZendeskConnectDestination(HttpDestination):
    Options = ZendeskConnectOptions
    deletion = (
        "identify calls can't delete; delete the user in the service that `url` names, or ask its support (Zendesk's "
        "own ended in 2021)"
    )
    options: ZendeskConnectOptions
    profile_fields = PROFILE_FIELDS
    has_alias = True
    companions = (("device_token", "device_type"), ("name", "firstName", "lastName"))

    def __init__(self, options: ZendeskConnectOptions, about: Audiencing) -> None:
        super().__init__(options, about)
        self._key = options.private_key.get_secret_value()
        self._secrets = (*about.secrets, self._key)
        self._email_from_id = all(normalize_key(key) != "email" for key in about.trait_keys)

    @property
    def limits(self) -> Limits:
        messages = min(self.options.batch_size or BATCH_MESSAGES, BATCH_MESSAGES)
        return Limits(messages, BATCH_BYTES - BATCH_MESSAGES - len(b"[]"))

    @property
    def address(self) -> str:
        return self._address("identify")

    def _address(self, what: str) -> str:
        return f"{self.options.url.removesuffix('/v2')}/v2/{what}"

    def encode(self, call: IdentifyCall) -> list[Message]:
        if not call.user_id:
            raise UnsendableError("the user id is empty, and Zendesk Connect accepts no call without one")
        try:
            return [Message(call.message_id, _json(self._user(call)))]
        except (ValueError, RecursionError):
            raise UnsendableError(
                "a trait can't be written as JSON: it is neither a number nor a text, or is nested too deeply"
            ) from None

    def encode_event(self, user_id: str, event: AudienceEvent) -> Event:
        """Return the body of ``POST /v2/track``, with Engage's properties and the time in seconds since 1970."""
        if not user_id:
            raise UnsendableError("the user id is empty, and Zendesk Connect accepts no call without one")
        body = {
            "user_id": user_id,
            "event": self.event_name(event),
            "properties": {"audience_key": event.key, event.key: event.entered},
            "timestamp": int(datetime.fromisoformat(event.timestamp).timestamp()),
        }
        return Event(event.message_id, json_bytes(body))

    def encode_alias(self, user_id: str, alias: Alias) -> Message:
        """Return a user with ``previous_id`` alone: Connect has no separate address for aliases."""
        return Message(alias.message_id, json_bytes({"user_id": user_id, "previous_id": alias.previous_id}))

    def parts(self, messages: Sequence[Message]) -> Sequence[Sequence[Message]]:
        """Group users and events, which have different addresses, with the users first."""
        events = [message for message in messages if isinstance(message, Event)]
        users = [message for message in messages if not isinstance(message, Event)]
        return [part for part in (users, events) if part]

    def _user(self, call: IdentifyCall) -> dict[str, Any]:
        return connect_user(
            call.user_id,
            call.traits,
            android_token=self.options.android_token,
            email_from_id=self._email_from_id,
        )

    def request(self, messages: Sequence[Message]) -> HttpRequest:
        address = self._address("track" if isinstance(messages[0], Event) else "identify")
        if len(messages) == 1:
            return HttpRequest("POST", address, self._headers(messages), messages[0].body)
        body = json_list(messages)
        return HttpRequest("POST", f"{address}/batch", self._headers(messages), body)

    def _headers(self, messages: Sequence[Message]) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "X-Outbound-Key": self._key,
            "X-Outbound-Client": f"audience-sync/{__version__}",
            "X-Outbound-GUID": str(uuid5(REQUESTS, "\n".join(message.message_id for message in messages))),
        }

    def judge(self, answer: Answer, messages: Sequence[Message] = ()) -> Judgement:
        detail = excerpt(answer.body, self._secrets)
        judgement = judge_status(answer, CONNECT_STATUSES, error_text(answer.body, self._secrets) or detail)
        if judgement.meaning is not Meaning.DELIVERED:
            return judgement
        if unreadable := judge_unreadable(answer):
            return unreadable
        if not is_success(answer.body):
            return judge_success(answer, Meaning.RETRY, f"but not in Connect's format ({detail})")
        if error := error_text(answer.body, self._secrets):
            return judge_success(answer, Meaning.REFUSED, f"but with an error ({error})")
        return judgement


def is_success(body: bytes) -> bool:
    """Return whether a body is empty, `ok` or JSON. Plain text comes from a proxy."""
    text = body.strip()
    if not text or text.lower() == b"ok":
        return True
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def error_text(body: bytes, secrets: Sequence[str]) -> str:
    """Return the error of ``{"error": {"Message": "...", "Code": n}}``; empty for another body."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if not isinstance(error, dict):
        return excerpt(str(error).encode(), secrets) if error else ""
    code = f", code {error['Code']}" if "Code" in error else ""
    return excerpt(f"{error.get('Message', 'no message')}{code}".encode(), secrets)


def _json(user: dict[str, Any]) -> bytes:
    """Write JSON with the standard library, which keeps integers of any size. Raises ValueError for NaN."""
    return json.dumps(user, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
